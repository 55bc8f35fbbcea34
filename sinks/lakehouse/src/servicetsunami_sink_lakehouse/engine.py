"""Answers guarded queries with DuckDB: one fresh, locked connection each, over exactly the files it may read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from servicetsunami.sdk import Context, QueryLimits, TableName
from servicetsunami.sdk.sql import quote_identifier, quote_path
from servicetsunami_sink_lakehouse.answering import stream
from servicetsunami_sink_lakehouse.catalogue import existing
from servicetsunami_sink_lakehouse.config import LakehouseConfig
from servicetsunami_sink_lakehouse.folders import Folders
from servicetsunami_sink_lakehouse.macros import MACROS
from servicetsunami_sink_lakehouse.scan import empty, parquet, projection, sql, text_literal
from servicetsunami_sink_lakehouse.snapshot import Snapshot
from servicetsunami_sink_lakehouse.translation import translate
from servicetsunami_sink_lakehouse.views import expand

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from servicetsunami.sdk.sql import GuardedQuery


def answer(
    query: GuardedQuery, limits: QueryLimits, *, folders: Folders, config: LakehouseConfig, ctx: Context
) -> pa.RecordBatchReader:
    """Run the query and stream its rows; the connection ends with the reader."""
    text, tables = expand(folders, query.sql, query.tables)
    snapshots = {table: existing(folders, table) for table in tables}
    columns = {table: snapshot.columns for table, snapshot in snapshots.items()}
    statement = translate(text, folders.catalog, columns, limits.rows)
    connection = locked_database(folders, snapshots, config)
    return stream(connection, statement, limits, ctx.cancelled)


def locked_database(
    folders: Folders, snapshots: Mapping[TableName, Snapshot], config: LakehouseConfig
) -> duckdb.DuckDBPyConnection:
    """Open a database that shows these tables, reads their active files and can reach nothing else."""
    import duckdb

    spill = folders.home / "_spill"
    connection = duckdb.connect(
        ":memory:",
        config={
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "temp_directory": str(spill),
        },
    )
    try:
        _show(connection, folders.catalog, snapshots)
        _lock(connection, _files(snapshots.values()), config)
    except BaseException:
        connection.close()
        raise
    return connection


def _show(connection: duckdb.DuckDBPyConnection, catalog: str, snapshots: Mapping[TableName, Snapshot]) -> None:
    """Make a view for each table, under the name the guard gives it."""
    connection.execute(sql("ATTACH ':memory:' AS", quote_identifier(catalog, "duckdb")))
    for macro in MACROS:
        connection.execute(macro)
    for layer in {table.layer for table in snapshots}:
        connection.execute(sql("CREATE SCHEMA IF NOT EXISTS", quote_path(catalog, layer, dialect="duckdb")))
    for table, snapshot in snapshots.items():
        name = quote_path(catalog, table.layer, table.name, dialect="duckdb")
        connection.execute(sql("CREATE VIEW", name, "AS", _rows(connection, snapshot)))


def _rows(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> str:
    files = _files([snapshot])
    if not files:
        return empty(snapshot.columns)
    return sql("SELECT", projection(connection, files, snapshot.columns), "FROM", parquet(files))


def _lock(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], config: LakehouseConfig) -> None:
    allowed = ", ".join(text_literal(str(file)) for file in files)
    for setting in (
        "SET TimeZone = 'UTC'",
        f"SET memory_limit = '{config.query_memory_mb}MB'",
        f"SET max_temp_directory_size = '{config.query_temp_mb}MB'",
        f"SET threads = {config.query_threads}",
        "SET ieee_floating_point_ops = false",
        f"SET allowed_paths = [{allowed}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(setting)


def _files(snapshots: Iterable[Snapshot]) -> list[Path]:
    return [snapshot.folder / file.name for snapshot in snapshots for file in snapshot.files]
