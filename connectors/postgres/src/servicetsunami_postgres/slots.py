"""The replication slot of a feed: it makes the server keep its log until what was read from it is acknowledged."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import asyncpg

from servicetsunami.sdk import Json, PermanentError, Stream, TransientError
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.feedfailures import feed_failed, lost
from servicetsunami_postgres.link import APPLICATION_NAME

_SLOT = """
SELECT s.confirmed_flush_lsn::text AS confirmed, s.restart_lsn::text AS restart, s.wal_status, s.active_pid,
       s.plugin::text AS plugin, s.database = pg_catalog.current_database() AS is_here,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()::text
            ELSE pg_catalog.pg_current_wal_lsn()::text END AS written
FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $1
"""
_DROP = """
SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1
"""
_ADVANCE = "SELECT pg_catalog.pg_replication_slot_advance($1, $2::text::pg_catalog.pg_lsn)"
_STEP_BYTES = 4 << 30
_OURS = "SELECT usename = current_user AND application_name = $2 FROM pg_catalog.pg_stat_activity WHERE pid = $1"
_INSERTED = "SELECT pg_catalog.pg_current_wal_insert_lsn()::text"
_FLUSHED = "SELECT pg_catalog.pg_current_wal_flush_lsn()::text"
_FLUSH_SECONDS = 1.0
_FREE_SECONDS = 5.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Slot:
    """A slot as the server shows it; positions are byte numbers of the log."""

    confirmed: int
    restart: int | None
    """From here on the server keeps its log; None where it keeps none for the slot any more."""
    written: int
    status: str | None
    active_pid: int | None
    is_ours: bool

    @property
    def lag_bytes(self) -> int | None:
        """How much of its log the server keeps for the slot."""
        return None if self.restart is None else max(0, self.written - self.restart)


def feed_name(connection: str, streams: Sequence[Stream]) -> str:
    """Return the name of the slot and the publication, the same at each call."""
    words = [connection, *sorted(stream.id for stream in streams)]
    return f"tsunami_{hashlib.sha256(chr(0).join(words).encode()).hexdigest()[:20]}"


def lsn(text: str) -> int:
    """Read a position as the server writes it: `16/B374D848`."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(position: int) -> str:
    """Write a position as the server does."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


async def find_slot(connection: asyncpg.Connection, name: str) -> Slot | None:
    """Return the slot; None where there is none."""
    row = await connection.fetchrow(_SLOT, name)
    if row is None:
        return None
    return Slot(
        confirmed=lsn(row["confirmed"] or "0/0"),
        restart=row["restart"] and lsn(row["restart"]),
        written=lsn(row["written"]),
        status=row["wal_status"],
        active_pid=row["active_pid"],
        is_ours=row["plugin"] == "pgoutput" and row["is_here"],
    )


async def holding(connection: asyncpg.Connection, state: Json, config: PostgresConfig) -> Slot:
    """Return the slot that holds the log behind `state`; raises `feed_lost` where it does not reach back to it."""
    name, reached = state["slot"], lsn(state["lsn"])
    slot = await find_slot(connection, name)
    if slot is None:
        raise lost(f"the replication slot {name} is not there any more")
    if not slot.is_ours:
        raise lost(f"the replication slot {name} is another one")
    if slot.status == "lost" or slot.restart is None:
        raise lost(f"the server threw away the log that the replication slot {name} stood for")
    if slot.confirmed > reached:
        raise lost(f"the replication slot {name} was moved on to {lsn_text(slot.confirmed)} by somebody else")
    if slot.written < reached:
        raise lost(f"the server's log ends at {lsn_text(slot.written)}: it was restored to an earlier moment")
    most = config.max_lag_mb * 1024 * 1024
    if most and slot.lag_bytes is not None and slot.lag_bytes > most:
        await drop_slot(connection, name)
        raise lost(f"the replication slot {name} held {slot.lag_bytes >> 20} MiB, more than max_lag_mb; it was dropped")
    return slot


async def create_slot(connection: asyncpg.Connection, name: str, config: PostgresConfig) -> int:
    """Make the slot anew and return the position from which on it holds the log."""
    await drop_slot(connection, name)
    try:
        # It begins where no transaction is open, and waits for those that are.
        text = await connection.fetchval(
            "SELECT lsn::text FROM pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')",
            name,
            timeout=config.stall_timeout_seconds,
        )
    except TimeoutError as error:
        raise TransientError(
            f"a transaction has been open for {config.stall_timeout_seconds} seconds, and the feed cannot begin before",
            code="feed_waits",
            fix="end the transactions that stay open (pg_stat_activity, pg_prepared_xacts), then try again",
        ) from error
    except asyncpg.PostgresError as error:
        raise feed_failed(error, config, name) from error
    return lsn(text)


async def advance_slot(connection: asyncpg.Connection, state: Json, config: PostgresConfig) -> None:
    """Let the server forget the log before `state`."""
    slot = await find_slot(connection, state["slot"])
    if slot is None:
        raise lost(f"the replication slot {state['slot']} is not there any more")
    if slot.confirmed >= lsn(state["lsn"]):
        return
    await free_slot(connection, state["slot"])
    try:
        for position in _steps(slot.confirmed, lsn(state["lsn"])):
            await connection.execute(_ADVANCE, state["slot"], lsn_text(position))
    except asyncpg.PostgresError as error:
        raise feed_failed(error, config, state["slot"]) from error


def _steps(reached: int, end: int) -> Iterator[int]:
    # The server reads all that it may forget once more; what it has read stays read where somebody gives up waiting.
    while end - reached > _STEP_BYTES:
        reached += _STEP_BYTES
        yield reached
    yield end


async def drop_slot(connection: asyncpg.Connection, name: str) -> None:
    """Remove the slot if it is there."""
    if await find_slot(connection, name) is None:
        return
    await free_slot(connection, name)
    await connection.execute(_DROP, name)


async def free_slot(connection: asyncpg.Connection, name: str) -> None:
    """End what we left reading from the slot, such as the query of a process that was killed."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + _FREE_SECONDS
    while (slot := await find_slot(connection, name)) is not None and slot.active_pid is not None:
        if await connection.fetchval(_OURS, slot.active_pid, APPLICATION_NAME):
            await connection.fetchval("SELECT pg_catalog.pg_terminate_backend($1)", slot.active_pid)
        if clock() > deadline:
            raise TransientError(
                f"the replication slot {name} is in use by process {slot.active_pid} of the server",
                code="feed_busy",
                fix="wait until it has ended, or end it with pg_terminate_backend",
            )
        await asyncio.sleep(_POLL_SECONDS)


async def settled_end(connection: asyncpg.Connection) -> int:
    """Return where the log ends now, between two records, all before it being on the server's disk.

    0 where that cannot be had: a record may be half on the disk for long while nobody commits.
    """
    end = lsn(await connection.fetchval(_INSERTED))
    clock = asyncio.get_running_loop().time
    deadline = clock() + _FLUSH_SECONDS
    while lsn(await connection.fetchval(_FLUSHED)) < end:
        if clock() > deadline:
            return 0
        await asyncio.sleep(_POLL_SECONDS)
    return end


def state_of(name: str, position: int) -> Json:
    """Write the state of a feed."""
    if not position:
        raise PermanentError("the server did not say where its log is", code="feed_failed")
    return {"slot": name, "publication": name, "lsn": lsn_text(position)}
