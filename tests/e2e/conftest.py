"""A real PostgreSQL, the real plugins, and an app in a folder of the test's own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncpg
import pytest

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.operations.app import App, local_caller, open_app
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.connections import connect_source
from servicetsunami.operations.models import RunView
from servicetsunami.operations.sync import sync_to_bronze
from servicetsunami.operations.tables import query_sql
from servicetsunami.runtime import load_settings

T = TypeVar("T")
OpenApp = Callable[[], Any]


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let children hear an interrupt: a run in the background begins with it ignored, and they would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
    admin.run(f"drop database {name} with (force)", f"drop database if exists {name}_other with (force)")


class Database:
    """A database of one test."""

    def __init__(self, server: ThrowawayServer, name: str) -> None:
        self.server = server
        self.name = name

    def sibling(self) -> Database:
        """Create a second database of the test, and return it."""
        self.run(f"create database {self.name}_other")
        return Database(self.server, f"{self.name}_other")

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
            yield app, replace(local_caller(app), by_model=False)

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

    def sync(self, connection: str, table: str, mode: str | None = None) -> RunView:
        """Sync one table and return how the run ended."""
        return self.do(lambda app, caller: sync_to_bronze(app, caller, connection, table, sync_mode=mode))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the lakehouse."""
        return list(self.do(lambda app, caller: query_sql(app, caller, sql, limit=1000)).rows)

    @contextmanager
    def tsunami(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Start the command line as a process of its own, which does not outlive the block."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TSUNAMI_")}
        with subprocess.Popen(
            [sys.executable, "-m", "servicetsunami.cli", *arguments],
            env={**inherited, "TSUNAMI_HOME": str(self.home), **environment},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGKILL)

    def command(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Run the command line to its end; returns exit code, output and errors."""
        with self.tsunami(*arguments, **environment) as process:
            output, errors = process.communicate(timeout=120)
            return process.returncode, output, errors


@pytest.fixture
def lake(tmp_path: Path, database: Database) -> Lake:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return Lake(home, database)


class Front:
    """A way to the server on a port of its own, where a connection meets a mishap after so many bytes came back."""

    def __init__(self, server: ThrowawayServer) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._listening = threading.Event()
        self._after = 0
        self._mishaps: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.reached = threading.Event()
        """Set once a connection has met a mishap; cleared by asking for another."""
        self.port = 0

    def cut(self, *, after_bytes: int, times: int = 1000) -> None:
        """Break connections."""
        self._meet([self._cut] * times, after_bytes)

    def stall(self, *, after_bytes: int) -> None:
        """Fall silent, on every connection, until `go_on`."""
        self._meet([self._stall] * 1000, after_bytes)

    def do(self, work: Callable[[], None], *, after_bytes: int) -> None:
        """Do something once, and carry on."""

        async def carry_on() -> None:
            await asyncio.to_thread(work)

        self._meet([carry_on], after_bytes)

    def go_on(self) -> None:
        """Let everything through from now on."""
        self._mishaps = []
        self._loop.call_soon_threadsafe(self._open.set)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()

    def _meet(self, mishaps: Sequence[Callable[[], Coroutine[Any, Any, None]]], after_bytes: int) -> None:
        self._mishaps, self._after = list(mishaps), after_bytes
        self.reached.clear()
        self._loop.call_soon_threadsafe(self._open.clear)

    async def _serve(self) -> None:
        self._open, self._end = asyncio.Event(), asyncio.Event()
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._end.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(self._server.host, self._server.port)
        tasks = [
            asyncio.create_task(_pump(reader, to_server, _nothing)),
            asyncio.create_task(_pump(from_server, writer, self._mishap_after())),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for stream in (writer, to_server):
                stream.transport.abort()

    def _mishap_after(self) -> Callable[[int], Coroutine[Any, Any, None]]:
        came = 0

        async def count(size: int) -> None:
            nonlocal came
            came += size
            if self._mishaps and came >= self._after:
                mishap = self._mishaps.pop()
                self.reached.set()
                await mishap()

        return count

    async def _cut(self) -> None:
        raise ConnectionAbortedError

    async def _stall(self) -> None:
        await self._open.wait()


async def _nothing(size: int) -> None:
    """Let bytes pass."""


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: Callable[[int], Coroutine[Any, Any, None]]
) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            await passing(len(data))
            writer.write(data)
            await writer.drain()


@pytest.fixture
def front(postgres: ThrowawayServer) -> Iterator[Front]:
    with Front(postgres) as opened:
        yield opened
