"""Lists and describes the tables of a tenant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from servicetsunami.sdk import ColumnDetails, Json, TableDetails, TableName, TableSummary
from servicetsunami.sdk.delta import from_arrow, table_not_found, to_databricks
from servicetsunami.sdk.sql import guard_databricks
from servicetsunami_sink_lakehouse.folders import LAYERS, Folders
from servicetsunami_sink_lakehouse.log import history
from servicetsunami_sink_lakehouse.snapshot import Snapshot, open_snapshot
from servicetsunami_sink_lakehouse.views import View, find

if TYPE_CHECKING:
    import pyarrow as pa

    from servicetsunami.sdk.sql import GuardedQuery

_HISTORY = 20


def summaries(folders: Folders, layer: str | None) -> Sequence[TableSummary]:
    """Sum up every table and view of a layer, or of all."""
    tables = [_summary(table, existing(folders, table)) for table in folders.tables(layer)]
    views = [_view_summary(name, view) for name in folders.views(layer) if (view := find(folders, name)) is not None]
    return sorted([*tables, *views], key=lambda one: one.table)


def view_details(folders: Folders, name: TableName, ask: Callable[[GuardedQuery], pa.Schema]) -> TableDetails | None:
    """Describe a view; None where there is none."""
    view = find(folders, name)
    if view is None:
        return None
    shown = ask(guard_databricks(view.sql, catalog=folders.catalog, layers=LAYERS))
    columns = tuple(ColumnDetails(field.name, to_databricks(from_arrow(field.type)), True) for field in shown)
    return TableDetails(_view_summary(name, view), columns, (), 0, (), view.sql)


def details(folders: Folders, table: TableName) -> TableDetails:
    """Describe a table with its columns and its latest changes."""
    snapshot = existing(folders, table)
    columns = tuple(
        ColumnDetails(column.name, to_databricks(column.type), column.nullable, column.comment, column.source_type)
        for column in snapshot.columns
    )
    changes = tuple(_change(entry) for entry in history(snapshot.folder, _HISTORY))
    return TableDetails(_summary(table, snapshot), columns, snapshot.key, snapshot.version, changes)


def existing(folders: Folders, table: TableName) -> Snapshot:
    """Open a table; raises `NotFound` with near names."""
    snapshot = open_snapshot(folders.table(table))
    if not snapshot.exists:
        raise table_not_found(table, [*folders.tables(), *folders.views()])
    return snapshot


def _summary(table: TableName, snapshot: Snapshot) -> TableSummary:
    latest = next(iter(history(snapshot.folder, 1)), {})
    return TableSummary(
        table,
        sum(file.rows for file in snapshot.files),
        sum(file.size_bytes for file in snapshot.files),
        _time(latest["timestamp"]) if "timestamp" in latest else None,
        snapshot.comment,
    )


def _view_summary(name: TableName, view: View) -> TableSummary:
    return TableSummary(name, None, None, view.updated_at, view.comment, "view")


def _change(entry: Json) -> Json:
    metrics = entry.get("operationMetrics", {})
    return {
        "version": entry["version"],
        "timestamp": _time(entry["timestamp"]).isoformat() if "timestamp" in entry else None,
        "operation": entry.get("operation", ""),
        "rows_added": _number(metrics.get("rowsAdded")),
        "rows_removed": _number(metrics.get("rowsRemoved")),
    }


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None else None
