"""The source of the matrix: tables whose every row carries its id, the number of its change, and a hash of both."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import asyncpg

from servicetsunami.cli.throwaway_postgres import ThrowawayServer

Mode = Literal["full", "append", "merge", "changes"]
Row = tuple[int, int, str, str]
Rows = Counter[Row]
COLUMNS = "id, seqno, payload, digest"

_COLUMNS = """
    (id bigint not null, seqno bigint not null default nextval('steps'), payload text not null,
     digest text generated always as (md5(id::text || ':' || seqno::text || ':' || payload)) stored{key})
"""
_NEW = "insert into {table} (id, payload) select n, repeat(md5(n::text), 4) from generate_series({low}, {high}) as n"
_UPDATE = "update {table} set payload = repeat(md5(id || 'u'), 4), seqno = nextval('steps') where id % 3 = 0"
_MOVE = "update {table} set id = -id where id % 50 = 7"
_DELETE = "delete from {table} where id % 7 = 5"


@dataclass(frozen=True)
class Shape:
    """How the table of a mode is synced and changes between two syncs."""

    sync_mode: str
    keyed: bool
    changes: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)


SHAPES: dict[Mode, Shape] = {
    "full": Shape("full", True, (_UPDATE, _DELETE, _MOVE)),
    "append": Shape("incremental", False, (), {"cursor": "seqno"}),
    "merge": Shape("incremental", True, (_UPDATE,), {"cursor": "seqno"}),
    "changes": Shape("changes", True, (_UPDATE, _DELETE, _MOVE)),
}


class Source:
    """A database of the server, as its owner sees it."""

    def __init__(self, server: ThrowawayServer, name: str) -> None:
        self.server = server
        self.name = name

    @classmethod
    def create(cls, server: ThrowawayServer, name: str) -> Source:
        """Create the database."""
        cls(server, server.database).run(f"create database {name}")
        source = cls(server, name)
        source.run("create sequence steps")
        return source

    def run(self, *statements: str) -> None:
        """Execute statements, each in a transaction of its own."""
        asyncio.run(self._run(statements))

    def rows(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Return what a query answers."""
        return asyncio.run(self._rows(sql, arguments))

    def settings(self, port: int) -> dict[str, Any]:
        """Return a connection's settings, by way of the proxy on `port`."""
        server = self.server
        account = {"user": server.user, "password": server.password}
        return {"host": "127.0.0.1", "port": port, "database": self.name, "stall_timeout_seconds": 1, **account}

    def make(self, mode: Mode, table: str, rows: int) -> None:
        """Create and fill a table for a mode."""
        key = ", primary key (id)" if SHAPES[mode].keyed else ""
        self.run(f"create table {table} {_COLUMNS.format(key=key)}", _NEW.format(table=table, low=1, high=rows))

    def change(self, mode: Mode, table: str, rows: int) -> None:
        """Change a table as its mode allows, and add rows."""
        changes = [statement.format(table=table) for statement in SHAPES[mode].changes]
        self.run(*changes, _NEW.format(table=table, low=rows + 1, high=2 * rows))

    def table(self, name: str) -> Rows:
        """Return every row of a table."""
        return Counter(self.rows(f"select {COLUMNS} from {name}"))

    def sessions(self) -> int:
        """Return how many sessions of the product are open here."""
        sql = "select count(*) from pg_stat_activity where application_name = 'servicetsunami' and datname = $1"
        return int(self.rows(sql, self.name)[0][0])

    def terminate(self) -> None:
        """End every session of the product, as an operator or a fail-over does."""
        self.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'servicetsunami' and datname = $1",
            self.name,
        )

    def slots(self) -> list[str]:
        """Return the names of the replication slots of this database."""
        sql = "select slot_name from pg_replication_slots where database = $1 order by 1"
        return [str(name) for (name,) in self.rows(sql, self.name)]

    async def connect(self) -> asyncpg.Connection:
        server = self.server
        return await asyncpg.connect(
            host=server.host, port=server.port, user=server.user, password=server.password, database=self.name
        )

    async def _run(self, statements: Sequence[str]) -> None:
        connection = await self.connect()
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def _rows(self, sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        connection = await self.connect()
        try:
            return [tuple(row) for row in await connection.fetch(sql, *arguments)]
        finally:
            await connection.close()
