"""The certification kit, over Databricks: its look-alike, or a real workspace with `-m databricks`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from servicetsunami.sdk.testing import SinkContract, WarehouseContract
from servicetsunami_lookalike import Lookalike
from servicetsunami_sink_databricks import DatabricksSink


@pytest.fixture
def config(lookalike: Lookalike) -> Mapping[str, Any]:
    return {"host": lookalike.host, "token": lookalike.token, "warehouse_id": lookalike.warehouse_id}


class TestDatabricksContract(SinkContract):
    sink = DatabricksSink

    @pytest.fixture
    def config(self, lookalike: Lookalike) -> Mapping[str, Any]:
        return {"host": lookalike.host, "token": lookalike.token, "warehouse_id": lookalike.warehouse_id}


class TestDatabricksWarehouse(WarehouseContract):
    sink = DatabricksSink

    @pytest.fixture
    def config(self, lookalike: Lookalike) -> Mapping[str, Any]:
        return {"host": lookalike.host, "token": lookalike.token, "warehouse_id": lookalike.warehouse_id}


def test_finding_the_sink_imports_the_sdk_only() -> None:
    code = (
        "import sys; import servicetsunami.sdk; import servicetsunami_sink_databricks as sink; "
        "heavy = {'pyarrow', 'databricks.sdk', 'databricks.sql', 'requests', 'sqlglot'} & set(sys.modules); "
        "assert not heavy, heavy; assert sink.sinks() == [sink.DatabricksSink]"
    )

    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
