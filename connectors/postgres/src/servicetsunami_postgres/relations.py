"""What a feed asks the server about the tables in its log, and has it render."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from servicetsunami.sdk import Stream
from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_postgres import pgoutput
from servicetsunami_postgres.catalog import Column, Table, find_types, resolve
from servicetsunami_postgres.changing import Followed
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.feedfailures import lost
from servicetsunami_postgres.link import begin
from servicetsunami_postgres.types import TEXT, landing

_PRESENT = """
SELECT a.attname::text AS name, a.attgenerated <> '' AS is_generated,
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS is_readable
FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
"""
_TYPE_OF = """
SELECT a.attname::text AS name, a.atttypid AS type FROM pg_catalog.pg_attribute a
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
"""
_GIVEN = "pg_catalog.unnest($1::text[]) WITH ORDINALITY AS given(text, number) ORDER BY given.number"
_NAMES = """
SELECT pg_catalog.format_type(t.oid, t.modifier) AS name
FROM ROWS FROM (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::int4[])) WITH ORDINALITY AS t(oid, modifier, number)
ORDER BY t.number
"""


async def follow(
    connection: asyncpg.Connection,
    config: PostgresConfig,
    stream: Stream,
    *,
    table: Table,
    relation: pgoutput.Relation,
) -> Followed:
    """Return how the rows of a relation land, with the names and types they had when they were written."""
    await begin(connection, config)
    known = {column.name: column for column in table.columns}
    present = await connection.fetch(_PRESENT, table.oid)
    hidden = {row["name"] for row in present if not row["is_readable"]}
    types = await find_types(connection, {column.type for column in relation.columns})
    kinds = await _type_names(connection, [(column.type, column.modifier) for column in relation.columns])
    written = tuple(
        None if column.name in hidden else _column(column, kind, types, known)
        for column, kind in zip(relation.columns, kinds, strict=True)
    )
    generated = {row["name"] for row in present if row["is_generated"]} - {column.name for column in relation.columns}
    untold = tuple(column for column in table.columns if column.name in generated)
    casts = await _casts(connection, table, relation, (*written, *untold))
    await connection.execute("COMMIT")
    return Followed(stream.id, table.path, (*written, *untold), len(written), _key(stream, table, relation), casts)


async def look_up(
    connection: asyncpg.Connection,
    config: PostgresConfig,
    followed: Followed,
    *,
    keys: Sequence[Sequence[str | None]],
    columns: Sequence[Column],
) -> list[Sequence[str | None]]:
    """Return what the rows with these keys have in these columns now, as the log would print it."""
    members = followed.key_columns()
    given = [f"k{number}" for number in range(len(members))]
    texts = ", ".join(_printed(column) for column in columns)
    arrays = ", ".join(f"${number + 1}::text[]" for number in range(len(members)))
    matches = " AND ".join(
        f"t.{quote_identifier(column.name, 'postgres')} = given.{name}::{column.source_type}"
        for name, column in zip(given, members, strict=True)
    )
    unnested = f"pg_catalog.unnest({arrays}) WITH ORDINALITY AS given({', '.join(given)}, number)"
    joined = f"{unnested} LEFT JOIN {followed.path} AS t ON {matches} ORDER BY given.number"
    await begin(connection, config)
    rows = await connection.fetch(" ".join(("SELECT", texts, "FROM", joined)), *map(list, zip(*keys, strict=True)))
    await connection.execute("COMMIT")
    return [tuple(row) for row in rows]


def _printed(column: Column) -> str:
    # What the type's output function prints, as the log does: a cast to text differs for some types.
    name = f"t.{quote_identifier(column.name, 'postgres')}"
    return f"CASE WHEN {name} IS DISTINCT FROM NULL THEN pg_catalog.format('%s', {name}) END"


async def render(
    connection: asyncpg.Connection, config: PostgresConfig, column: Column, kind: str, texts: Sequence[str | None]
) -> list[str | None]:
    """Return texts of the log as a read gives them; None for what the server does not understand any more."""
    try:
        return await _render(connection, config, column, kind, texts)
    except asyncpg.PostgresError:
        await connection.execute("ROLLBACK")
    if len(texts) == 1:
        # A type may have changed since, and then it does not take every value that it gave.
        return [None]
    half = len(texts) // 2
    parts = (texts[:half], texts[half:])
    return [text for part in parts for text in await render(connection, config, column, kind, part)]


async def _render(
    connection: asyncpg.Connection, config: PostgresConfig, column: Column, kind: str, texts: Sequence[str | None]
) -> list[str | None]:
    await begin(connection, config)
    expression = column.landing.select(f"(given.text::{kind})")
    query = " ".join(("SELECT", f"({expression})::pg_catalog.text AS text", "FROM", _GIVEN))
    rows = await connection.fetch(query, list(texts))
    await connection.execute("COMMIT")
    return [row["text"] for row in rows]


def _column(column: pgoutput.RelationColumn, kind: str, types: Any, known: dict[str, Column]) -> Column:
    present = known.get(column.name)
    if present is not None and present.source_type == kind:
        return present
    lands = landing(resolve(types, column.type, column.modifier)) if column.type in types else TEXT
    return Column(column.name, kind, lands, required=False, comment=None)


async def _casts(
    connection: asyncpg.Connection, table: Table, relation: pgoutput.Relation, columns: tuple[Column | None, ...]
) -> dict[str, str]:
    """Name the type behind each column whose text in the log is not the text a read gives."""
    oids = {row["name"]: row["type"] for row in await connection.fetch(_TYPE_OF, table.oid)}
    oids |= {column.name: column.type for column in relation.columns}
    rendered = [column.name for column in columns if column is not None and _is_rendered(column)]
    types = await find_types(connection, {oids[name] for name in rendered})
    kinds = await _type_names(connection, [(_behind(types, oids[name]), -1) for name in rendered])
    return dict(zip(rendered, kinds, strict=True))


def _is_rendered(column: Column) -> bool:
    return column.landing.expression != "{}" and not column.landing.is_hex


async def _type_names(connection: asyncpg.Connection, types: list[tuple[int, int]]) -> list[str]:
    rows = await connection.fetch(_NAMES, [oid for oid, _ in types], [modifier for _, modifier in types])
    return [row["name"] for row in rows]


def _behind(types: Any, oid: int) -> int:
    """Return the type a domain is made of: a domain would check again what was checked when it was written."""
    while oid in types and types[oid]["kind"] == "d":
        oid = types[oid]["base"]
    return oid


def _key(stream: Stream, table: Table, relation: pgoutput.Relation) -> tuple[int, ...]:
    names = [column.name for column in relation.columns]
    key = stream.key or table.key
    if missing := [name for name in key if name not in names]:
        raise lost(f"column {missing[0]} of the key of {stream.id} was not there when the change was made")
    return tuple(names.index(name) for name in key)
