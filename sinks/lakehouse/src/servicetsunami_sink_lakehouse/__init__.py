"""Delta lakehouse on local disk: transactional loads, queried in Databricks SQL.

This module imports the SDK only; Delta, DuckDB, Arrow and sqlglot are imported when rows flow or a query comes.
"""

from __future__ import annotations

from typing import Any

from servicetsunami.sdk import Sink, hookimpl
from servicetsunami_sink_lakehouse.config import LakehouseConfig
from servicetsunami_sink_lakehouse.sink import LakehouseSink

__all__ = ["LakehouseConfig", "LakehouseSink", "sinks"]


@hookimpl
def sinks() -> list[type[Sink[Any]]]:
    """Return the sink of this distribution."""
    return [LakehouseSink]
