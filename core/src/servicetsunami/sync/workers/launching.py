"""Starting and ending the processes that workers run in."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servicetsunami.sdk import TransientError
from servicetsunami.sync.workers.output import Output

_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "SYSTEMROOT")
_ANSWER_SECONDS = 30.0
_SIGNALLED = 128
"""What a program that runs another adds to the number of the signal that ended it."""
_BEGIN = """import os, sys
sys.path[:] = sys.argv.pop(1).split(os.pathsep)
from servicetsunami.sync.workers.{module} import main
main()
"""


class Process(Protocol):
    """One worker's process."""

    def end(self) -> int:
        """Kill it and wait; return its wait status, which is its own if it had ended before."""


@dataclass(frozen=True)
class Launched:
    """A worker that starts, with the host's ends of its sockets."""

    connection: socket.socket
    process: Process
    requests: socket.socket | None = None
    """Where it asks for connections; None where it makes them itself."""


class Launcher(Protocol):
    """A way of starting workers."""

    def launch(self, folder: Path) -> Launched:
        """Start a worker whose plugin has `folder`."""

    def close(self) -> None:
        """End every process that is left."""


def clean_environment() -> dict[str, str]:
    """Return what a worker's environment holds: nothing that could be a secret."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # A process with a second thread should not fork, and jemalloc would start one.
    return {**kept, "HOME": "/nonexistent", "JE_ARROW_MALLOC_CONF": "background_thread:false"}


class Forking:
    """Forks workers from one process that has everything imported: some milliseconds each. Linux only."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready = False

    def launch(self, _folder: Path) -> Launched:
        """Fork a worker."""
        from servicetsunami.sync.workers.zygote import FORK

        ours, theirs = socket.socketpair()
        with theirs:
            try:
                pid = self._ask(FORK, 0, [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        return Launched(ours, _Forked(self, pid))

    def end(self, pid: int) -> int:
        """End a worker; those of a process that is gone ended with it."""
        from servicetsunami.sync.workers.zygote import END

        try:
            return self._ask(END, pid, [], restart=False)
        except TransientError:
            return 9

    def close(self) -> None:
        """End the process, which ends its workers."""
        with self._lock:
            self._stop()

    def _ask(self, operation: bytes, number: int, descriptors: Sequence[int], *, restart: bool = True) -> int:
        from servicetsunami.sync.workers.zygote import ANSWER, NOT_FORKED, REQUEST

        with self._lock:
            if restart:
                self._start()
            if self._control is None:
                raise self._lost()
            try:
                self._await_ready(self._control)
                socket.send_fds(self._control, [REQUEST.pack(operation, number)], descriptors)
                answer: int = ANSWER.unpack(_answer(self._control))[0]
            except OSError as error:
                self._stop()
                raise self._lost() from error
        if answer == NOT_FORKED:
            raise self._lost()
        return answer

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._stop()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(_ANSWER_SECONDS)
        command = interpreter("zygote")
        with theirs:
            self._process = start(command, theirs, output=self._output)
        self._ready = False

    def _await_ready(self, control: socket.socket) -> None:
        if not self._ready:
            _answer(control)
            self._ready = True

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            _finish(self._process)
            self._process = None

    def _lost(self) -> TransientError:
        return TransientError(
            "the process that workers are started from ended, so nothing can be read",
            code="worker_not_started",
            # Once it was ready, what was printed may be rows of a worker of somebody else.
            why=None if self._ready else self._output.last(),
            fix="try again; if it happens again, check that this machine has memory and processes left",
        )


class _Forked:
    def __init__(self, launcher: Forking, pid: int) -> None:
        self._launcher = launcher
        self.pid = pid

    def end(self) -> int:
        """Kill it and wait."""
        return self._launcher.end(self.pid)


class Spawning:
    """Starts an interpreter for every worker: half a second each, on every system."""

    def __init__(self, output: Output, wrapper: Callable[[Path], Sequence[str]] | None = None) -> None:
        """Run each worker by what `wrapper` returns for its folder: a command that runs the command behind it."""
        self._output = output
        self._wrapper = wrapper
        # A worker is ended by the system with the thread that started it, so one thread starts them all and stays.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="workers")

    def launch(self, folder: Path) -> Launched:
        """Start a worker."""
        ours, theirs = socket.socketpair()
        with theirs:
            if self._wrapper is None:
                process = self._start([*interpreter("child"), "--parent", str(os.getpid())], theirs)
                return Launched(ours, _Spawned(process, wrapped=False))
            requests, asks = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with asks:
                command = [*self._wrapper(folder), *interpreter("child"), "--asks", str(asks.fileno())]
                process = self._start(command, theirs, asks)
        return Launched(ours, _Spawned(process, wrapped=True), requests)

    def close(self) -> None:
        """Let the starting thread end; the pool has ended the workers."""
        self._starter.shutdown(wait=False)

    def _start(self, command: Sequence[str], *sockets: socket.socket) -> subprocess.Popen[bytes]:
        return self._starter.submit(start, command, *sockets, output=self._output).result()


class _Spawned:
    def __init__(self, process: subprocess.Popen[bytes], *, wrapped: bool) -> None:
        self._process = process
        self._wrapped = wrapped
        self.pid = process.pid

    def end(self) -> int:
        """Kill it and wait."""
        code = _finish(self._process)
        if self._wrapped and code > _SIGNALLED:
            code = _SIGNALLED - code
        return -code if code < 0 else code << 8


def interpreter(module: str) -> list[str]:
    """Return the command that runs a module of this package with the very code that the host runs.

    Isolated, an interpreter would take other modules than the host where PYTHONPATH names some.
    """
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return [sys.executable, "-I", "-c", _BEGIN.format(module=module), path]


def start(
    command: Sequence[str], channel: socket.socket, *passed: socket.socket, output: Output
) -> subprocess.Popen[bytes]:
    """Start a process whose standard input is `channel`, with a clean environment and a session of its own."""
    process = subprocess.Popen(  # noqa: S603 - the program is this interpreter, without a shell
        command,
        stdin=channel.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        start_new_session=True,
        pass_fds=[one.fileno() for one in passed],
    )
    output.drain(process)
    return process


def _finish(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.kill()
    return process.wait()


def _answer(control: socket.socket) -> bytes:
    answer = control.recv(64)
    if not answer:
        raise ConnectionResetError
    return answer
