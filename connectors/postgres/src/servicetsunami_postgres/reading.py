"""One read: the SELECT that is asked for, and its rows as Arrow batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from servicetsunami.sdk import ConfigError, NotFound, PermanentError, PermissionDenied, Read, Stream, nearest
from servicetsunami.sdk.sql import quote_identifier, quote_path
from servicetsunami_postgres.catalog import DEFAULT_SCHEMA, Column, Table, find_tables
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.link import begin, quote_literal
from servicetsunami_postgres.resuming import written_conditions


async def begin_on(
    connection: asyncpg.Connection,
    config: PostgresConfig,
    stream: Stream,
    *,
    snapshot: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Begin a transaction in which nobody may rewrite or truncate the stream's table, where it can be locked."""
    lock = quote_path(stream.namespace or DEFAULT_SCHEMA, stream.name, dialect="postgres")
    try:
        await begin(connection, config, snapshot=snapshot, lock=lock, settings=settings)
    except (NotFound, PermissionDenied, PermanentError):
        # Materialized views cannot be locked, nor what the role may read some columns of only; what is not there is
        # told by who looks for it.
        await connection.execute("ROLLBACK")
        await begin(connection, config, snapshot=snapshot, settings=settings)


async def find_table(connection: asyncpg.Connection, stream: Stream) -> Table:
    """Return the stream's table as it is now; raises `NotFound` with near names."""
    schema = stream.namespace or DEFAULT_SCHEMA
    found = await find_tables(connection, (schema,), stream.name)
    if found:
        return found[0]
    known = [table.stream().id for table in await find_tables(connection)]
    raise NotFound(
        f"table {stream.id} is not in the database, or the role may not read it",
        code="stream_not_found",
        fix="list the connection's tables; if it is there, GRANT SELECT on it to the role",
        did_you_mean=nearest(stream.id, known),
    )


def chosen_columns(table: Table, names: Sequence[str] | None) -> tuple[Column, ...]:
    """Return the columns asked for, in that order; raises `ConfigError` with near names."""
    known = {column.name: column for column in table.columns}
    for name in names or ():
        if name not in known:
            raise ConfigError(
                f"table {table.name} has no column '{name}'",
                code="column_not_found",
                field="columns",
                fix="choose one of the table's columns",
                did_you_mean=nearest(name, known),
            )
    return table.columns if names is None else tuple(known[name] for name in names)


def select(table: Table, columns: Sequence[Column], read: Read) -> str:
    """Write the SELECT of `read`."""
    params = read.split.params if read.split else {}
    expressions = ", ".join(column.select for column in columns)
    conditions = [*_since(table, read), *_pages(params), *written_conditions(params)]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    limit = f" LIMIT {int(read.limit)}" if read.limit is not None else ""
    tables = params.get("tables", [(table.schema, table.name)])
    sources = [quote_path(*names, dialect="postgres") for names in tables]
    parts = [" ".join(("SELECT", expressions, "FROM", source)) + where for source in sources]
    return " UNION ALL ".join(parts) + limit


def _since(table: Table, read: Read) -> list[str]:
    if read.since is None or read.stream.cursor is None:
        return []
    (column,) = chosen_columns(table, (read.stream.cursor,))
    name = quote_identifier(column.name, "postgres")
    reached = f"{name} >= {quote_literal(_text(read.since))}::{column.source_type}"
    # A row whose cursor is null cannot be ordered: with a key it is read each time, and merged.
    return [f"({reached} OR {name} IS NULL)" if (read.stream.key or table.key) and not column.required else reached]


def _pages(params: dict[str, Any]) -> list[str]:
    conditions = []
    if params.get("from_page"):
        conditions.append(f"ctid >= '({int(params['from_page'])},0)'::pg_catalog.tid")
    if params.get("to_page") is not None:
        conditions.append(f"ctid < '({int(params['to_page'])},0)'::pg_catalog.tid")
    return conditions


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
