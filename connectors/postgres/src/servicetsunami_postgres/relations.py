"""What a feed asks the server about the tables in its log, and has it render."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from servicetsunami.sdk import Stream
from servicetsunami_postgres import pgoutput
from servicetsunami_postgres.catalog import Column, Table, find_types, resolve
from servicetsunami_postgres.changing import Followed
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.feedfailures import no_identity
from servicetsunami_postgres.link import begin
from servicetsunami_postgres.types import TEXT, landing

_HIDDEN = """
SELECT a.attname::text AS name FROM pg_catalog.pg_attribute a
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
  AND NOT pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
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
    hidden = {row["name"] for row in await connection.fetch(_HIDDEN, relation.oid)}
    types = await find_types(connection, {column.type for column in relation.columns})
    kinds = await _type_names(connection, [(column.type, column.modifier) for column in relation.columns])
    columns = tuple(
        None if column.name in hidden else _column(column, kind, types, known)
        for column, kind in zip(relation.columns, kinds, strict=True)
    )
    casts = await _casts(connection, relation, columns, types)
    await connection.execute("COMMIT")
    return Followed(stream.id, columns, _key(stream, relation), casts)


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
    connection: asyncpg.Connection, relation: pgoutput.Relation, columns: tuple[Column | None, ...], types: Any
) -> dict[str, str]:
    """Name the type behind each column whose text in the log is not the text a read gives."""
    rendered = [
        (column.name, _behind(types, written.type))
        for column, written in zip(columns, relation.columns, strict=True)
        if column is not None and column.landing.expression != "{}" and not column.landing.is_hex
    ]
    kinds = await _type_names(connection, [(oid, -1) for _, oid in rendered])
    return {name: kind for (name, _), kind in zip(rendered, kinds, strict=True)}


async def _type_names(connection: asyncpg.Connection, types: list[tuple[int, int]]) -> list[str]:
    rows = await connection.fetch(_NAMES, [oid for oid, _ in types], [modifier for _, modifier in types])
    return [row["name"] for row in rows]


def _behind(types: Any, oid: int) -> int:
    """Return the type a domain is made of: a domain would check again what was checked when it was written."""
    while oid in types and types[oid]["kind"] == "d":
        oid = types[oid]["base"]
    return oid


def _key(stream: Stream, relation: pgoutput.Relation) -> tuple[int, ...]:
    names = [column.name for column in relation.columns]
    missing = [name for name in stream.key if name not in names]
    if missing:
        raise no_identity(stream.id, f"column {missing[0]} of the key was not there when the change was made")
    return tuple(names.index(name) for name in stream.key)
