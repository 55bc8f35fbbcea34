"""The columns of a table, and the statements that bring them where a load needs them; each may be run again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from servicetsunami.sdk.delta import Column, to_databricks
from servicetsunami_sink_databricks.places import Place, Places
from servicetsunami_sink_databricks.statements import Statements
from servicetsunami_sink_databricks.type_texts import read_type
from servicetsunami_sink_databricks.writing_sql import (
    KEY,
    SOURCE_TYPES,
    constraint,
    definition,
    listed,
    name,
    options,
    pairs,
    text,
    words,
)

Columns = tuple[Column, ...]


def read_columns(statements: Statements, places: Places, place: Place) -> Columns:
    """Return the columns of a table or view in their order; none where it is not there."""
    found = statements.rows(
        words(
            "SELECT column_name, full_data_type, is_nullable, comment FROM",
            places.information("columns"),
            "WHERE table_schema = :schema AND table_name = :name ORDER BY ordinal_position",
        ),
        {"schema": place.schema, "name": place.name},
        doing="reading the columns of a table",
    )
    return tuple(
        Column(row["column_name"], read_type(row["full_data_type"]), row["is_nullable"] == "YES", row["comment"] or "")
        for row in found
    )


def read_properties(statements: Statements, place: Place) -> dict[str, str]:
    """Return the properties of a table."""
    shown = statements.rows(words("SHOW TBLPROPERTIES", place.quoted), doing="reading the properties of a table")
    return {row["key"]: row["value"] for row in shown}


def conform(
    statements: Statements, place: Place, now: Columns, wanted: Columns, key: Sequence[str], comment: str
) -> None:
    """Make the table, or bring it from the columns it has to those it is wanted with."""
    for statement in changes(place, now, wanted, key, comment):
        statements.rows(statement, doing=f"changing the table {place.table}")
    if now and any(column.source_type for column in wanted):
        _keep_source_types(statements, place, wanted)


def changes(place: Place, now: Columns, wanted: Columns, key: Sequence[str], comment: str) -> list[str]:
    """Write the statements that lead from some columns to others; CREATE where there are none."""
    if not now:
        return [create(place, wanted, key, comment)]
    known = {column.name.casefold(): column for column in now}
    new = [column for column in wanted if column.name.casefold() not in known]
    steps = []
    if new:
        added = listed(definition(replace(column, nullable=True)) for column in new)
        steps.append(words("ALTER TABLE", place.quoted, "ADD COLUMNS", f"({added})"))
    for column in wanted:
        former = known.get(column.name.casefold())
        if former is not None:
            steps += [words("ALTER TABLE", place.quoted, "ALTER COLUMN", step) for step in _steps(former, column)]
    return steps


def create(place: Place, columns: Columns, key: Sequence[str], comment: str, *, how: str = "IF NOT EXISTS") -> str:
    """Write the statement that makes a table; `how` may replace one that is there."""
    parts = [definition(column) for column in columns]
    primary = constraint(place.name, columns, key)
    inside = listed([*parts, primary] if primary else parts)
    verb = "CREATE TABLE IF NOT EXISTS" if how == "IF NOT EXISTS" else "CREATE OR REPLACE TABLE"
    return words(verb, place.quoted, f"({inside})", options(columns, key, comment))


def _steps(former: Column, column: Column) -> list[str]:
    quoted = name(former.name)
    steps = []
    if column.nullable and not former.nullable:
        steps.append(words(quoted, "DROP NOT NULL"))
    if to_databricks(former.type) != to_databricks(column.type):
        steps.append(words(quoted, "TYPE", to_databricks(column.type)))
    if column.comment and column.comment != former.comment:
        steps.append(words(quoted, "COMMENT", text(column.comment)))
    return steps


def _keep_source_types(statements: Statements, place: Place, columns: Columns) -> None:
    known = source_types(read_properties(statements, place))
    wanted = {**known, **{column.name: column.source_type for column in columns if column.source_type}}
    if wanted != known:
        told = pairs({SOURCE_TYPES: json.dumps(wanted)})
        statement = words("ALTER TABLE", place.quoted, "SET TBLPROPERTIES", f"({told})")
        statements.rows(statement, doing=f"changing the table {place.table}")


def source_types(properties: dict[str, str]) -> dict[str, str]:
    """Return the types that columns had at the source, by name."""
    return {str(one): str(kind) for one, kind in json.loads(properties.get(SOURCE_TYPES, "{}")).items()}


def key_of(properties: dict[str, str]) -> tuple[str, ...]:
    """Return the key of a table."""
    return tuple(str(one) for one in json.loads(properties.get(KEY, "[]")))
