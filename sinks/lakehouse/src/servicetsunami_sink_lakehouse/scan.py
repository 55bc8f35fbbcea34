"""Reads a table's Parquet files with DuckDB as the Delta schema says they are to be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from servicetsunami.sdk.delta import Column, to_duckdb
from servicetsunami.sdk.sql import quote_identifier

if TYPE_CHECKING:
    import duckdb


def sql(*words: str) -> str:
    """Join the words of a statement; every identifier and text in them went through a quoting function."""
    return " ".join(words)


def text_literal(text: str) -> str:
    """Quote a text for DuckDB."""
    return "'" + text.replace("'", "''") + "'"


def parquet(files: Sequence[Path], *options: str) -> str:
    """Write the call that reads these files and no others; columns are matched by name.

    The sink takes no folder whose path holds a pattern, so each name stands for one file.
    """
    names = ", ".join(text_literal(str(file)) for file in files)
    return f"read_parquet({', '.join((f'[{names}]', 'union_by_name = true', *options))})"


def projection(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: Sequence[Column]) -> str:
    """Write the columns as `files` must be asked for them.

    A column that no file has is null; one that has a narrower type there, because it was widened later, is cast. A
    plain column stays bare, so that filters reach the files.
    """
    described = connection.execute(sql("DESCRIBE SELECT * FROM", parquet(files))).fetchall()
    present = {str(name).casefold(): (str(name), str(kind)) for name, kind, *_ in described}
    return ", ".join(_expression(column, present) for column in columns)


def empty(columns: Sequence[Column]) -> str:
    """Write a query with these columns and no row."""
    nulls = ", ".join(_expression(column, {}) for column in columns)
    return sql("SELECT", nulls, "WHERE false")


def _expression(column: Column, present: dict[str, tuple[str, str]]) -> str:
    wanted = to_duckdb(column.type)
    name = quote_identifier(column.name, "duckdb")
    found = present.get(column.name.casefold())
    if found is None:
        return f"CAST(NULL AS {wanted}) AS {name}"
    stored, kind = quote_identifier(found[0], "duckdb"), found[1]
    if kind == _as_described(wanted):
        return stored if stored == name else f"{stored} AS {name}"
    return f"CAST({stored} AS {wanted}) AS {name}"


def _as_described(kind: str) -> str:
    return "TIMESTAMP WITH TIME ZONE" if kind == "TIMESTAMPTZ" else kind
