"""A real PostgreSQL, the real plugins, and an app in a folder of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.operations.app import App, Caller, local_caller, open_app
from servicetsunami.operations.connections import connect_source
from servicetsunami.runtime import load_settings

T = TypeVar("T")
OpenApp = Callable[[], Any]


@pytest.fixture(scope="session")
def postgres() -> Iterator[ThrowawayServer]:
    with throwaway_postgres() as server:
        yield server


@pytest.fixture
def database(postgres: ThrowawayServer, request: pytest.FixtureRequest) -> Iterator[Database]:
    name = f"t{abs(hash(request.node.nodeid)) % 10**12}"
    admin = Database(postgres, postgres.database)
    admin.run(f"create database {name}")
    yield Database(postgres, name)
    admin.run(f"drop database {name} with (force)")


class Database:
    """A database of one test."""

    def __init__(self, server: ThrowawayServer, name: str) -> None:
        self.server = server
        self.name = name

    def run(self, *statements: str) -> None:
        """Execute statements, one by one."""
        asyncio.run(self._run(statements))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what a query answers."""
        return asyncio.run(self._rows(sql))

    def config(self, **changes: Any) -> dict[str, Any]:
        """Return the connector's settings for this database."""
        server = self.server
        return {
            "host": server.host,
            "port": server.port,
            "database": self.name,
            "user": server.user,
            "password": server.password,
        } | changes

    async def connect(self) -> asyncpg.Connection:
        server = self.server
        return await asyncpg.connect(
            host=server.host, port=server.port, user=server.user, password=server.password, database=self.name
        )

    async def _run(self, statements: tuple[str, ...]) -> None:
        connection = await self.connect()
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = await self.connect()
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()


class Lake:
    """An installation in a folder of its own, driven through its operations."""

    def __init__(self, home: Path, database: Database) -> None:
        self.home = home
        self.database = database

    @asynccontextmanager
    async def open(self, **flags: Any) -> AsyncIterator[tuple[App, Caller]]:
        """Open the app, as a process of its own would."""
        loaded = load_settings({"home": str(self.home), **flags}, environ={}, cwd=self.home)
        async with open_app(loaded) as app:
            yield app, local_caller(app)

    def do(self, work: Callable[[App, Caller], Coroutine[Any, Any, T]], **flags: Any) -> T:
        """Open the app, run one operation, close the app."""

        async def run() -> T:
            async with self.open(**flags) as (app, caller):
                return await work(app, caller)

        return asyncio.run(run())

    def connect(self, name: str = "shop", streams: dict[str, Any] | None = None, **changes: Any) -> str:
        """Connect the database; returns the connection's id."""
        config = self.database.config(**changes)
        result = self.do(
            lambda app, caller: connect_source(
                app, caller, connector="postgres", name=name, config=config, streams=streams
            )
        )
        return result.connection_id


@pytest.fixture
def lake(tmp_path: Path, database: Database) -> Lake:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return Lake(home, database)
