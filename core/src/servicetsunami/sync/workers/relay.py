"""Passing bytes between a connection in a worker's network and the one that the host made for it.

Each relay has a thread and one buffer a direction. An end of stream is passed on as one, a reset as a reset.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

_BUFFER_BYTES = 256 << 10
_CONNECT_SECONDS = 10.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Relay:
    """One connection and its counterpart, which is made when the relay runs."""

    def __init__(self, inner: socket.socket, address: tuple[str, int]) -> None:
        """Take over `inner`; `address` is an IP address and a port."""
        self._inner = inner
        self._address = address
        self._lock = threading.Lock()
        self._outer: socket.socket | None = None
        self._cut = False

    def run(self) -> None:
        """Connect, and pass bytes on until both sides have ended or one is lost; closes both."""
        try:
            self._join(socket.create_connection(self._address, _CONNECT_SECONDS))
        except OSError:
            self._end(_reset)
        else:
            self._end(socket.socket.close)

    def refuse(self) -> None:
        """Reset the connection instead of running."""
        self._end(_reset)

    def cut(self) -> None:
        """End it, from any thread."""
        with self._lock:
            self._cut = True
            for connection in (self._inner, self._outer):
                if connection is not None:
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)

    def _join(self, outer: socket.socket) -> None:
        with self._lock:
            self._outer = outer
            if self._cut:
                raise ConnectionAbortedError
        _pass_on(self._inner, outer)

    def _end(self, close: Callable[[socket.socket], None]) -> None:
        with self._lock:
            for connection in (self._inner, self._outer):
                if connection is not None:
                    close(connection)


class _Way:
    """One direction; it reads again when what it read last has been sent."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self._source = source
        self._target = target
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._waiting = self._buffer[:0]
        self.ended = False

    def wanted(self) -> tuple[socket.socket, int]:
        """Return what this direction waits for."""
        return (self._target, select.POLLOUT) if self._waiting else (self._source, select.POLLIN)

    def step(self) -> None:
        """Read and send what is possible at once; raises `OSError` where a side is lost."""
        with suppress(BlockingIOError):
            if not self._waiting:
                count = self._source.recv_into(self._buffer)
                if not count:
                    self.ended = True
                    self._target.shutdown(socket.SHUT_WR)
                self._waiting = self._buffer[:count]
            if self._waiting:
                self._waiting = self._waiting[self._target.send(self._waiting) :]


def _pass_on(inner: socket.socket, outer: socket.socket) -> None:
    for connection in (inner, outer):
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    trouble = select.POLLERR | select.POLLHUP | select.POLLNVAL
    ways = [_Way(inner, outer), _Way(outer, inner)]
    while ways:
        found = _poll([way.wanted() for way in ways])
        for way in ways:
            connection, event = way.wanted()
            if found.get(connection.fileno(), 0) & (event | trouble):
                way.step()
        ways = [way for way in ways if not way.ended]


def _poll(wanted: Sequence[tuple[socket.socket, int]]) -> Mapping[int, int]:
    """Wait; a side that nothing is wanted of is not watched, since its end would be told again and again."""
    masks: dict[int, int] = {}
    for connection, event in wanted:
        masks[connection.fileno()] = masks.get(connection.fileno(), 0) | event
    poller = select.poll()
    for descriptor, mask in masks.items():
        poller.register(descriptor, mask)
    return dict(poller.poll())


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    connection.close()
