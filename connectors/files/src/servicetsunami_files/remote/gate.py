"""A proxy on this machine's loopback, for clients that connect by themselves: it connects by the host's dialling.

So the store's client resolves no name and reaches no address that the host did not check, and TLS is still verified
against the name. It serves one source, from the moment that one is opened until it is closed.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from servicetsunami.sdk import Address, TsunamiError

_LONGEST_HEAD = 64 * 1024
_PART = 256 * 1024
_SECONDS = 60.0


class Gate:
    """Listens on loopback and relays to what may be dialled."""

    def __init__(self, dial: Callable[..., Address]) -> None:
        self._dial = dial
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.refusal: TsunamiError | None = None
        """Why the last connection was not made."""
        threading.Thread(target=self._run, name="gate", daemon=True).start()

    @property
    def url(self) -> str:
        """The address that clients take as their proxy."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Stop listening and cut every connection."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(inner,), name="gate", daemon=True).start()

    def _serve(self, inner: socket.socket) -> None:
        with inner, suppress(OSError):
            inner.settimeout(_SECONDS)
            head, rest = _head(inner)
            method, target, *_ = head.decode("latin-1").split(" ", 2)
            host, port = _place(method, target)
            try:
                address = self._dial(host, port)
            except TsunamiError as error:
                self.refusal = error
                inner.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            with socket.create_connection((address.ip, address.port), _SECONDS) as outer:
                if method == "CONNECT":
                    inner.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    outer.sendall(_for_origin(head, target) + rest)
                self._relay(inner, outer)

    def _relay(self, inner: socket.socket, outer: socket.socket) -> None:
        both = {inner, outer}
        with self._lock:
            self._open |= both
        back = threading.Thread(target=_pump, args=(outer, inner), name="gate", daemon=True)
        back.start()
        _pump(inner, outer)
        back.join()
        with self._lock:
            self._open -= both


def _head(inner: socket.socket) -> tuple[bytes, bytes]:
    """Read the head of a request; return it, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = inner.recv(_PART)
        if not part or len(data) > _LONGEST_HEAD:
            raise OSError("no request came")
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _place(method: str, target: str) -> tuple[str, int]:
    parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
    return parts.hostname or "", parts.port or 80


def _for_origin(head: bytes, target: str) -> bytes:
    """Write a request as its server expects it, and let it be the last on its connection: the next may go elsewhere."""
    line, _, headers = head.partition(b"\r\n")
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    first = line.replace(target.encode("latin-1"), path.encode("latin-1"), 1)
    return first + b"\r\nconnection: close\r\n" + headers


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(_PART):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
