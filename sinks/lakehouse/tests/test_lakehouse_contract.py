"""The certification kit, over the lakehouse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from servicetsunami.sdk.testing import SinkContract
from servicetsunami_sink_lakehouse import LakehouseSink


class TestLakehouseContract(SinkContract):
    sink = LakehouseSink

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        return {}
