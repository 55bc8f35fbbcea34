"""Faults of one process: fail points, and signals and cancellations at random moments."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Literal

from fault_lab import Stage, Struck, Trial
from fault_processes import Command, Ended, all_gone

from servicetsunami.sync.failpoints import NAMES

Action = Literal["kill", "raise", "transient", "enospc"]
_NEVER = 1_000_000
CHILD_SECONDS = 5.0
"""How long the children of a killed process may take to notice."""


@dataclass(frozen=True)
class FailPoint:
    """The process is killed, or meets an error, at a named place."""

    name: str
    action: Action
    time: int = 1
    kind: str = "fail point"

    @property
    def point(self) -> str:
        return f"{self.name}:{self.time}={self.action}"

    def strike(self, trial: Trial) -> Struck:
        command = trial.start(failpoint=self.point)
        ended = command.wait()
        return Struck(not ended.unreached, (ended,), left=orphans(command))


@dataclass(frozen=True)
class Signal:
    """The process is told to end, or killed, at a random moment."""

    number: signal.Signals
    seed: int

    @property
    def kind(self) -> str:
        return self.number.name

    @property
    def point(self) -> str:
        return f"random moment {self.seed}"

    def strike(self, trial: Trial) -> Struck:
        command = trial.start()
        running = command.runs_after(_moment(trial, self.seed))
        command.signal(self.number)
        ended = command.wait()
        return Struck(running, (ended,), left=orphans(command))


@dataclass(frozen=True)
class Cancel:
    """Somebody cancels the run from another process at a random moment."""

    seed: int
    kind: str = "cancel"

    @property
    def point(self) -> str:
        return f"random moment {self.seed}"

    def strike(self, trial: Trial) -> Struck:
        command = trial.start()
        run = _under_way(trial, command)
        if run is None or not command.runs_after(_moment(trial, self.seed) / 4):
            return Struck(False, (command.wait(),))
        trial.lab.launcher.run(trial.home, "runs", "cancel", run)
        ended = command.wait()
        return Struck("cancelled" in ended.statuses, (ended,), left=[*orphans(command), *_sessions(trial)])


@dataclass(frozen=True)
class WorkerKilled:
    """A process that the sync started is killed at a random moment, and nothing else."""

    seed: int
    kind: str = "worker killed"

    @property
    def point(self) -> str:
        return f"random moment {self.seed}"

    def strike(self, trial: Trial) -> Struck:
        command = trial.start()
        _under_way(trial, command)
        command.runs_after(_moment(trial, self.seed) / 4)
        children = command.children()
        if children:
            _kill(random.Random(self.seed).choice(children))
        ended = command.wait()
        failed = ["the run did not survive its worker"] if ended.code != 0 else []
        return Struck(bool(children), (ended,), left=[*failed, *orphans(command)])


def places_of(stage: Stage) -> dict[str, int]:
    """Run the sync once, and return the fail points it comes by, each with how often."""
    trial = Trial(stage, stage.fresh())
    try:
        everything = ",".join(f"{name}:{_NEVER}=kill" for name in NAMES)
        ended = trial.start(failpoint=everything).wait()
    finally:
        shutil.rmtree(trial.home, ignore_errors=True)
    return {name: _NEVER - left for name, left in ended.unreached.items() if left < _NEVER}


def orphans(command: Command) -> list[str]:
    """Tell which processes outlived the command that started them."""
    alive = command.orphans()
    return [] if all_gone(alive, CHILD_SECONDS) else [f"{len(alive)} processes outlive the sync"]


def said(ended: Ended) -> str:
    """Return the code of the error with which a command ended, '' where there is none."""
    for run in ended.runs:
        if run["problem"]:
            return str(run["problem"]["code"])
    first = ended.errors.partition("error: ")[2]
    return first.partition(":")[0]


def _moment(trial: Trial, seed: int) -> float:
    return random.Random(seed).uniform(0.05, 1.1) * trial.stage.seconds


def _under_way(trial: Trial, command: Command) -> str | None:
    """Wait until the run has begun; None if the command ended before."""
    while command.runs_after(0.01):
        if run := _running(trial):
            return run
    return None


def _running(trial: Trial) -> str | None:
    with closing(sqlite3.connect(f"file:{trial.home / 'records.db'}?mode=ro", uri=True)) as records:
        row = records.execute("select id from runs where status in ('queued', 'running')").fetchone()
        return str(row[0]) if row else None


def _sessions(trial: Trial) -> list[str]:
    return ["a session is open at the source"] if trial.lab.source.sessions() else []


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
