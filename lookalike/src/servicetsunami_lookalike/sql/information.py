"""The information schema of a catalog: what clients ask of it, as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from servicetsunami.sdk.delta import decimal_of, to_databricks
from servicetsunami_lookalike.sql.catalogs import Table
from servicetsunami_lookalike.sql.duck import Name
from servicetsunami_lookalike.sql.errors import SqlError, no_table
from servicetsunami_lookalike.sql.session import Session

_TEXT, _WHOLE, _TIME = pa.string(), pa.int32(), pa.timestamp("us", tz="UTC")
Row = tuple[Any, ...]


def information(session: Session, name: Name) -> pa.Table:
    """Return a table of the information schema, with what the principal may see."""
    found = _TABLES.get(name[2])
    if found is None:
        raise no_table(f"`{name[0]}`.`information_schema`.`{name[2]}`")
    schema, rows = found
    columns: list[tuple[Any, ...]] = list(zip(*rows(session, name[0]), strict=True)) or [() for _ in schema]
    return pa.table([pa.array(values, one.type) for values, one in zip(columns, schema, strict=True)], schema=schema)


def visible(session: Session, catalog: str) -> Iterator[tuple[Name, Table]]:
    """Yield the tables of a catalog that the principal may read."""
    for name, table in session.catalogs.tables(catalog):
        try:
            session.require("SELECT", name)
        except SqlError:
            continue
        yield name, table


def _tables(session: Session, catalog: str) -> Iterator[Row]:
    for name, table in visible(session, catalog):
        changed = _moment(table)
        kind = "VIEW" if table.definition else "MANAGED"
        yield *name, kind, table.owner, table.comment or None, changed, changed, None if table.definition else "DELTA"


def _columns(session: Session, catalog: str) -> Iterator[Row]:
    for name, table in visible(session, catalog):
        for position, column in enumerate(session.catalogs.columns(name)):
            kind = to_databricks(column.type)
            digits = decimal_of(column.type) or (None, None)
            nullable = "YES" if column.nullable else "NO"
            comment = table.column_comments.get(column.name.casefold())
            plain = kind.partition("<")[0].partition("(")[0]
            yield *name, column.name, position, nullable, kind.lower(), plain, *digits, None, None, comment, None, None


def _schemata(session: Session, catalog: str) -> Iterator[Row]:
    for name, schema in sorted(session.catalogs.catalog(catalog).schemas.items()):
        yield catalog, name, schema.owner, schema.comment or None


def _views(session: Session, catalog: str) -> Iterator[Row]:
    for name, table in visible(session, catalog):
        if table.definition:
            yield *name, table.definition


def _volumes(session: Session, catalog: str) -> Iterator[Row]:
    for name, schema in sorted(session.catalogs.catalog(catalog).schemas.items()):
        for volume, comment in sorted(schema.volumes.items()):
            yield catalog, name, volume, "MANAGED", comment or None


def _table_tags(session: Session, catalog: str) -> Iterator[Row]:
    for name, table in visible(session, catalog):
        for tag, value in sorted(table.tags.items()):
            yield *name, tag, value


def _column_tags(session: Session, catalog: str) -> Iterator[Row]:
    for name, table in visible(session, catalog):
        for (column, tag), value in sorted(table.column_tags.items()):
            yield *name, column, tag, value


def _constraints(session: Session, catalog: str) -> Iterator[Row]:
    for name, table in visible(session, catalog):
        if table.primary_key:
            yield *name[:2], f"{name[2]}_pk", *name, "PRIMARY KEY", "NO"


def _key_columns(session: Session, catalog: str) -> Iterator[Row]:
    for name, table in visible(session, catalog):
        for position, column in enumerate(table.primary_key, start=1):
            yield *name[:2], f"{name[2]}_pk", *name, column, position


def _moment(table: Table) -> datetime | None:
    return datetime.fromtimestamp(table.history[-1]["timestamp"] / 1e6, UTC) if table.history else None


def _schema(texts: str, *others: tuple[str, pa.DataType]) -> pa.Schema:
    kinds = dict(others)
    return pa.schema([(name, kinds.get(name, _TEXT)) for name in texts.split()])


_NAME = "table_catalog table_schema table_name"
_CONSTRAINT = f"constraint_catalog constraint_schema constraint_name {_NAME}"
_TABLES: dict[str, tuple[pa.Schema, Callable[[Session, str], Iterator[Row] | Sequence[Row]]]] = {
    "tables": (
        _schema(
            f"{_NAME} table_type table_owner comment created last_altered data_source_format",
            ("created", _TIME),
            ("last_altered", _TIME),
        ),
        _tables,
    ),
    "columns": (
        _schema(
            f"{_NAME} column_name ordinal_position is_nullable full_data_type data_type numeric_precision "
            "numeric_scale character_maximum_length datetime_precision comment column_default "
            "partition_ordinal_position",
            *((name, _WHOLE) for name in ("ordinal_position", "numeric_precision", "numeric_scale")),
            *((name, _WHOLE) for name in ("character_maximum_length", "datetime_precision")),
            ("partition_ordinal_position", _WHOLE),
        ),
        _columns,
    ),
    "schemata": (_schema("catalog_name schema_name schema_owner comment"), _schemata),
    "views": (_schema(f"{_NAME} view_definition"), _views),
    "volumes": (_schema("volume_catalog volume_schema volume_name volume_type comment"), _volumes),
    "table_tags": (_schema("catalog_name schema_name table_name tag_name tag_value"), _table_tags),
    "column_tags": (_schema("catalog_name schema_name table_name column_name tag_name tag_value"), _column_tags),
    "table_constraints": (_schema(f"{_CONSTRAINT} constraint_type enforced"), _constraints),
    "key_column_usage": (
        _schema(f"{_CONSTRAINT} column_name ordinal_position", ("ordinal_position", _WHOLE)),
        _key_columns,
    ),
}
