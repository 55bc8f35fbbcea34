"""Several processes behind one port: one that looks after the others, and does nothing else.

It has the sockets: the one clients connect to, which every worker accepts from, and for each worker one that takes
requests of its sessions and one that takes messages, both in a folder that only this user may enter. So a worker that
died is replaced at the same places.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

log = logging.getLogger(__name__)
_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
_RESTART_SECONDS = 1.0


@dataclass(frozen=True)
class Worker:
    """What a worker knows of itself and of the others."""

    number: int
    count: int
    folder: Path
    requests: socket.socket
    """Listens for requests of its sessions that other workers accepted."""
    messages: socket.socket
    """Receives messages of the other workers."""
    lifeline: int
    """A descriptor that can be read as soon as whoever looks after the workers is gone."""


def requests_path(folder: Path, number: int) -> str:
    """Return where a worker takes requests from the others."""
    return str(folder / f"requests-{number}")


def messages_path(folder: Path, number: int) -> str:
    """Return where a worker takes messages from the others."""
    return str(folder / f"messages-{number}")


class Crew:
    """Starts workers, replaces those that are killed, and ends them when it is asked to end."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._folder = Path(tempfile.mkdtemp(prefix="tsunami-"))  # short: a socket's path has 107 bytes at most
        self._requests = [_listener(requests_path(self._folder, number)) for number in range(count)]
        self._messages = [_receiver(messages_path(self._folder, number)) for number in range(count)]
        self._lifeline, self._held = os.pipe()
        self._running: dict[int, tuple[int, float]] = {}
        self._is_stopping = False
        self._code = 0

    def run(self) -> Worker | int:
        """Return, in each worker, what it is; and here, once all have ended, the exit code."""
        for asked in _SIGNALS:
            signal.signal(asked, self._asked)
        for number in range(self._count):
            worker = self._start(number)
            if worker is not None:
                return worker
        while self._running:
            worker = self._after_one()
            if worker is not None:
                return worker
        shutil.rmtree(self._folder, ignore_errors=True)
        return self._code

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        again, self._is_stopping = self._is_stopping, True
        self._send(signal.SIGKILL if again else signal.SIGTERM)
        if again:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _send(self, number: int) -> None:
        for process in list(self._running):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def _start(self, number: int) -> Worker | None:
        with _undisturbed():
            process = os.fork()
            if process:
                self._running[process] = (number, time.monotonic())
                return None
            # A terminal sends SIGINT to all of us: whoever looks after us passes it on, once.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(self._held)
        return Worker(number, self._count, self._folder, self._requests[number], self._messages[number], self._lifeline)

    def _after_one(self) -> Worker | None:
        """Wait until a worker ends; replace it if it was killed, and end the others if it could not go on."""
        process, status = os.waitpid(-1, 0)
        number, since = self._running.pop(process)
        code = os.waitstatus_to_exitcode(status)
        if self._is_stopping or code >= 0:
            self._code = self._code or max(code, 0)
            if not self._is_stopping:
                self._is_stopping = True
                self._send(signal.SIGTERM)
            return None
        log.warning("worker %d was ended by signal %d and is replaced; what it was doing is lost", number, -code)
        time.sleep(max(0.0, since + _RESTART_SECONDS - time.monotonic()))
        return None if self._is_stopping else self._start(number)


def _listener(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()
    return listener


def _receiver(path: str) -> socket.socket:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(path)
    receiver.setblocking(False)
    return receiver


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let signals wait, so that none meets a process that does not know yet which one it is."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
