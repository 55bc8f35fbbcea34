"""The tenant's tables: list, describe, ask."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from servicetsunami.operations.answers.cursors import PURPOSE, Cursors
from servicetsunami.operations.answers.pages import Pages
from servicetsunami.operations.answers.previews import Looking, previewed
from servicetsunami.operations.answers.shelf import Shelf
from servicetsunami.operations.answers.warehouses import LAYERS, with_warehouse
from servicetsunami.operations.models import (
    ColumnView,
    QueryPage,
    TableDescription,
    TableList,
    TableVersion,
    TableView,
)
from servicetsunami.operations.paging import shortened, viewed_page
from servicetsunami.operations.results import columns_of, row_limit
from servicetsunami.sdk import ColumnDetails, Json, QueryLimits, Sink, TableName, TableSummary, Warehouse
from servicetsunami.sdk.sql import guard_databricks

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller


async def list_tables(
    app: App, caller: Caller, *, layer: str | None = None, cursor: str | None = None, limit: int = 100
) -> TableList:
    """List the tenant's tables, of one layer if given, a page at a time."""

    def work(sink: Sink[Any], warehouse: Warehouse) -> tuple[str, list[TableSummary]]:
        return sink.catalog(), list(warehouse.tables(layer))

    catalog, summaries = await with_warehouse(app, caller, work)
    shown, next_cursor = viewed_page(summaries, cursor, limit, partial(_table_view, catalog))
    return TableList(
        catalog=catalog,
        tables=shown,
        total=len(summaries),
        truncated=next_cursor is not None,
        next_cursor=next_cursor,
    )


async def describe_table(
    app: App, caller: Caller, table: str, *, preview: bool = False, cursor: str | None = None
) -> TableDescription:
    """Describe one table: columns, types, key, comments, size and history; of very many columns a page at a time.

    With `preview` also some rows, and what the columns hold.
    """

    def work(sink: Sink[Any], warehouse: Warehouse) -> TableDescription:
        name = TableName.parse(table.removeprefix(f"{sink.catalog()}."))
        details = warehouse.describe(name)
        columns, next_cursor = viewed_page(details.columns, cursor, max(1, len(details.columns)), _column_view)
        shown = TableDescription(
            table=_table_view(sink.catalog(), details.summary),
            columns=columns,
            key=details.key,
            version=details.version,
            history=tuple(_version(entry) for entry in details.history),
            definition=details.definition,
            tags=dict(details.tags),
            truncated=next_cursor is not None,
            next_cursor=next_cursor,
        )
        if not preview:
            return shown
        looking = Looking(warehouse, sink.catalog(), details.summary.table, app.settings.query_timeout_seconds)
        return previewed(shown, looking.preview(columns))

    return await with_warehouse(app, caller, work)


async def query_sql(
    app: App,
    caller: Caller,
    sql: str,
    *,
    limit: int | None = None,
    cursor: str | None = None,
    keep: bool = True,
) -> QueryPage:
    """Answer one SELECT in Databricks SQL over the tenant's tables, a page at a time.

    A result of more than one page is kept for an hour, so that its pages agree, unless `keep` is false. Raises
    `ConfigError` (`bad_cursor`) for a cursor of another query, `NotFound` (`result_expired`) for a result that is
    gone.
    """
    row_limit(limit)
    key = await app.records.derived_key(PURPOSE)

    def work(sink: Sink[Any], warehouse: Warehouse) -> QueryPage:
        began = time.perf_counter()
        query = guard_databricks(sql, catalog=sink.catalog(), layers=LAYERS)
        pages = Pages(Shelf(app.settings.home, caller.tenant), Cursors(key, caller.tenant, query.sql), limit, keep)
        if cursor is not None:
            return pages.further(cursor, began)
        with closing(warehouse.query(query, pages.limits(app.settings.query_timeout_seconds))) as reader:
            return pages.first(reader, began)

    return await with_warehouse(app, caller, work)


async def validate_sql(app: App, caller: Caller, sql: str) -> QueryPage:
    """Tell whether a query can be answered, with which columns, and how many rows its tables have; none is read.

    Raises what `query_sql` raises for a query that cannot.
    """

    def work(sink: Sink[Any], warehouse: Warehouse) -> QueryPage:
        began = time.perf_counter()
        query = guard_databricks(sql, catalog=sink.catalog(), layers=LAYERS)
        limits = QueryLimits(0, timeout_seconds=app.settings.query_timeout_seconds)
        with closing(warehouse.query(query, limits)) as reader:
            columns = columns_of(reader.schema)
        rows = {one.table: one.rows or 0 for one in warehouse.tables()}
        return QueryPage(
            columns=columns,
            rows=(),
            row_count=0,
            truncated=False,
            execution_time=round(time.perf_counter() - began, 4),
            would_read=sum(rows.get(table, 0) for table in query.tables),
            notice="The query can be answered; it was not run.",
        )

    return await with_warehouse(app, caller, work)


def _column_view(column: ColumnDetails) -> ColumnView:
    return ColumnView(
        name=column.name,
        type=shortened(column.type, 2_000),
        nullable=column.nullable,
        comment=shortened(column.comment),
        source_type=shortened(column.source_type),
    )


def _table_view(catalog: str, summary: TableSummary) -> TableView:
    return TableView(
        table=f"{catalog}.{summary.table}",
        layer=summary.table.layer,
        kind=summary.kind,
        rows=summary.rows,
        size_bytes=summary.size_bytes,
        updated_at=summary.updated_at,
        comment=shortened(summary.comment),
    )


def _version(entry: Json) -> TableVersion:
    timestamp = entry.get("timestamp")
    return TableVersion(
        version=entry["version"],
        timestamp=datetime.fromisoformat(timestamp) if timestamp else None,
        operation=entry.get("operation", ""),
        rows_added=entry.get("rows_added"),
        rows_removed=entry.get("rows_removed"),
    )
