"""Lists and describes the tables of a tenant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from servicetsunami.sdk import ColumnDetails, Json, NotFound, TableDetails, TableName, TableSummary, nearest
from servicetsunami_sink_lakehouse.delta_types import to_databricks
from servicetsunami_sink_lakehouse.folders import Folders
from servicetsunami_sink_lakehouse.log import history
from servicetsunami_sink_lakehouse.snapshot import Snapshot, open_snapshot

_HISTORY = 20


def summaries(folders: Folders, layer: str | None) -> Sequence[TableSummary]:
    """Sum up every table of a layer, or of all."""
    return [_summary(table, existing(folders, table)) for table in folders.tables(layer)]


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
        raise not_found(table, folders.tables())
    return snapshot


def not_found(table: TableName, known: Iterable[TableName]) -> NotFound:
    """Say that there is no such table, and which names come near."""
    names = [str(other) for other in known]
    same_name = [str(other) for other in names if other.endswith(f".{table.name}")]
    return NotFound(
        f"there is no table {table}",
        code="table_not_found",
        field="table",
        fix="list the tables to see what there is" if names else "sync a table first; the lakehouse is empty",
        did_you_mean=dict.fromkeys((*same_name, *nearest(str(table), names))),
    )


def _summary(table: TableName, snapshot: Snapshot) -> TableSummary:
    latest = next(iter(history(snapshot.folder, 1)), {})
    return TableSummary(
        table,
        sum(file.rows for file in snapshot.files),
        sum(file.size_bytes for file in snapshot.files),
        _time(latest["timestamp"]) if "timestamp" in latest else None,
        snapshot.comment,
    )


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
