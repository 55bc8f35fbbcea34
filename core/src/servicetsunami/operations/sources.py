"""Looking into a connection's source: its tables, and questions in its own dialect."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from servicetsunami.operations.models import QueryResult, SourceColumn, SourceTable, SourceTables
from servicetsunami.operations.opened import with_source
from servicetsunami.operations.paging import shortened, viewed_page
from servicetsunami.operations.results import answer, row_limit
from servicetsunami.operations.stream_settings import settings_of
from servicetsunami.records import Connection
from servicetsunami.sdk import (
    ChangeFeed,
    ConfigError,
    NotFound,
    Problem,
    Queryable,
    QueryLimits,
    Source,
    Stream,
    nearest,
)

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_MOST_COLUMNS, _MOST_CANDIDATES = 1_000, 50
_COLUMNS_SHOWN_UP_TO = 10
"""With more tables than this in one answer the columns are left out: a model reads the list first."""


async def list_source_tables(
    app: App,
    caller: Caller,
    connection_id: str,
    *,
    search: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> SourceTables:
    """List the tables a connection may read; those whose name holds `search`, a page at a time."""
    connection = await app.records.connection(caller.tenant, connection_id)
    streams = await with_source(app, connection, lambda source: list(source.streams()))
    found = [stream for stream in streams if not search or search.casefold() in stream.id.casefold()]
    owned = {
        dataset.stream: str(dataset.table)
        for dataset in await app.records.datasets(caller.tenant)
        if dataset.connection_id == connection.id
    }
    with_columns = min(limit, len(found)) <= _COLUMNS_SHOWN_UP_TO
    feeds = issubclass(app.plugins.connector(connection.connector), ChangeFeed)

    def view(stream: Stream) -> SourceTable:
        seen = _view(stream, connection, with_columns, owned.get(stream.id))
        return _followed(seen) if feeds and seen.key else seen

    shown, next_cursor = viewed_page(found, cursor, limit, view)
    return SourceTables(
        connection_id=connection.id,
        tables=shown,
        total=len(found),
        truncated=next_cursor is not None,
        next_cursor=next_cursor,
    )


async def query_source(
    app: App, caller: Caller, connection_id: str, sql: str, *, limit: int | None = None
) -> QueryResult:
    """Answer one SELECT, in the source's own dialect, at the source."""
    connection = await app.records.connection(caller.tenant, connection_id)
    limits = QueryLimits(rows=row_limit(limit) + 1, timeout_seconds=app.settings.query_timeout_seconds)

    def ask(source: Source[Any]) -> QueryResult:
        if not isinstance(source, Queryable):
            raise ConfigError(
                f"{source.title or source.name} connections cannot be queried directly",
                code="not_queryable",
                fix="sync the table and use query_sql",
            )
        began = time.perf_counter()
        with closing(source.query(sql, limits)) as reader:
            return answer(reader, limit, began)

    return await with_source(app, connection, ask)


def find_stream(streams: list[Stream], table_name: str) -> Stream:
    """Return the stream a person means by `table_name`; raises `NotFound` with near names."""
    matches: tuple[Callable[[Stream], bool], ...] = (
        lambda stream: stream.id == table_name,
        lambda stream: stream.id.casefold() == table_name.casefold(),
        lambda stream: stream.namespace is None and stream.name == table_name.rpartition(".")[2],
    )
    for match in matches:
        hits = [stream for stream in streams if match(stream)]
        if len(hits) == 1:
            return hits[0]
    ids = [stream.id for stream in streams]
    raise NotFound(
        f"the source has no table '{table_name}' that these credentials may read",
        code="table_not_found",
        field="table_name",
        fix="look at the list of the source's tables; one that is missing there may lack the SELECT right",
        did_you_mean=nearest(table_name, ids) or nearest(table_name, [stream.name for stream in streams]),
    )


def configured(stream: Stream, connection: Connection) -> Stream:
    """Return the stream with the connection's own choice of cursor and key; raises for settings it cannot follow."""
    return settings_of(connection.streams, stream.id).applied(stream)


def _view(stream: Stream, connection: Connection, with_columns: bool, bronze_table: str | None) -> SourceTable:
    stream, problem = _configured_or_problem(stream, connection)
    schema: Any = stream.schema if with_columns and stream.schema is not None else ()
    return SourceTable(
        table_name=stream.id,
        kind=stream.kind,
        key=stream.key,
        cursor=stream.cursor,
        cursor_candidates=stream.cursor_candidates[:_MOST_CANDIDATES],
        sync_modes=("incremental", "full") if stream.cursor else ("full",),
        rows=stream.rows,
        size_bytes=stream.size_bytes,
        description=shortened(f"{_more_columns(len(schema))}{stream.description}"),
        columns=tuple(_source_column(field) for field in islice(schema, _MOST_COLUMNS)),
        bronze_table=bronze_table,
        settings=connection.streams.get(stream.id, {}),
        problem=problem,
    )


def _followed(view: SourceTable) -> SourceTable:
    """Return the view of a table whose changes can be told."""
    return view.model_copy(update={"sync_modes": (*view.sync_modes, "changes")})


def _configured_or_problem(stream: Stream, connection: Connection) -> tuple[Stream, Problem | None]:
    try:
        return configured(stream, connection), None
    except ConfigError as error:
        return stream, error.problem()


def _more_columns(columns: int) -> str:
    return f"({columns - _MOST_COLUMNS:,} more columns.) " if columns > _MOST_COLUMNS else ""


def _source_column(field: Any) -> SourceColumn:
    return SourceColumn(name=field.name, type=shortened(_source_type(field), 200))


def _source_type(field: Any) -> str:
    metadata = field.metadata or {}
    return str(metadata[b"source_type"].decode()) if b"source_type" in metadata else str(field.type)
