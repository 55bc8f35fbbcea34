"""What is tried: every fault that can be tried here, on every stage, in an order of chance."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TypeAlias

from fault_kinds import Action, Cancel, FailPoint, Signal, WorkerKilled, places_of
from fault_kinds_calls import FAILING, CallFault, calls_of, strace_problem
from fault_kinds_two import TwoServers, Zombie
from fault_kinds_world import Clock, Cut, DiskFull, small_disk, wrong_clocks
from fault_lab import Fault, Lab, Stage, attempt
from fault_processes import Launcher
from fault_proxy import Mishap
from fault_report import Report
from fault_source import SHAPES

ACTIONS: tuple[Action, ...] = ("kill", "raise", "transient", "enospc")
_MISHAPS: tuple[Mishap, ...] = ("rst", "fin", "stall", "terminate")
_PARTS = (0.02, 0.25, 0.5, 0.9, 1.0)
_FREE_KIB = (0, 16, 64, 160, 320, 640)
_OFFSETS = ("-3600", "+10y", "@2026-11-01 00:00:00")
_MOMENTS_OF_DEATH = ("", "after_stage=kill", "after_commit=kill", "after_replace=kill")


Planned: TypeAlias = tuple[Stage, Fault]


@dataclass(frozen=True)
class Tools:
    """What this machine has to make faults with; None where the report says why it is missing."""

    disk: Path | None
    clocks: tuple[Launcher, Path] | None
    strace: bool


class Matrix:
    """Runs faults on every stage and notes what came of them."""

    def __init__(self, lab: Lab, report: Report, seed: int, modes: Sequence[str] = ()) -> None:
        self._lab = lab
        self._report = report
        self._random = random.Random(seed)
        self._modes = [mode for mode in SHAPES if mode in (modes or SHAPES)]

    def run(self, rounds: int) -> None:
        """Try everything; `rounds` says how many random moments of each kind."""
        with ExitStack() as stack:
            tools = self._tools(stack)
            stages = [self._lab.stage(mode, first=first) for mode in self._modes for first in (False, True)]
            plan = [(stage, fault) for stage in stages for fault in self._faults(stage, tools, rounds)]
            for stage, fault in self._mixed(plan):
                if self._report.is_wanted(fault):
                    self._report.add(attempt(stage, fault))

    def _mixed(self, plan: Sequence[Planned]) -> Iterator[Planned]:
        """Yield faults of all kinds in turn, so that a run that is cut short has tried some of each."""
        kinds: dict[str, list[Planned]] = {}
        for planned in self._random.sample(plan, len(plan)):
            kinds.setdefault(planned[1].kind, []).append(planned)
        for turn in zip_longest(*kinds.values()):
            yield from (planned for planned in turn if planned is not None)

    def _tools(self, stack: ExitStack) -> Tools:
        disk = stack.enter_context(small_disk(self._lab.work))
        if isinstance(disk, str):
            self._report.leave_out("disk full", f"{disk}; fail points raise ENOSPC in its place")
        clocks = stack.enter_context(wrong_clocks(self._lab))
        if isinstance(clocks, str):
            self._report.leave_out("clock", clocks)
        if problem := strace_problem():
            self._report.leave_out("system call", f"{problem}; fail points kill in its place")
        return Tools(
            None if isinstance(disk, str) else disk, None if isinstance(clocks, str) else clocks, strace=not problem
        )

    def _faults(self, stage: Stage, tools: Tools, rounds: int) -> Iterator[Fault]:
        places = places_of(stage)
        yield from fail_points(places)
        yield from cuts()
        yield from (Zombie(name) for name in places)
        yield from self._moments(rounds)
        if tools.disk:
            yield from (DiskFull(free, tools.disk) for free in _FREE_KIB)
        if tools.clocks:
            deaths = [death for death in _MOMENTS_OF_DEATH if not death or death.partition("=")[0] in places]
            yield from (Clock(to, *tools.clocks, death) for to in _OFFSETS for death in deaths)
        if tools.strace and self._report.is_wanted_kind("system call"):
            yield from system_calls(stage)

    def _moments(self, rounds: int) -> Iterator[Fault]:
        for _ in range(rounds):
            seed = self._random.randrange(10**6)
            yield from (Signal(number, seed) for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
            yield from (Cancel(seed), TwoServers(seed), WorkerKilled(seed))


def fail_points(places: dict[str, int], actions: Iterable[Action] = ACTIONS) -> Iterator[FailPoint]:
    """Yield a fault for the first and the last time that a sync comes by each place."""
    for name, times in places.items():
        for time in {1, times}:
            yield from (FailPoint(name, action, time) for action in actions)


def cuts() -> Iterator[Cut]:
    """Yield each mishap at each position; those that last only in the middle and at the end."""
    for mishap in _MISHAPS:
        yield from (Cut(mishap, part, lasting=False) for part in _PARTS)
        yield from (Cut(mishap, part, lasting=True) for part in (0.5, 1.0))


def system_calls(stage: Stage) -> Iterator[CallFault]:
    """Yield a kill at each call on a file of the lakehouse or the records, and a failure where only files are met."""
    for folder in ("data", "records.db"):
        kills = calls_of(stage, folder)
        yield from kills
        yield from (CallFault(kill.call, kill.when, "error=EIO") for kill in kills if kill.call in FAILING)
