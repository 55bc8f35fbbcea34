"""How far a cursor is settled: what no transaction that is open before a read's snapshot can still add to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pyarrow as pa

from servicetsunami.sdk import Json, Stream, Watermark
from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_postgres.catalog import Column, Table
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.link import begin
from servicetsunami_postgres.reading import find_table

WAIT_SECONDS = 2.0
"""How long a read waits for the transactions that were open before it."""

_POLL_SECONDS = 0.05
# The server fixes a transaction's now() a little before it shows the transaction.
_SAFETY = timedelta(seconds=1)
# A timestamp without a zone is told by the clock on some wall: none on Earth is further behind UTC.
_BEHIND_UTC = timedelta(hours=12)
_KINDS = ("table", "partitioned table", "view")

# Whether rows can come that no transaction of this server stamped: a standby, a subscription, a foreign table.
_FAMILY = """
WITH RECURSIVE family(oid) AS (
    SELECT $1::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.oid)
SELECT pg_catalog.array_agg(f.oid) AS members,
       pg_catalog.pg_is_in_recovery()
       OR EXISTS (SELECT FROM pg_catalog.pg_subscription_rel s JOIN family g ON g.oid = s.srrelid)
       OR EXISTS (SELECT FROM pg_catalog.pg_class c JOIN family g USING (oid) WHERE c.relkind = 'f') AS from_elsewhere
FROM family f
"""
# Numbers that sessions keep in stock, or that count down: one below the greatest may come at any time.
_UNORDERED = """
SELECT coalesce(pg_catalog.bool_or(s.seqcache > 1 OR s.seqincrement < 0 OR s.seqcycle), false)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_depend d ON
    (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = a.attrelid
     AND d.refobjsubid = a.attnum AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
     AND d.deptype IN ('a', 'i'))
    OR (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid =
        (SELECT v.oid FROM pg_catalog.pg_attrdef v WHERE v.adrelid = a.attrelid AND v.adnum = a.attnum))
JOIN pg_catalog.pg_sequence s ON s.seqrelid IN (d.objid, d.refobjid)
WHERE a.attrelid = $1 AND a.attname = $2
"""
# Who may read statistics sees when each transaction began; everybody sees that it is there.
_OPEN = """
SELECT l.virtualtransaction AS transaction, a.xact_start AS started
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
  AND (a.datid IS NULL OR a.datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
"""
_WRITERS = """
SELECT DISTINCT l.virtualtransaction AS transaction FROM pg_catalog.pg_locks l
WHERE l.locktype = 'relation' AND l.relation = ANY ($1::oid[]) AND l.mode = 'RowExclusiveLock' AND l.granted
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""
_PREPARED = _WRITERS + " AND l.pid IS NULL"
_LASTING = "SELECT count(*) FROM pg_catalog.pg_locks WHERE virtualtransaction = ANY ($1::text[])"


async def settle(connection: asyncpg.Connection, config: PostgresConfig, stream: Stream) -> Watermark | None:
    """Return how far the stream's cursor is settled for a snapshot taken after this; None where nobody can tell.

    Waits for open transactions, at most `WAIT_SECONDS`. The connection has no transaction, before and after.
    """
    if stream.cursor is None:
        return None
    await begin(connection, config)
    table = await find_table(connection, stream)
    family = await connection.fetchrow(_FAMILY, table.oid)
    column = next((column for column in table.columns if column.name == stream.cursor), None)
    highest = await _highest(connection, table, column) if column and _is_number(column) else None
    await connection.execute("COMMIT")
    if column is None or family["from_elsewhere"] or table.kind not in _KINDS:
        return None
    if _is_number(column):
        settled = highest is not None and await _writers_ended(connection, family["members"])
        return None if table.kind == "view" else Watermark(highest if settled else None)
    read = _moment_reader(column)
    moment = await _settled_moment(connection, family["members"]) if read else None
    return Watermark(moment and read(moment)) if read else None


def encode_watermark(watermark: Watermark | None) -> Json:
    """Write a watermark into the parameters of a split."""
    if watermark is None:
        return {}
    value = watermark.value
    text = value.isoformat() if isinstance(value, date) else None if value is None else str(value)
    return {"watermark": [type(value).__name__, text]}


def decode_watermark(params: Json) -> Watermark | None:
    """Read a watermark back from the parameters of a split."""
    if "watermark" not in params:
        return None
    kind, text = params["watermark"]
    return Watermark(None if text is None else _READERS[kind](text))


_READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "Decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
}


def _is_number(column: Column) -> bool:
    return bool(pa.types.is_integer(column.landing.type) or pa.types.is_decimal(column.landing.type))


def _moment_reader(column: Column) -> Callable[[datetime], Any] | None:
    """Return what turns a moment into the least value that a transaction begun then can write into the column."""
    kind = column.landing.type
    if pa.types.is_date(kind):
        return lambda moment: (moment - _BEHIND_UTC).date()
    if not pa.types.is_timestamp(kind):
        return None
    return (lambda moment: moment) if kind.tz else (lambda moment: (moment - _BEHIND_UTC).replace(tzinfo=None))


async def _highest(connection: asyncpg.Connection, table: Table, column: Column) -> Any:
    if await connection.fetchval(_UNORDERED, table.oid, column.name):
        return None
    greatest = f"pg_catalog.max({quote_identifier(column.name, 'postgres')})"
    value = await connection.fetchval(" ".join(("SELECT", greatest, "FROM", table.path)))
    return value if not isinstance(value, Decimal) or value.is_finite() else None


async def _writers_ended(connection: asyncpg.Connection, family: list[int]) -> bool:
    # A number is drawn under the lock that every writer keeps to its end: who draws one later than the greatest that
    # was seen draws a greater one.
    writers = {row["transaction"] for row in await connection.fetch(_WRITERS, family)}
    return await _ended(connection, writers, family)


async def _settled_moment(connection: asyncpg.Connection, family: list[int]) -> datetime | None:
    # The clock first: who is not seen open after it began after it.
    now = await connection.fetchval("SELECT pg_catalog.clock_timestamp()")
    transactions = await connection.fetch(_OPEN)
    hidden = {row["transaction"] for row in transactions if row["started"] is None}
    if not await _ended(connection, hidden, family):
        return None
    started = [row["started"] for row in transactions if row["started"] is not None]
    moment: datetime = min([now, *started]) - _SAFETY
    return moment.astimezone(UTC)


async def _ended(connection: asyncpg.Connection, transactions: Collection[str], family: list[int]) -> bool:
    """Wait for the transactions to end; False if one does not, or lives on as a prepared one."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + WAIT_SECONDS
    while transactions and await connection.fetchval(_LASTING, list(transactions)):
        if clock() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return not await connection.fetch(_PREPARED, family)
