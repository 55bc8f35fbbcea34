"""An operator may have workers run in bubblewrap, and is told where that cannot be."""

from __future__ import annotations

import importlib
import os
import shutil
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

import pytest

from servicetsunami.runtime import AddressPolicy, Redactor
from servicetsunami.runtime.dialling import dial
from servicetsunami.sdk import ConfigError, Read, Source, TransientError
from servicetsunami.sync.workers import Limits, Spec, WorkerPool, open_in_worker
from servicetsunami_postgres import connectors

needs_bubblewrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


class Server:
    """Listens on a port of this machine, and does the same with every connection."""

    def __init__(self, serve: Callable[[socket.socket], object]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.used = threading.Event()
        """Set when something has come over a connection, which nothing does over one that only proves it is open."""
        self.ended = threading.Event()
        """Set when such a connection is over."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if connection.recv(1, socket.MSG_PEEK):
                self.used.set()
                self._serve(connection)
                self.ended.set()


def echo_back(connection: socket.socket) -> None:
    """Send back what comes, until the other side has ended."""
    while part := connection.recv(65_536):
        connection.sendall(part)


def close_in_order(connection: socket.socket) -> None:
    """Take the request, send some bytes and end."""
    connection.recv(10)
    connection.sendall(b"x" * 100_000)


def reset(connection: socket.socket) -> None:
    """Send some bytes and break off."""
    connection.recv(10)
    connection.sendall(b"x" * 1000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def say_nothing(connection: socket.socket) -> None:
    """Wait for the other side to end, in whatever way."""
    connection.recv(10)
    with suppress(OSError):
        connection.recv(10)


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool(Limits(), Redactor(), sandbox="bubblewrap")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "worker_plugins"))


def opened(pool: WorkerPool, folder: Path, name: str, **config: Any) -> Source[Any]:
    plugin = getattr(importlib.import_module("odd_connectors"), name)
    spec = Spec(plugin, config, "default", "conn_1", folder, AddressPolicy())
    return open_in_worker(pool, spec, plugin.config_type(**config), threading.Event())


@needs_bubblewrap
def test_a_sandboxed_worker_sees_its_own_folder_and_no_other(pool: WorkerPool, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/private").write_text("not for connectors", encoding="utf-8")
    wanted = ["/etc/passwd", str(tmp_path / "other/private"), str(tmp_path / "own")]

    source = opened(pool, tmp_path / "own", "Looking", wanted=wanted)
    items: Iterator[Any] = source.read(Read(next(iter(source.streams()))))
    (row,) = next(items).to_pylist()
    source.close()

    assert row["seen"] == [str(tmp_path / "own")]
    assert row["processes"] < 5
    assert (tmp_path / "own/written").exists()


@needs_bubblewrap
def test_a_sandboxed_worker_that_crashes_is_told_from_one_that_leaves(pool: WorkerPool, tmp_path: Path) -> None:
    source = opened(pool, tmp_path / "own", "Odd", mode="crash")

    with pytest.raises(TransientError) as raised:
        list(source.read(Read(next(iter(source.streams())))))

    assert raised.value.code == "worker_died"
    assert "SIGSEGV" in raised.value.message
    source.close()


def test_a_sandbox_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigError) as refused:
        WorkerPool(Limits(), Redactor(), sandbox="bubblewrap")

    assert (refused.value.code, refused.value.field) == ("sandbox_unavailable", "sandbox")


@pytest.fixture
def echo() -> Iterator[Server]:
    with Server(echo_back) as server:
        yield server


def row_of(source: Source[Any]) -> str:
    """Return what the connector tells about its dialling."""
    with closing(source):
        items: Iterator[Any] = source.read(Read(next(iter(source.streams()))))
        (batch,) = items
        return str(batch.to_pylist()[0]["found"])


@needs_bubblewrap
def test_a_sandboxed_connector_reaches_what_it_dialled_over_connections_at_once(
    pool: WorkerPool, tmp_path: Path, echo: Server
) -> None:
    source = dialling(pool, tmp_path, port=echo.port, connections=2)

    found = row_of(source)

    assert found == "[True, True]"


@needs_bubblewrap
def test_a_sandboxed_connector_reaches_nothing_that_it_did_not_dial(
    pool: WorkerPool, tmp_path: Path, echo: Server
) -> None:
    with Server(echo_back) as other:
        source = dialling(pool, tmp_path, mode="pass_by", port=echo.port, other_port=other.port)

        found = row_of(source)

    assert found == "ConnectionRefusedError"
    assert other.connections == 0


@needs_bubblewrap
def test_a_sandboxed_worker_holds_no_socket_of_the_hosts_network(
    pool: WorkerPool, tmp_path: Path, echo: Server
) -> None:
    source = dialling(pool, tmp_path, mode="look", port=echo.port)

    found = row_of(source)

    assert found == "['AF_UNIX']"


@needs_bubblewrap
@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "user:secret@host", "x" * 5000])
def test_a_dial_from_the_sandbox_is_refused_as_one_outside(pool: WorkerPool, tmp_path: Path, host: str) -> None:
    policy = AddressPolicy(allow_private=False)
    source = dialling(pool, tmp_path, policy, host=host, port=5432)

    with closing(source), pytest.raises(ConfigError) as inside:
        source.check()

    with pytest.raises(ConfigError) as outside:
        dial(host, 5432, policy)
    assert inside.value.problem() == outside.value.problem()
    assert inside.value.code == "address_not_allowed"


@needs_bubblewrap
def test_a_port_that_nobody_listens_at_is_told_in_the_sandbox(pool: WorkerPool, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    source = dialling(pool, tmp_path, port=port)

    with closing(source), pytest.raises(ConfigError) as refused:
        source.check()

    assert refused.value.code == "connection_refused"


@needs_bubblewrap
@pytest.mark.parametrize(("serve", "found"), [(reset, "ConnectionResetError"), (close_in_order, "100000 bytes")])
def test_how_a_server_ends_a_connection_is_seen_in_the_sandbox(
    pool: WorkerPool, tmp_path: Path, serve: Callable[[socket.socket], object], found: str
) -> None:
    with Server(serve) as server:
        source = dialling(pool, tmp_path, mode="download", port=server.port)

        told = row_of(source)

    assert told == found


@needs_bubblewrap
def test_a_sandboxed_worker_has_a_bounded_number_of_connections(pool: WorkerPool, tmp_path: Path, echo: Server) -> None:
    source = dialling(pool, tmp_path, mode="too_many", port=echo.port, connections=20)

    found = row_of(source)

    assert found == "16"


@needs_bubblewrap
def test_of_many_dialled_addresses_the_latest_are_kept(pool: WorkerPool, tmp_path: Path, echo: Server) -> None:
    source = dialling(pool, tmp_path, mode="dial_often", port=echo.port, connections=65)

    found = row_of(source)

    assert found == "[False, True]"


@needs_bubblewrap
@pytest.mark.parametrize(
    ("mode", "found"), [("ask_wrongly", str(["worker_misused"] * 5 + ["True"])), ("listen_wrongly", "True")]
)
def test_a_worker_that_asks_as_it_may_not_is_told_so_and_may_ask_again(
    pool: WorkerPool, tmp_path: Path, echo: Server, mode: str, found: str
) -> None:
    source = dialling(pool, tmp_path, mode=mode, port=echo.port)

    told = row_of(source)

    assert told == found


@needs_bubblewrap
def test_a_worker_that_is_used_again_dials_for_its_new_source(pool: WorkerPool, tmp_path: Path, echo: Server) -> None:
    found = [row_of(dialling(pool, tmp_path, port=echo.port)) for _ in range(3)]

    assert found == ["[True]"] * 3


@needs_bubblewrap
def test_connections_end_with_their_worker(pool: WorkerPool, tmp_path: Path) -> None:
    with Server(say_nothing) as server:
        source = dialling(pool, tmp_path, mode="download", port=server.port)
        items = source.read(Read(next(iter(source.streams()))))
        reader = threading.Thread(target=suppressed, args=(items,))
        reader.start()
        assert server.used.wait(30)

        pool.close()

        reader.join(30)
        assert server.ended.wait(30)
    source.close()


@needs_bubblewrap
def test_a_unix_socket_is_refused_in_the_sandbox(pool: WorkerPool, tmp_path: Path) -> None:
    plugin = connectors()[0]
    (tmp_path / "sockets").mkdir()
    config = {"host": str(tmp_path / "sockets"), "database": "d", "user": "u", "password": "p"}
    spec = Spec(plugin, config, "default", "conn_1", tmp_path / "own", AddressPolicy())
    source = open_in_worker(pool, spec, plugin.config_type(**config), threading.Event())

    with closing(source), pytest.raises(ConfigError) as refused:
        source.check()

    assert refused.value.field == "host"
    assert "sandbox" in (refused.value.fix or "")


def test_a_machine_that_permits_no_network_of_its_own_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: loopback: Operation not permitted' >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with pytest.raises(ConfigError) as refused:
        WorkerPool(Limits(), Redactor(), sandbox="bubblewrap")

    assert refused.value.code == "sandbox_unavailable"
    assert refused.value.why == "bwrap: loopback: Operation not permitted"


def dialling(pool: WorkerPool, folder: Path, policy: AddressPolicy | None = None, **config: Any) -> Source[Any]:
    """Open the connector that dials."""
    plugin = importlib.import_module("dialling_connectors").Dialling
    spec = Spec(plugin, config, "default", "conn_1", folder / "own", policy or AddressPolicy())
    return open_in_worker(pool, spec, plugin.config_type(**config), threading.Event())


def suppressed(items: Iterator[Any]) -> None:
    """Read on until the worker is gone."""
    with suppress(TransientError):
        list(items)
