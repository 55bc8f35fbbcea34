"""The publication of a feed: it names the tables whose changes the server tells, and needs their owner."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_postgres.catalog import Table
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.failures import words
from servicetsunami_postgres.feedfailures import (
    is_standby,
    no_identity,
    no_publication,
    not_followable,
    not_logical,
    too_old,
)

_SERVER = "SELECT pg_catalog.current_setting('wal_level') AS level, pg_catalog.pg_is_in_recovery() AS standby"
# Every table whose rows the log tells of, with the columns by which it names an updated or deleted one.
_IDENTITIES = """
WITH RECURSIVE family(oid) AS (
    SELECT $1::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.oid)
SELECT c.relname::text AS name, c.relkind = 'p' AS is_parent, c.relpersistence = 'p' AS is_logged,
       c.relreplident::text AS identity,
       (SELECT pg_catalog.array_agg(a.attname::text) FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = c.oid
          AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END) AS columns
FROM family f JOIN pg_catalog.pg_class c USING (oid)
"""
_PUBLICATION = """
SELECT p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AND p.pubviaroot AND NOT p.puballtables AS fits,
       pg_catalog.pg_has_role(p.pubowner, 'USAGE') AS is_ours,
       NOT EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid
                   AND coalesce(pg_catalog.to_jsonb(r) ->> 'prqual', pg_catalog.to_jsonb(r) ->> 'prattrs') IS NOT NULL)
         AS is_whole,
       coalesce((SELECT pg_catalog.array_agg(r.prrelid) FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid),
                '{}') AS tables
FROM pg_catalog.pg_publication p WHERE p.pubname = $1
"""
# A publication takes a lock that a vacuum or an ALTER TABLE holds for long.
_PATIENCE = "SET LOCAL lock_timeout = '10s'"
_SECURED = "SELECT pg_catalog.row_security_active($1::oid)"
_SINCE = 13
# Before this version generated columns are never told; from it on those that are stored can be.
_TELLS_GENERATED = 18


async def check_server(connection: asyncpg.Connection) -> None:
    """Raise where the server cannot have a feed."""
    version = connection.get_server_version()
    if version.major < _SINCE:
        raise too_old(f"{version.major}.{version.minor}")
    server = await connection.fetchrow(_SERVER)
    if server["standby"]:
        raise is_standby()
    if server["level"] != "logical":
        raise not_logical(server["level"])


async def check_followable(connection: asyncpg.Connection, table: Table, key: Sequence[str]) -> None:
    """Raise where the log would not tell every change of the table, by its key.

    Without this check a publication would make the server refuse the updates and deletes of its own users.
    """
    if table.kind not in ("table", "partitioned table"):
        raise not_followable(table.path, table.kind)
    if await connection.fetchval(_SECURED, table.oid):
        raise not_followable(table.path, "table of which row security hides rows from the role")
    members = await connection.fetch(_IDENTITIES, table.oid)
    if table.kind == "table" and len(members) > 1:
        raise not_followable(table.path, "table that others inherit from")
    for member in members:
        _check_member(table, member, key)


def _check_member(table: Table, member: asyncpg.Record, key: Sequence[str]) -> None:
    if not member["is_logged"]:
        raise not_followable(table.path, "table that is not logged")
    if member["identity"] == "f" or member["is_parent"]:
        return
    if member["identity"] == "n" or not member["columns"]:
        raise no_identity(table.path, f"{member['name']} has no replica identity")
    if missing := [name for name in key if name not in member["columns"]]:
        raise no_identity(table.path, f"column {missing[0]} of the key is not in its replica identity")


async def make_publication(
    connection: asyncpg.Connection, name: str, tables: Sequence[Table], config: PostgresConfig
) -> None:
    """Publish these tables under `name`; one that an administrator has made that way before is taken as it is."""
    found = await connection.fetchrow(_PUBLICATION, name)
    if found and found["fits"] and found["is_whole"] and set(found["tables"]) == {table.oid for table in tables}:
        return
    sql = _creation(name, tables, connection.get_server_version().major)
    try:
        async with connection.transaction():
            await connection.execute(_PATIENCE)
            if found:
                await connection.execute(f"DROP PUBLICATION {quote_identifier(name, 'postgres')}")
            await connection.execute(sql)
    except asyncpg.InsufficientPrivilegeError as error:
        raise no_publication(config, words(error, config), sql) from error


async def drop_publication(connection: asyncpg.Connection, name: str) -> None:
    """Remove the publication, if it is there and ours: one that an administrator made stays."""
    found = await connection.fetchrow(_PUBLICATION, name)
    if found and found["is_ours"]:
        await connection.execute(f"DROP PUBLICATION IF EXISTS {quote_identifier(name, 'postgres')}")


async def publishes(connection: asyncpg.Connection, name: str, tables: Sequence[Table]) -> bool:
    """Tell whether the publication still holds these very tables: one made anew under its old name is not in it."""
    found = await connection.fetchrow(_PUBLICATION, name)
    return found is not None and {table.oid for table in tables} <= set(found["tables"])


def _creation(name: str, tables: Sequence[Table], version: int) -> str:
    options = "publish = 'insert, update, delete, truncate', publish_via_partition_root = true"
    if version >= _TELLS_GENERATED:
        options += ", publish_generated_columns = stored"
    paths = ", ".join(table.path for table in tables)
    return f"CREATE PUBLICATION {quote_identifier(name, 'postgres')} FOR TABLE {paths} WITH ({options})"
