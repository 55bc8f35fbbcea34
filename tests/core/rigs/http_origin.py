"""A server on a socket that answers byte by byte, and the connectors' client opened for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from servicetsunami.sdk.http import HttpClient
from servicetsunami.sdk.testing import LocalContext


@dataclass
class Origin:
    """A server that answers each request with the next of its answers, byte by byte as given, and then closes."""

    answers: list[bytes]
    requests: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        answers = iter(self.answers)
        with suppress(OSError):  # the listener is closed at the end of the test
            while True:
                peer, _ = self._listener.accept()
                with peer:
                    head = _head(peer)
                    if head:  # dialling proves that somebody listens, and says nothing
                        self.requests.append(head)
                        peer.sendall(next(answers, b"").replace(b"{self}", self.url.encode()))

    def close(self) -> None:
        self._listener.close()


def _head(peer: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read and (more := peer.recv(65536)):
        read += more
    return read


def reply(body: bytes = b"[]", status: str = "200 OK", **headers: str) -> bytes:
    """Write an answer with its length; headers are given with _ for -."""
    lines = {"content_length": str(len(body)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items() if value)
    return f"HTTP/1.1 {status}\r\nconnection: close\r\n{head}\r\n".encode() + body


Opened = Callable[..., tuple[HttpClient, Origin]]


@contextmanager
def opening(folder: Path) -> Iterator[Opened]:
    """Open clients, each for a server with the answers given; their pauses are not slept."""
    closers: list[Any] = []

    def open_both(*answers: bytes, **options: Any) -> tuple[HttpClient, Origin]:
        origin = Origin(list(answers))
        client = LocalContext(data_dir=folder).http(origin.url, **options)
        client = replace(client, sleep=lambda _seconds: None)
        closers.extend((client, origin))
        return client, origin

    yield open_both
    for one in closers:
        one.close()
