"""SQL source connector for ServiceTsunami over SQLAlchemy."""

from __future__ import annotations

from typing import Any

from servicetsunami.sdk import Source, hookimpl
from servicetsunami_sqlalchemy.config import SqlConfig
from servicetsunami_sqlalchemy.source import SqlSource

__all__ = ["SqlConfig", "SqlSource", "connectors"]


@hookimpl
def connectors() -> list[type[Source[Any]]]:
    """Name what this distribution provides."""
    return [SqlSource]
