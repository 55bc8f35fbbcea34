"""The certification kit, over the lakehouse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from servicetsunami.sdk.testing import SinkContract, WarehouseContract
from servicetsunami_sink_lakehouse import LakehouseSink


class TestLakehouseContract(SinkContract):
    sink = LakehouseSink

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        return {}


class TestLakehouseWarehouse(WarehouseContract):
    sink = LakehouseSink

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        return {}


def test_finding_the_sink_imports_the_sdk_only() -> None:
    code = (
        "import sys; import servicetsunami.sdk; import servicetsunami_sink_lakehouse as sink; "
        "heavy = {'pyarrow', 'duckdb', 'deltalake', 'sqlglot'} & set(sys.modules); "
        "assert not heavy, heavy; assert sink.sinks() == [sink.LakehouseSink]"
    )

    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
