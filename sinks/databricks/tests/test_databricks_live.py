"""The certification kit in a real workspace: `pytest -m databricks`, with the three variables set.

Use a workspace of its own: the kit makes the catalogs tenant_default, tenant_acme, tenant_one and tenant_two, and
leaves its tables in them. Who signs in must be able to create catalogs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest

from servicetsunami.sdk.testing import SinkContract, WarehouseContract
from servicetsunami_sink_databricks import DatabricksSink

pytestmark = pytest.mark.databricks
VARIABLES = ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_WAREHOUSE_ID")


def settings() -> Mapping[str, Any]:
    """Return the settings of the workspace that the variables name."""
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        pytest.fail(f"set {', '.join(missing)} to test in a real workspace")
    host, token, warehouse = (os.environ[name] for name in VARIABLES)
    return {"host": host, "token": token, "warehouse_id": warehouse}


class TestLiveContract(SinkContract):
    sink = DatabricksSink

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        return settings()


class TestLiveWarehouse(WarehouseContract):
    sink = DatabricksSink

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        return settings()
