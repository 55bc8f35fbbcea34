"""DuckDB's SQL, put together of parts that are quoted already."""

from __future__ import annotations

from servicetsunami.sdk.sql import quote_path

Name = tuple[str, str, str]
"""Catalog, schema and table, in lower case, as Unity Catalog keeps them."""


def words(*parts: str) -> str:
    """Join parts of a statement."""
    return " ".join(parts)


def quoted(name: Name) -> str:
    """Write a table's name."""
    return quote_path(*name, dialect="duckdb")
