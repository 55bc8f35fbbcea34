"""Frames between the host and a worker: a kind, a JSON object and, behind it, bytes of Arrow.

A frame begins with two fixed bytes, so that anything else that gets onto the socket is noticed at once. Nothing is
pickled: what a worker sends can be wrong, but cannot run here.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Any

from servicetsunami.sdk import Json

_HEADER = struct.Struct("<2sBIQ")
_MAGIC = b"\xf5T"
_LONGEST_META = 256 << 20
_PARTS_AT_ONCE = 512
_SEND_SECONDS = 30.0
BUFFER_BYTES = 4 << 20
"""What may wait in the socket: together with one frame on each side it bounds what a read holds in memory."""


class Kind(IntEnum):
    """What a frame says; calls go to the worker, and all but a token's answer comes from it."""

    CALL = 1
    STOP = 2
    TOKEN = 3
    """Asked by the worker, and answered by the host."""
    VALUE = 16
    ERROR = 17
    TRAILER = 18
    LOG = 19
    STREAM = 32
    BATCH = 33
    CHANGES = 34
    CHECKPOINT = 35
    WATERMARK = 36
    SCHEMA = 37


class BadFrameError(Exception):
    """What came is not a frame, or not one that may come here; the message says why and nothing of its content."""


class ClosedError(Exception):
    """The other end is gone."""


@dataclass(frozen=True)
class Frame:
    """One frame; `body` is a buffer of Arrow's IPC stream format, b"" where the kind has none."""

    kind: Kind
    meta: Json
    body: Any
    checksum: int


Allocate = Callable[[int], Any]
Wait = Callable[[], None]


class Channel:
    """One end of the socket. Threads may share it for sending; one receives."""

    def __init__(self, connection: socket.socket, allocate: Allocate = bytearray, largest_body: int = 0) -> None:
        """`allocate` makes the memory for a body of so many bytes; bodies over `largest_body` are refused."""
        self._socket = connection
        self._allocate = allocate
        self._largest_body = largest_body
        self._lock = threading.Lock()
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            connection.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)

    def send(self, kind: Kind, meta: Json, body: Sequence[Any] = ()) -> int:
        """Send a frame whose body is the buffers one after another; return its checksum."""
        text = json.dumps(meta, separators=(",", ":")).encode()
        parts = [memoryview(part).cast("B") for part in body if len(part)]
        header = _HEADER.pack(_MAGIC, kind, len(text), sum(map(len, parts)))
        try:
            with self._lock:
                _send_all(self._socket, [memoryview(header), memoryview(text), *parts])
        except OSError as error:
            raise ClosedError from error
        return _checksum(header, text, parts)

    def receive(self, wait: Wait | None = None) -> Frame:
        """Receive a frame. Where the socket has a timeout, `wait` is called at each and may raise."""
        header = self._exactly(memoryview(bytearray(_HEADER.size)), wait)
        magic, kind, meta_size, body_size = _HEADER.unpack(header)
        if magic != _MAGIC or kind not in _KINDS:
            raise BadFrameError("bytes that begin no frame")
        if meta_size > _LONGEST_META or body_size > self._largest_body:
            raise BadFrameError("a frame that is larger than any may be")
        text = self._exactly(memoryview(bytearray(meta_size)), wait)
        body = self._allocate(body_size) if body_size else b""
        if body_size:
            self._exactly(memoryview(body), wait)
        checksum = _checksum(header, text, [memoryview(body)])
        return Frame(Kind(kind), _object(bytes(text)), body, checksum)

    def close(self) -> None:
        """Close this end; the other one receives `ClosedError`."""
        self._socket.close()

    def _exactly(self, target: memoryview, wait: Wait | None) -> memoryview:
        filled = 0
        while filled < len(target):
            try:
                count = self._socket.recv_into(target[filled:])
            except TimeoutError:
                if wait is not None:
                    wait()
                continue
            except OSError as error:
                raise ClosedError from error
            if not count:
                raise ClosedError
            filled += count
        return target


_KINDS = frozenset(Kind)


def _send_all(connection: socket.socket, parts: Sequence[memoryview]) -> None:
    waiting, deadline = deque(parts), time.monotonic() + _SEND_SECONDS
    while waiting:
        sent = _send_some(connection, list(islice(waiting, _PARTS_AT_ONCE)), deadline)
        while waiting and sent >= len(waiting[0]):
            sent -= len(waiting.popleft())
        if sent:
            waiting[0] = waiting[0][sent:]


def _send_some(connection: socket.socket, parts: Sequence[memoryview], deadline: float) -> int:
    while True:
        try:
            return connection.sendmsg(parts)
        except TimeoutError:  # the socket's timeout is short, so that a cancel is heard; a worker hears calls always
            if time.monotonic() > deadline:
                raise


def _checksum(header: bytes | memoryview, text: bytes | memoryview, parts: Sequence[memoryview]) -> int:
    checksum = zlib.crc32(text, zlib.crc32(header))
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return checksum


def _object(text: bytes) -> Json:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadFrameError("a frame without JSON in it") from error
    if not isinstance(found, dict):
        raise BadFrameError("a frame whose JSON is no object")
    return found
