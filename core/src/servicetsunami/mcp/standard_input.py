"""Standard input that ends when a signal asks the server to stop.

A thread that blocks in a read of standard input cannot be cancelled: a server that is told to stop would wait for a
line that never comes. Here a signal looks like the end of the input, so that both ways of stopping are one.
"""

from __future__ import annotations

import asyncio
import io
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import anyio

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def until_signalled() -> Iterator[anyio.AsyncFile[str] | None]:
    """Yield standard input as lines that end with the input or with SIGINT or SIGTERM; a second signal kills.

    Children get an empty standard input. None on Windows, where pipes cannot be waited for together: the SDK's own
    reader serves there.
    """
    if sys.platform == "win32":
        yield None
        return
    with ExitStack() as stack:
        source = stack.enter_context(_diverted(0))
        woken, wake = os.pipe()
        stack.callback(os.close, woken)
        stack.callback(os.close, wake)
        stack.enter_context(_on_signal(wake))
        lines = io.TextIOWrapper(io.BufferedReader(_Wakeable(source, woken)), encoding="utf-8", errors="replace")
        yield anyio.wrap_file(lines)


class _Wakeable(io.RawIOBase):
    """Reads `source` until it ends or until `woken` can be read."""

    def __init__(self, source: int, woken: int) -> None:
        self._source = source
        self._woken = woken

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        ready, _, _ = select.select([self._source, self._woken], [], [])
        if self._woken in ready:
            return 0
        chunk = os.read(self._source, len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


@contextmanager
def _diverted(descriptor: int) -> Iterator[int]:
    """Yield a private copy of a descriptor while the descriptor itself reads nothing."""
    private = os.dup(descriptor)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)
    try:
        yield private
    finally:
        os.dup2(private, descriptor)
        os.close(private)


@contextmanager
def _on_signal(wake: int) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        os.write(wake, b"\0")
        _forget(loop)

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        _forget(loop)


def _forget(loop: asyncio.AbstractEventLoop) -> None:
    for number in _SIGNALS:
        loop.remove_signal_handler(number)
