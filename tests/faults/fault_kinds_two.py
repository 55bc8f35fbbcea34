"""Faults of two processes: both sync the same table at once, or one wakes up when the other has taken over."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fault_kinds import orphans, said
from fault_lab import Struck, Trial
from fault_processes import Command, Ended

_SHORT_LEASE: dict[str, Any] = {
    "servicetsunami.operations.runs:LEASE": {"seconds": 1},
    "servicetsunami.operations.runs:_HEARTBEAT_SECONDS": 0.4,
}
_BUSY = "table_busy"
_LOCKED = "records_unavailable"


@dataclass(frozen=True)
class TwoServers:
    """A second process begins the same sync a moment after the first."""

    seed: int
    kind: str = "two servers"

    @property
    def point(self) -> str:
        return f"random moment {self.seed}"

    def strike(self, trial: Trial) -> Struck:
        first, second = trial.start(held=True), trial.start(held=True)
        first.go()
        first.runs_after(random.Random(self.seed).uniform(0, 0.9) * trial.stage.seconds)
        second.go()
        ended = first.wait(), second.wait()
        left = [f"a server ended with {said(end)}" for end in ended if end.code != 0 and said(end) != _BUSY]
        if all(end.code != 0 for end in ended):
            left.append("neither server finished")
        return Struck(True, ended, left=left)


@dataclass(frozen=True)
class Zombie:
    """A process is halted past its lease, another takes over and finishes, then the first goes on."""

    name: str
    kind: str = "zombie"

    @property
    def point(self) -> str:
        return f"halted at {self.name}"

    def strike(self, trial: Trial) -> Struck:
        sleeper = trial.start(failpoint=f"{self.name}=stop", tuned=_SHORT_LEASE)
        if not _halts(sleeper):
            return Struck(False, (sleeper.wait(),))
        try:
            heir = _takes_over(trial)
        finally:
            sleeper.signal(signal.SIGCONT)
        woken = sleeper.wait()
        if said(heir) == _LOCKED:
            return Struck(False, (heir, woken), where="halted in the middle of a heartbeat, with the records locked")
        left = [] if heir.code == 0 else [f"the second server ended with {said(heir)}"]
        return Struck(True, (heir, woken), where=f"woke up to {said(woken)}", left=[*left, *orphans(sleeper)])


def _halts(command: Command) -> bool:
    """Wait until the process halts; False if it ends before."""
    while command.runs_after(0.02):
        if command.state() in ("T", "t"):
            return True
    return False


def _takes_over(trial: Trial) -> Ended:
    """Sync as a second process does as soon as the lease of the first is over."""
    return _first(lambda: trial.start(tuned=_SHORT_LEASE).wait(), lambda ended: said(ended) != _BUSY)


def _first(attempt: Callable[[], Ended], accepts: Callable[[Ended], bool]) -> Ended:
    for _ in range(60):
        ended = attempt()
        if accepts(ended):
            return ended
    return ended
