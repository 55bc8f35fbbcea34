"""What the database has: tables and views, their columns, types and keys."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, inspect
from sqlalchemy import types as sql
from sqlalchemy.engine.reflection import ObjectKind, ObjectScope

from servicetsunami.sdk import NotFound, Stream, nearest
from servicetsunami_sqlalchemy.config import SqlConfig
from servicetsunami_sqlalchemy.types import arrow_type

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Found:
    """One table or view."""

    schema: str | None
    name: str
    kinds: Mapping[str, sql.TypeEngine[Any]]
    """The columns' types at the source, in order."""
    nullable: frozenset[str]
    key: tuple[str, ...]
    is_view: bool

    @property
    def id(self) -> str:
        """The name that people use."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def arrow(self) -> pa.Schema:
        """The Arrow schema of the rows."""
        import pyarrow as pa

        return pa.schema(
            [
                pa.field(name, arrow_type(kind), name in self.nullable, {"source_type": str(kind)})
                for name, kind in self.kinds.items()
            ]
        )

    def stream(self) -> Stream:
        """Describe it to the host."""
        schema = self.arrow
        return Stream(
            self.name,
            namespace=self.schema,
            schema=schema,
            key=self.key,
            cursor_candidates=tuple(_candidates(schema)),
            kind="view" if self.is_view else "table",
        )


def _candidates(schema: pa.Schema) -> Iterator[str]:
    """Name columns that may grow with every change: moments first, those whose names say so before the others."""
    import pyarrow as pa

    moments = [field.name for field in schema if pa.types.is_timestamp(field.type)]
    yield from sorted(moments, key=lambda name: not any(part in name.lower() for part in ("updat", "modif", "chang")))
    yield from (field.name for field in schema if pa.types.is_integer(field.type) and not field.nullable)


def tables_of(connection: Connection, config: SqlConfig) -> list[Found]:
    """Return every table and view, the default schema's first, by name."""
    found: list[Found] = []
    for schema in dict.fromkeys((None, *config.schemas)):
        found += sorted(_in_schema(connection, schema), key=lambda one: one.name)
    return found


def _in_schema(connection: Connection, schema: str | None) -> Iterator[Found]:
    inspector = inspect(connection)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a type that SQLAlchemy does not know is read as text
        told = inspector.get_multi_columns(schema=schema, kind=ObjectKind.ANY, scope=ObjectScope.ANY)
    keys: dict[Any, Any] = dict(inspector.get_multi_pk_constraint(schema=schema, kind=ObjectKind.TABLE))
    views = set(inspector.get_view_names(schema))
    for place, columns in told.items():
        key = (keys.get(place) or {}).get("constrained_columns") or ()
        kinds = {one["name"]: one["type"] for one in columns}
        nullable = frozenset(one["name"] for one in columns if one.get("nullable", True))
        if connection.dialect.name == "sqlite":
            key = _sqlite_key(tuple(key), kinds, nullable)
        yield Found(schema, place[1], kinds, nullable - set(key), tuple(key), place[1] in views)


def _sqlite_key(
    key: tuple[str, ...], kinds: Mapping[str, sql.TypeEngine[Any]], nullable: frozenset[str]
) -> tuple[str, ...]:
    """Return a key that holds no null: SQLite lets nulls into keys, but for one INTEGER, which is the row's number."""
    is_row_number = len(key) == 1 and str(kinds[key[0]]) == "INTEGER"
    return key if is_row_number or not nullable & set(key) else ()


def find(tables: list[Found], wanted: str) -> Found:
    """Return a table by the name people use; raises `NotFound` with near names."""
    known = {one.id: one for one in tables}
    if wanted not in known:
        raise NotFound(
            f"there is no table '{wanted}' that this user may read",
            code="stream_not_found",
            fix="list the tables of the connection",
            did_you_mean=nearest(wanted, known),
        )
    return known[wanted]
