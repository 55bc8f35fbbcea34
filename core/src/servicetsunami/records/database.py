"""One database: transactions that any process may race.

Work on it is a plain function of a SQLAlchemy connection, run as one transaction. SQLAlchemy's asyncio package imports
the ORM, which nothing here uses and which costs 0.27 CPU seconds at each start; the bridge beneath it does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.util import greenlet_spawn

from servicetsunami.records.address import with_driver
from servicetsunami.records.faults import database_faults

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

_T = TypeVar("_T")

_BUSY_SECONDS = 30
_CONNECT_SECONDS = 10
_LOCK_KEY = int.from_bytes(b"tsunami")
"""The advisory lock of PostgreSQL that is ours."""
_WRITES = "tsunami_writes"


class Database:
    """A SQLite file or a PostgreSQL database; made from a URL by `database_at`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Writers of one process queue here: SQLite's own waiting polls and is not fair.
        self._writing: AbstractAsyncContextManager[None] = asyncio.Lock() if is_sqlite(engine) else nullcontext()

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run `work` as one transaction that only reads."""
        return await self._run(work, writes=False)

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """Run `work` as one transaction that may write; it is undone if `work` raises."""
        async with self._writing:
            return await self._run(work, writes=True)

    async def close(self) -> None:
        """Close every connection."""
        await greenlet_spawn(self._engine.dispose)

    async def _run(self, work: Callable[[Connection], _T], *, writes: bool) -> _T:
        with database_faults():
            return await _whole(greenlet_spawn(_transact, self._engine, work, writes))


async def _whole(transaction: Coroutine[Any, Any, _T]) -> _T:
    """Let a transaction end by itself where its caller is cancelled: one cut within its own end keeps its lock."""
    running = asyncio.ensure_future(transaction)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        running.exception()  # nobody is left to hear of it
        raise


def database_at(url: str) -> Database:
    """Prepare the database at `url`, which is opened when first used; raises `ConfigError` for a URL not served."""
    parsed = with_driver(url)
    return Database(_sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgres(parsed))


def is_sqlite(source: Engine | Connection) -> bool:
    """Tell whether the database is a SQLite file."""
    return source.dialect.name == "sqlite"


def upsert(db: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Begin an insert that can say what happens on a conflict."""
    if is_sqlite(db):
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def hold_lock(db: Connection, *, shared: bool = False) -> None:
    """Hold the installation's one lock until the transaction ends; a writer on SQLite holds it anyway."""
    if not is_sqlite(db):
        lock = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
        db.execute(select(lock(_LOCK_KEY)))


def _transact(engine: Engine, work: Callable[[Connection], _T], writes: bool) -> _T:
    with engine.connect() as connection, connection.execution_options(**{_WRITES: writes}).begin():
        return work(connection)


def _sqlite(url: URL) -> Engine:
    file = Path(str(url.database))
    with database_faults():
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.touch(mode=0o600)
    # Without an isolation level the driver begins no transaction of its own accord: _begin does.
    arguments = {"timeout": _BUSY_SECONDS, "isolation_level": None}
    engine = create_engine(url, connect_args=arguments, hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _postgres(url: URL) -> Engine:
    arguments = {"timeout": _CONNECT_SECONDS, "server_settings": {"application_name": "servicetsunami"}}
    return create_engine(url, connect_args=arguments, pool_pre_ping=True, hide_parameters=True)


def _prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A writer takes its lock at once; one that began by reading could not wait for another writer to end.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
