"""Databricks Unity Catalog: transactional loads into managed tables, queried on a SQL warehouse.

This module imports the SDK only; the clients of Databricks, and Arrow, are imported when something is done.
"""

from __future__ import annotations

from typing import Any

from servicetsunami.sdk import Sink, hookimpl
from servicetsunami_sink_databricks.config import DatabricksConfig
from servicetsunami_sink_databricks.sink import DatabricksSink

__all__ = ["DatabricksConfig", "DatabricksSink", "sinks"]


@hookimpl
def sinks() -> list[type[Sink[Any]]]:
    """Return the sink of this distribution."""
    return [DatabricksSink]
