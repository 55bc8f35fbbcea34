"""The only place that quotes identifiers, and the two guards that decide which SQL may run.

The guards are imported at first use: they bring sqlglot and postgast, which the rest of the SDK does without.
"""

from __future__ import annotations

from collections.abc import Collection

from servicetsunami.sdk.sql.guarded import GuardedQuery
from servicetsunami.sdk.sql.quoting import Dialect, quote_identifier, quote_path

__all__ = ["Dialect", "GuardedQuery", "guard_databricks", "guard_postgres", "quote_identifier", "quote_path"]


def guard_databricks(sql: str, *, catalog: str, layers: Collection[str]) -> GuardedQuery:
    """Let one SELECT in Databricks SQL through, regenerated, that reads tables of `catalog` in `layers` only.

    Raises `ConfigError` with code `sql_refused` (what may never run) or `sql_invalid` (what does not parse).
    """
    from servicetsunami.sdk.sql import databricks

    return databricks.guard(sql, catalog=catalog, layers=layers)


def guard_postgres(sql: str, *, schemas: Collection[str] = ()) -> str:
    """Let one SELECT in PostgreSQL's SQL through and return it regenerated from its syntax tree.

    A table may be named with one of `schemas` only, where any are given.
    Raises `ConfigError` with code `sql_refused` or `sql_invalid`.
    """
    from servicetsunami.sdk.sql import postgres

    return postgres.guard(sql, schemas=schemas)
