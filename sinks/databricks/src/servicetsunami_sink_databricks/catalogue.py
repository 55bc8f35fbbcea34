"""Lists and describes the tables of a tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from servicetsunami.sdk import ColumnDetails, Json, TableDetails, TableName, TableSummary
from servicetsunami.sdk.delta import table_not_found, to_databricks
from servicetsunami_sink_databricks.places import LAYERS, Places
from servicetsunami_sink_databricks.schemas import Columns, key_of, read_columns, source_types
from servicetsunami_sink_databricks.statements import Statements
from servicetsunami_sink_databricks.writing_sql import listed, text, words

_HISTORY = 20
_COUNTED = 100
"""Tables of a list whose rows are counted; Databricks answers a count from a table's metadata."""
_ADDED = ("numTargetRowsInserted", "numOutputRows", "numCopiedRows")
_OPERATIONS = {"COPY INTO": "WRITE", "CREATE OR REPLACE TABLE AS SELECT": "REPLACE", "CLONE": "REPLACE"}
"""What every sink calls what was done."""
_REMOVED = ("numTargetRowsDeleted", "numDeletedRows")


def summaries(statements: Statements, places: Places, layer: str | None) -> Sequence[TableSummary]:
    """Sum up every table and view of a layer, or of all."""
    wanted = [layer] if layer else list(LAYERS)
    found = statements.rows(
        words(
            "SELECT table_schema, table_name, table_type, comment, last_altered FROM",
            places.information("tables"),
            f"WHERE table_schema IN ({listed(map(text, wanted))}) ORDER BY table_schema, table_name",
        ),
        doing="listing tables",
    )
    tables = [row for row in found if row["table_type"] != "VIEW"]
    counts = _counts(statements, places, [_name(row) for row in tables[:_COUNTED]])
    return sorted((_summary(row, counts) for row in found), key=lambda one: one.table)


def details(statements: Statements, places: Places, table: TableName) -> TableDetails:
    """Describe a table with its columns and its latest changes, or a view with its query."""
    columns = read_columns(statements, places, places.of(table))
    if not columns:
        raise table_not_found(table, [one.table for one in summaries(statements, places, None)])
    definition = view_definition(statements, places, table)
    if definition is not None:
        (summary,) = [one for one in summaries(statements, places, table.layer) if one.table == table]
        return TableDetails(summary, _columns(columns, {}), (), 0, (), definition)
    name = places.of(table).quoted
    (detail,) = statements.rows(words("DESCRIBE DETAIL", name), doing="describing a table")
    shown = words("DESCRIBE HISTORY", name, f"LIMIT {_HISTORY}")
    history = statements.rows(shown, doing="reading the history of a table")
    properties = dict(detail["properties"] or ())
    rows = _counts(statements, places, [table]).get(table)
    comment = detail["description"] or ""
    summary = TableSummary(table, rows, detail["sizeInBytes"], _utc(detail["lastModified"]), comment)
    version = int(history[0]["version"]) if history else 0
    told = _columns(columns, source_types(properties))
    changes, tags = tuple(map(_change, history)), _tags(statements, places, table)
    return TableDetails(summary, told, key_of(properties), version, changes, tags=tags)


def _tags(statements: Statements, places: Places, table: TableName) -> dict[str, str]:
    query = words(
        "SELECT tag_name, tag_value FROM",
        places.information("table_tags"),
        "WHERE schema_name = :schema AND table_name = :name ORDER BY tag_name",
    )
    found = statements.rows(query, {"schema": table.layer, "name": table.name}, doing="reading the tags of a table")
    return {row["tag_name"]: row["tag_value"] or "" for row in found}


def view_definition(statements: Statements, places: Places, view: TableName) -> str | None:
    """Return the query of a view; None where there is no view of that name."""
    query = words(
        "SELECT view_definition FROM",
        places.information("views"),
        "WHERE table_schema = :schema AND table_name = :name",
    )
    found = statements.rows(query, {"schema": view.layer, "name": view.name}, doing="reading a view")
    return str(found[0]["view_definition"]) if found else None


def _counts(statements: Statements, places: Places, tables: Sequence[TableName]) -> dict[TableName, int]:
    if not tables:
        return {}
    each = [
        words("SELECT", f"{text(str(table))} AS table_name, count(*) AS n FROM", places.of(table).quoted)
        for table in tables
    ]
    found = statements.rows(" UNION ALL ".join(each), doing="counting rows")
    return {TableName.parse(row["table_name"]): int(row["n"]) for row in found}


def _summary(row: dict[str, Any], counts: dict[TableName, int]) -> TableSummary:
    table = _name(row)
    kind: Literal["table", "view"] = "view" if row["table_type"] == "VIEW" else "table"
    return TableSummary(table, counts.get(table), None, _utc(row["last_altered"]), row["comment"] or "", kind)


def _name(row: dict[str, Any]) -> TableName:
    return TableName(row["table_schema"], row["table_name"])


def _columns(columns: Columns, kinds: dict[str, str]) -> tuple[ColumnDetails, ...]:
    return tuple(
        ColumnDetails(one.name, to_databricks(one.type), one.nullable, one.comment, kinds.get(one.name, ""))
        for one in columns
    )


def _change(entry: dict[str, Any]) -> Json:
    metrics = dict(entry["operationMetrics"] or ())
    moment = _utc(entry["timestamp"])
    return {
        "version": int(entry["version"]),
        "timestamp": moment.isoformat() if moment else None,
        "operation": _OPERATIONS.get(entry["operation"], entry["operation"]),
        "rows_added": _number(metrics, _ADDED),
        "rows_removed": _number(metrics, _REMOVED),
    }


def _number(metrics: dict[str, str], names: Sequence[str]) -> int:
    return next((int(metrics[name]) for name in names if name in metrics), 0)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment is not None else None
