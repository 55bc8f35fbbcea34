"""Processes of the product that start in milliseconds, so that hundreds of them can be killed one after the other."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Self

RUNNER = Path(__file__).with_name("fault_runner.py")
KILLED = None
_commands: set[int] = set()


@dataclass(frozen=True)
class Ended:
    """How a command ended; `code` is None where it was killed."""

    code: int | None
    output: str
    errors: str
    unreached: dict[str, int] = field(default_factory=dict)
    """The fail points that it was armed with and did not reach, and how often it would have had to come by."""

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The runs that the command tells of."""
        answer = json.loads(self.output) if self.output.strip().startswith("{") else {}
        runs: list[dict[str, Any]] = answer.get("runs", [])
        return runs

    @property
    def statuses(self) -> list[str]:
        return [str(run["status"]) for run in self.runs]


class Command:
    """A command of the product under way."""

    def __init__(self, pid: int, starter: int, folder: Path, connection: socket.socket) -> None:
        self.pid = pid
        self._starter = starter
        self.folder = folder
        self._connection = connection
        self._watched = _watch(pid)
        _commands.add(pid)

    def go(self) -> None:
        """Let a command that was held begin."""
        with self._connection:
            self._connection.sendall(b"\n")

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def state(self) -> str:
        """Return the process' state: T is stopped, '' is gone."""
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        return ""

    def runs_after(self, seconds: float) -> bool:
        """Wait so long for the end, and tell whether the command still runs."""
        return not self._ends_within(seconds)

    def wait(self, seconds: float = 120) -> Ended:
        """Wait for the end; a command that does not come to it is killed and is an error of the test."""
        if not self._ends_within(seconds):
            self.end()
            raise TimeoutError(f"the command did not end within {seconds} seconds; see {self.folder}")
        code = self._text("code")
        unreached = json.loads(self._text("armed") or "{}")
        return Ended(int(code) if code else KILLED, self._text("out"), self._text("err"), unreached)

    def end(self) -> None:
        """Kill the command and everything it started."""
        for pid in (self.pid, *self.children()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def children(self) -> list[int]:
        """Return the processes that the command started, and those that these started."""
        parents = _parents()
        return [pid for pid in parents if self.pid in _ancestors(pid, parents)]

    def orphans(self) -> list[int]:
        """Return the processes that outlive a command: they fall to the launcher."""
        parents = _parents()
        strays = [pid for pid in parents if parents[pid] == self._starter and pid not in _commands]
        return [pid for pid in parents if {pid, *_ancestors(pid, parents)}.intersection(strays)]

    def _ends_within(self, seconds: float) -> bool:
        if self._watched is None:
            return True
        poll = select.poll()
        poll.register(self._watched, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return False
        os.close(self._watched)
        self._watched = None
        return True

    def _text(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


class Launcher:
    """Starts commands from one process that has everything imported."""

    def __init__(self, work: Path, environ: Mapping[str, str] | None = None) -> None:
        self._work = work
        # A socket's path may hold about 100 bytes, so it does not lie in the deep folder of a test.
        self._socket = str(Path(mkdtemp(prefix="tf-")) / "s")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TSUNAMI_")}
        self._server = subprocess.Popen(
            [sys.executable, str(RUNNER), self._socket],
            env={**inherited, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"

    def start(
        self,
        home: Path,
        *arguments: str,
        failpoint: str = "",
        tuned: Mapping[str, Any] | None = None,
        held: bool = False,
    ) -> Command:
        """Start `tsunami ARGUMENTS`; `held` waits for `go()`.

        `failpoint` is armed as the variable TSUNAMI_FAILPOINT arms it. `tuned` sets attributes, which are named
        `module:name`; a dict stands for a timedelta.
        """
        folder = Path(mkdtemp(prefix="command-", dir=self._work))
        request = {
            "arguments": arguments,
            "environ": {"TSUNAMI_HOME": str(home)},
            "failpoint": failpoint,
            "tuned": dict(tuned or {}),
            "held": held,
            "folder": str(folder),
        }
        connection = self._ask(request)
        pid = _number(connection)
        if not held:
            connection.close()
        return Command(pid, self._server.pid, folder, connection)

    def run(self, home: Path, *arguments: str, **options: Any) -> Ended:
        """Run a command to its end."""
        return self.start(home, *arguments, **options).wait()

    def learn(self, command: Command) -> None:
        """Import what the command had imported at its end, so that the next ones begin with it."""
        modules = json.loads((command.folder / "modules").read_text(encoding="utf-8"))
        with self._ask({"imports": modules}) as connection:
            _number(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.kill()
        self._server.communicate()

    def _ask(self, request: Mapping[str, Any]) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._socket)
        connection.sendall(json.dumps(request).encode() + b"\n")
        return connection


def all_gone(pids: Sequence[int], seconds: float) -> bool:
    """Wait until none of these processes lives, at most so long."""
    deadline = time.monotonic() + seconds
    for pid in pids:
        watched = _watch(pid)
        if watched is None:
            continue
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        gone = poll.poll(max(0, deadline - time.monotonic()) * 1000)
        os.close(watched)
        if not gone:
            return False
    return True


def _watch(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _number(connection: socket.socket) -> int:
    text = b""
    while not text.endswith(b"\n"):
        text += connection.recv(1) or b"\n"
    return int(text)


def _parents() -> dict[int, int]:
    """Return the parent of every process that lives."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                state, parent, *_ = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                found[int(entry.name)] = int(parent) if state != "Z" else 0
    return found


def _ancestors(pid: int, parents: Mapping[int, int]) -> list[int]:
    found = []
    while pid := parents.get(pid, 0):
        found.append(pid)
    return found
