"""What the role may read, found with three catalogue queries however many tables there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import pyarrow as pa

from servicetsunami.sdk import Stream
from servicetsunami.sdk.sql import quote_identifier, quote_path
from servicetsunami_postgres.cursors import cursor_candidates, default_cursor
from servicetsunami_postgres.types import Landing, SourceType, landing

DEFAULT_SCHEMA = "public"
_KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}

# Views that belong to an extension are its own business. Sizes are those of the last vacuum or analyze: the exact ones
# would wait for every lock.
_RELATIONS = """
SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       c.reltuples::bigint AS rows, c.relpages::bigint * pg_catalog.current_setting('block_size')::bigint AS size,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment, c.relrowsecurity AS secured
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND NOT c.relispartition
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (pg_catalog.cardinality($1::text[]) = 0 OR n.nspname = ANY ($1::text[]))
  AND ($2::text IS NULL OR c.relname = $2::text)
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
  AND NOT (c.relkind = 'v' AND EXISTS (
        SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'))
ORDER BY n.nspname, c.relname
"""
_COLUMNS = """
SELECT a.attrelid AS relation, a.attnum AS number, a.attname::text AS name, a.atttypid AS type,
       a.atttypmod AS modifier, a.attnotnull AS required,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS source_type,
       pg_catalog.col_description(a.attrelid, a.attnum) AS comment
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
  AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
ORDER BY a.attrelid, a.attnum
"""
_KEYS = """
SELECT i.indrelid AS relation, i.indisprimary AS is_primary,
       (i.indkey::int2[])[0:i.indnkeyatts - 1] AS numbers
FROM pg_catalog.pg_index i
WHERE i.indrelid = ANY ($1::oid[]) AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, i.indexrelid
"""
_TYPES = """
WITH RECURSIVE t AS (
    SELECT y.* FROM pg_catalog.pg_type y WHERE y.oid = ANY ($1::oid[])
    UNION
    SELECT y.* FROM t JOIN pg_catalog.pg_type y ON y.oid = t.typbasetype)
SELECT t.oid, t.typname::text AS name, n.nspname::text AS schema, t.typtype::text AS kind,
       coalesce(t.oid = (SELECT e.typarray FROM pg_catalog.pg_type e WHERE e.oid = t.typelem), false) AS is_array,
       t.typbasetype AS base, t.typtypmod AS modifier
FROM t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
"""


@dataclass(frozen=True)
class Column:
    """One readable column."""

    name: str
    source_type: str
    """The type as PostgreSQL writes it, quoted where needed."""
    landing: Landing
    required: bool
    comment: str | None

    @property
    def select(self) -> str:
        """The SELECT expression whose text lands in the column."""
        return self.landing.select(quote_identifier(self.name, "postgres"))

    @property
    def field(self) -> pa.Field:
        """The Arrow field, with comment and source type as metadata."""
        metadata = {"source_type": self.source_type}
        if self.comment:
            metadata["comment"] = self.comment
        return pa.field(self.name, self.landing.type, metadata=metadata)


@dataclass(frozen=True)
class Table:
    """One readable table, view or the like."""

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rows: int | None
    size_bytes: int | None
    comment: str | None
    secured: bool
    """True where row security filters what the role sees."""

    @property
    def path(self) -> str:
        """The quoted name."""
        return quote_path(self.schema, self.name, dialect="postgres")

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of all columns."""
        return pa.schema([column.field for column in self.columns])

    def stream(self) -> Stream:
        """Describe the table as the host knows it."""
        return Stream(
            self.name,
            namespace=None if self.schema == DEFAULT_SCHEMA else self.schema,
            schema=self.arrow_schema,
            key=self.key,
            cursor=default_cursor(self.columns, self.key),
            cursor_candidates=cursor_candidates(self.columns, self.key),
            resumable=bool(self.key) and self.kind in ("table", "partitioned table") and not self.secured,
            rows=self.rows,
            size_bytes=self.size_bytes,
            kind=self.kind,
            description=self.comment or "",
        )


async def find_tables(
    connection: asyncpg.Connection, schemas: Iterable[str] = (), name: str | None = None
) -> list[Table]:
    """Return the readable tables of `schemas` (none for all), or those called `name`, by schema and name."""
    relations = await connection.fetch(_RELATIONS, list(schemas), name)
    oids = [relation["oid"] for relation in relations]
    columns = await connection.fetch(_COLUMNS, oids)
    keys = await connection.fetch(_KEYS, oids)
    types = await find_types(connection, {column["type"] for column in columns})
    columns_of, keys_of = _by_relation(columns), _by_relation(keys)
    return [
        _table(relation, columns_of[relation["oid"]], keys_of[relation["oid"]], types)
        for relation in relations
        if columns_of[relation["oid"]]
    ]


async def find_types(connection: asyncpg.Connection, oids: Iterable[int]) -> Mapping[int, Any]:
    """Return the catalogue's rows of these types and of what their domains are made of."""
    return {row["oid"]: row for row in await connection.fetch(_TYPES, list(oids))}


def resolve(types: Mapping[int, Any], oid: int, modifier: int) -> SourceType:
    """Return the type behind `oid`, through every domain."""
    row = types[oid]
    while row["kind"] == "d":
        # A domain carries the modifier of what it is made of; only the last one counts.
        oid, modifier = row["base"], row["modifier"]
        row = types[oid]
    return SourceType(row["name"], row["schema"], row["kind"], is_array=row["is_array"], modifier=modifier)


def _by_relation(rows: Iterable[Any]) -> defaultdict[int, list[Any]]:
    grouped: defaultdict[int, list[Any]] = defaultdict(list)
    for row in rows:
        grouped[row["relation"]].append(row)
    return grouped


def _table(relation: Any, columns: list[Any], keys: list[Any], types: Mapping[int, Any]) -> Table:
    rows, size = relation["rows"], relation["size"]
    return Table(
        oid=relation["oid"],
        schema=relation["schema"],
        name=relation["name"],
        kind=_KINDS[relation["kind"]],
        columns=tuple(_column(column, types) for column in columns),
        key=_key(columns, keys),
        rows=rows if rows >= 0 and relation["kind"] != "v" else None,
        size_bytes=size or None,
        comment=relation["comment"],
        secured=relation["secured"],
    )


def _column(row: Any, types: Mapping[int, Any]) -> Column:
    return Column(
        name=row["name"],
        source_type=row["source_type"],
        landing=landing(resolve(types, row["type"], row["modifier"])),
        required=row["required"],
        comment=row["comment"],
    )


def _key(columns: list[Any], keys: list[Any]) -> tuple[str, ...]:
    """Take the primary key, else the shortest unique index whose columns are never null."""
    readable = {column["number"]: column for column in columns}
    for key in keys:
        members = [readable.get(number) for number in key["numbers"]]
        if all(member is not None and member["required"] for member in members):
            return tuple(member["name"] for member in members if member is not None)
    return ()
