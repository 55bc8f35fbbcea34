"""Faults at single system calls: strace kills the process at, or makes fail, the n-th call of a kind."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fault_kinds import orphans
from fault_lab import Stage, Struck, Trial
from fault_processes import Command, Ended

CALLS = (
    *("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat2", "link", "linkat"),
    *("unlink", "unlinkat", "mkdir", "mkdirat", "ftruncate", "rmdir"),
)
FAILING = ("fsync", "fdatasync", "rename", "link", "linkat", "mkdir", "ftruncate")
"""Calls that are made to fail: none of these is made on anything but files."""
_LINE = re.compile(r"^(?P<thread>\d+) +(?P<call>\w+)\(")


@dataclass(frozen=True)
class CallFault:
    """The n-th call of a kind in a thread meets `effect`: signal=KILL, error=EIO, error=ENOSPC."""

    call: str
    when: int
    effect: str = "signal=KILL"
    kind: str = "system call"

    @property
    def point(self) -> str:
        return f"{self.call}#{self.when} {self.effect}"

    def strike(self, trial: Trial) -> Struck:
        command, log = trial.start(held=True), trial.home.parent / f"{trial.home.name}.strace"
        ended = _traced(command, log, ["-e", f"inject={self.call}:{self.effect}:when={self.when}"])
        where = _struck_line(log)
        log.unlink()
        return Struck(bool(where), (ended,), where=where, left=orphans(command))


def calls_of(stage: Stage, folder: str) -> list[CallFault]:
    """Run the sync once under strace, and return a kill at each call it makes on something inside `folder`."""
    trial = Trial(stage, stage.fresh())
    log = stage.lab.work / f"{stage.table}.strace"
    try:
        ended = _traced(trial.start(held=True), log, [])
        assert ended.code == 0, ended.errors
        within = str(trial.home / folder)
        found = {CallFault(call, when) for call, when, line in _counted(log) if within in line}
    finally:
        shutil.rmtree(trial.home, ignore_errors=True)
    return sorted(found, key=lambda fault: (fault.call, fault.when))


def strace_problem() -> str:
    """Tell why calls cannot be traced here; '' if they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-e", "trace=none", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode else ""


def _traced(command: Command, log: Path, options: list[str]) -> Ended:
    kinds = ",".join(CALLS)
    arguments = ["-f", "-p", str(command.pid), "-y", "-s", "0", "-o", str(log), "-e", f"trace={kinds}", *options]
    with subprocess.Popen(["strace", *arguments], stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        assert "attached" in attached, attached
        command.go()
        ended = command.wait()
        tracer.communicate()
    return ended


def _counted(log: Path) -> Iterator[tuple[str, int, str]]:
    """Yield each call with its number among those of its kind in its thread, which is how strace counts."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if match := _LINE.match(line):
            place = match["thread"], match["call"]
            counts[place] += 1
            yield match["call"], counts[place], line


def _struck_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    hit = next((line for line in lines if "(INJECTED)" in line), "")
    if not hit and any("killed by SIGKILL" in line for line in lines):
        hit = next((line for line in reversed(lines) if line.endswith(("= ?", "<unfinished ...>"))), "killed")
    return re.sub(r"^\d+ +|/\S*/home-\w+|[0-9a-f-]{32,36}", "", hit)[:160]
