"""A source that a test has in hand: it tells what is read, holds a read up, and fails where it is told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import pytest
from sync_lab import Forgetful, Lab

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.operations.app import App
from servicetsunami.plugins import FoundPlugin, Plugins, discover
from servicetsunami.records import Connection, open_records, open_vault
from servicetsunami.runtime import AddressPolicy, HostContext, Presence, load_settings
from servicetsunami.sdk import Config, Item, PermanentError, Read, Source, Stream, manifest
from servicetsunami.sdk.testing import LocalContext
from servicetsunami.sync.failpoints import arm
from servicetsunami_sink_lakehouse import LakehouseConfig


@dataclass
class Beds:
    """What grows at the source, and what its reads meet."""

    rows: dict[str, int] = field(default_factory=lambda: {"oak": 3, "elm": 2, "ash": 1})
    """Tables by name, and how many rows they have."""
    views: set[str] = field(default_factory=set)
    barren: set[str] = field(default_factory=set)
    """Tables whose read fails."""
    closed: bool = False
    """True while the whole source cannot be reached."""
    held: dict[str, threading.Event] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    """Tables in the order in which their reads began."""
    most_at_once: int = 0
    _reading: set[str] = field(default_factory=set)
    _turn: threading.Condition = field(default_factory=threading.Condition)

    def hold(self, *tables: str) -> None:
        """Let reads of the tables wait for `let_go`."""
        self.held |= {table: threading.Event() for table in tables}

    def let_go(self) -> None:
        """Let every read go on, and later ones too."""
        for event in self.held.values():
            event.set()

    def wait_for(self, reads: int) -> bool:
        """Wait until so many reads have begun."""
        with self._turn:
            return self._turn.wait_for(lambda: len(self.begun) >= reads, timeout=30)

    def enter(self, table: str) -> None:
        with self._turn:
            self.begun.append(table)
            self._reading.add(table)
            self.most_at_once = max(self.most_at_once, len(self._reading))
            self._turn.notify_all()

    def leave(self, table: str) -> None:
        with self._turn:
            self._reading.discard(table)


class GardenConfig(Config):
    """Nothing to set."""


class Garden(Source[GardenConfig]):
    """Read beds."""

    name = "garden"
    beds = Beds()

    def streams(self) -> Iterable[Stream]:
        if self.beds.closed:
            raise PermanentError("the garden is closed", code="garden_closed")
        for name, rows in self.beds.rows.items():
            is_view = name in self.beds.views
            yield Stream(name, rows=rows, kind="view" if is_view else "table", key=() if is_view else ("id",))

    def read(self, read: Read) -> Iterator[Item]:
        table = read.stream.name
        self.beds.enter(table)
        try:
            yield from self._rows(table)
        finally:
            self.beds.leave(table)

    def _rows(self, table: str) -> Iterator[Item]:
        gate = self.beds.held.get(table)
        while gate is not None and not gate.is_set():
            self.ctx.sleep(0.01)
        if table in self.beds.barren:
            raise PermanentError(f"nothing grows in {table}", code="barren")
        yield [{"id": number} for number in range(self.beds.rows[table])]


class GardenApp(App):
    """An app whose one connector reads the test's beds, in this process."""

    beds: Beds

    def open_source(self, connection: Connection, _: Mapping[str, str], cancel: threading.Event) -> Source[Any]:
        folder = self.settings.home / "data" / connection.tenant / "garden"
        context = HostContext(
            connection.tenant, "garden", folder, AddressPolicy(True, ()), cancel, self.redactor, connection.id
        )
        source = Garden(GardenConfig(), context)
        source.beds = self.beds
        return source


class GardenHome:
    """An installation whose source is the test's own; it is opened as often as a test wants processes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.beds = Beds()

    @asynccontextmanager
    async def open(self, **settings: str) -> AsyncIterator[GardenApp]:
        """Open the app, as a process of its own would."""
        loaded = load_settings({"home": str(self.home), **settings}, environ={}, cwd=self.home)
        found = [plugin for plugin in discover().found if plugin.kind == "sink"]
        garden = FoundPlugin("garden", "connector", Garden, "garden", "1", None, manifest(Garden))
        async with AsyncExitStack() as stack:
            presence = stack.enter_context(closing(Presence(self.home)))
            vault = open_vault(self.home, master_key=None, use_keyring=False)
            records = await open_records(f"sqlite:///{self.home}/records.db", vault)
            app = GardenApp(loaded, Plugins((garden, *found)), records, presence)
            stack.push_async_callback(app.close)
            app.beds = self.beds
            await records.create_tenant("default")
            yield app


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def garden(tmp_path: Path) -> Iterator[GardenHome]:
    opened = GardenHome(tmp_path)
    yield opened
    opened.beds.let_go()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    sink = Forgetful(LakehouseConfig(), LocalContext(data_dir=tmp_path / "data", tenant="acme"))
    lab = Lab(tmp_path, sink)
    lab.world.put(*((number, f"name {number}", number) for number in range(10)))
    yield lab
    arm("")
    sink.close()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], str]]:
    """Make the URLs of fresh databases."""
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("records")
        yield lambda: f"sqlite:///{folder}/{uuid4().hex}.db"
        return
    with throwaway_postgres() as server:
        yield lambda: asyncio.run(_create_database(server))


async def _create_database(server: ThrowawayServer) -> str:
    place = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    connection = await asyncpg.connect(**place, database=server.database)
    name = f"records_{uuid4().hex}"
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return f"postgres://{server.user}:{quote(server.password, safe='')}@{server.host}:{server.port}/{name}"
