"""Quoting of identifiers: one function, one rule per dialect."""

from __future__ import annotations

from typing import Literal

from servicetsunami.sdk.errors import ConfigError

Dialect = Literal["postgres", "databricks", "duckdb"]

_MARKS: dict[Dialect, str] = {"postgres": '"', "databricks": "`", "duckdb": '"'}


def quote_identifier(name: str, dialect: Dialect) -> str:
    """Quote one identifier; raises `ConfigError` for an empty name or one that holds a NUL byte."""
    if not name or "\0" in name:
        raise ConfigError("an identifier must hold at least one character and no NUL byte", code="bad_identifier")
    mark = _MARKS[dialect]
    return f"{mark}{name.replace(mark, mark + mark)}{mark}"


def quote_path(*names: str, dialect: Dialect) -> str:
    """Quote a dotted name, such as schema and table."""
    return ".".join(quote_identifier(name, dialect) for name in names)
