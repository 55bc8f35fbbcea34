"""A connector that dials, for the tests of the sandbox; each mode is one thing it does with what it dialled."""

from __future__ import annotations

import gc
import json
import os
import socket
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pyarrow as pa

from servicetsunami.sdk import Config, Item, Read, Source, Stream

_SIZE = 1_000_000


class DiallingConfig(Config):
    """What is dialled."""

    mode: str = "echo"
    host: str = "127.0.0.1"
    port: int = 0
    other_port: int = 0
    connections: int = 1


class Dialling(Source[DiallingConfig]):
    """Yields one row about what became of it."""

    name = "dialling"

    def check(self) -> None:
        """Dial."""
        self.ctx.dial(self.config.host, self.config.port)

    def streams(self) -> Iterable[Stream]:
        """Dial and name one stream."""
        self.check()
        yield Stream("t", schema=pa.schema([("found", pa.string())]))

    def read(self, read: Read) -> Iterator[Item]:
        """Do what `mode` says."""
        yield [{"stream": read.stream.id, "found": str(getattr(self, f"_{self.config.mode}")())}]

    def _echo(self) -> list[bool]:
        """Send a lot over every connection at once, end the sending, and compare what comes back."""
        with ExitStack() as stack, ThreadPoolExecutor() as threads:
            opened = [stack.enter_context(self._connect()) for _ in range(self.config.connections)]
            return [*threads.map(_echoes, opened)]

    def _download(self) -> str:
        """Receive until the end, and name the end."""
        with self._connect() as connection:
            connection.sendall(b"go")
            try:
                received = len(_received(connection))
            except ConnectionError as error:
                return type(error).__name__
        return f"{received} bytes"

    def _too_many(self) -> int:
        """Count the connections that work, of more than any connector may have."""
        with ExitStack() as stack:
            opened = []
            for _ in range(self.config.connections):
                with suppress(ConnectionError):
                    opened.append(stack.enter_context(self._connect()))
            return sum(map(_answers, opened))

    def _dial_often(self) -> list[bool]:
        """Tell whether the first and the last of many addresses still answer."""
        dialled = [self.ctx.dial(self.config.host, self.config.port) for _ in range(self.config.connections)]
        return [_reachable(dialled[0].port), _reachable(dialled[-1].port)]

    def _pass_by(self) -> str:
        """Connect to a port that was not dialled."""
        try:
            socket.create_connection((self.config.host, self.config.other_port), timeout=5).close()
        except OSError as error:
            return type(error).__name__
        return "connected"

    def _ask_wrongly(self) -> list[str]:
        """Ask the host for connections in ways that it does not understand, then as it does."""
        asking = next(found for found in gc.get_objects() if type(found).__name__ == "Asking")
        requests: socket.socket = asking._requests  # what a connector that means harm would look for
        request = json.dumps({"host": self.config.host, "port": self.config.port, "timeout_seconds": 5}).encode()
        told = []
        with Path(os.devnull).open(encoding="utf-8") as file:
            for text, passed in (
                (b"[" * 50_000, []),
                (b"{}", []),
                (b"[]", []),
                (request, []),
                (request, [file.fileno()]),
            ):
                socket.send_fds(requests, [text], passed)
                told.append(json.loads(requests.recv(65_536))["error"]["code"])
        return [*told, *map(str, self._echo())]

    def _listen_wrongly(self) -> bool:
        """Hand over a socket that does not listen, and dial on."""
        asking = next(found for found in gc.get_objects() if type(found).__name__ == "Asking")
        request = {"host": self.config.host, "port": self.config.port, "timeout_seconds": 5}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as stream:
            datagrams.bind(("127.0.0.1", 0))
            for wrong in (datagrams, stream):
                asking._ask(request, wrong)
            datagrams.sendto(b"x", datagrams.getsockname())
        return self._echo() == [True]

    def _look(self) -> list[str]:
        """Name the families of the sockets that this process has, a dialled connection open."""
        with self._connect() as connection:
            found = {socket.socket(fileno=os.dup(one)).family.name for one in _sockets() if one != connection.fileno()}
        return sorted(found)

    def _connect(self) -> socket.socket:
        address = self.ctx.dial(self.config.host, self.config.port)
        return socket.create_connection((address.ip, address.port), timeout=30)


def _echoes(connection: socket.socket) -> bool:
    sent = os.urandom(_SIZE)
    with ThreadPoolExecutor(1) as thread:
        received = thread.submit(_received, connection)
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return received.result() == sent


def _reachable(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            return _answers(connection)
    except OSError:
        return False


def _received(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def _answers(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
        return connection.recv(1) == b"x"
    except OSError:
        return False


def _sockets() -> Iterator[int]:
    for descriptor in range(256):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                yield descriptor
