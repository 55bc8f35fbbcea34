"""PostgreSQL source connector: streaming, exact types, parallel splits, incremental reads, questions in SQL."""

from __future__ import annotations

from typing import Any

from servicetsunami.sdk import Source, hookimpl
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.source import PostgresSource

__all__ = ["PostgresConfig", "PostgresSource", "connectors"]


@hookimpl
def connectors() -> list[type[Source[Any]]]:
    """Name what this distribution provides."""
    return [PostgresSource]
