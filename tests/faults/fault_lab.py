"""The place where faults are tried: a real server behind a proxy, a launcher, and a prepared installation per mode.

Every trial begins from the same moment: a copy of an installation whose table was synced (or never was), and a source
that has changed since. After the fault a reader looks at the table, the sync is run again, and every row is compared.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol

from fault_lake import Difference, Lake, compare
from fault_processes import Command, Ended, Launcher
from fault_proxy import CutProxy
from fault_source import SHAPES, Mode, Rows, Source

from servicetsunami.cli.throwaway_postgres import throwaway_postgres

ROWS = 2000
IMPATIENT: Mapping[str, Any] = {"servicetsunami.sync.loading:_LONGEST_WAIT_SECONDS": 0.05}
"""Nobody waits a second before trying again here."""
_LATER = {
    "servicetsunami.operations.sync:LEASE": {"seconds": -5},
    "servicetsunami.operations.runs:LEASE": {"seconds": 0},
}
"""A run that is not heard of counts as lost some time after its lease: here at once."""
_SERVER = {"wal_level": "logical", "max_replication_slots": "60", "max_wal_senders": "20", "max_connections": "60"}
_MASTER = "master_"


@dataclass
class Struck:
    """What happened while the fault was there."""

    reached: bool
    """False where the sync came to its end without meeting the fault."""
    ended: tuple[Ended, ...] = ()
    where: str = ""
    left: list[str] = field(default_factory=list)
    """What the faulty run left behind although it had the time to clear up."""


class Fault(Protocol):
    """One thing that goes wrong at one point."""

    @property
    def kind(self) -> str: ...

    @property
    def point(self) -> str: ...

    def strike(self, trial: Trial) -> Struck:
        """Run the sync of the trial and let it go wrong."""
        ...


@dataclass(frozen=True)
class Verdict:
    """What came of one trial."""

    kind: str
    point: str
    mode: str
    reached: bool
    half_visible: bool
    wrong_success: bool
    """The faulty sync said that it succeeded, and rows were missing."""
    rerun: str
    """'' where the sync that followed succeeded at once, else how it ended."""
    difference: Difference
    left: tuple[str, ...]
    seconds: float
    where: str = ""

    @property
    def good(self) -> bool:
        return not (self.half_visible or self.wrong_success or self.rerun or self.difference or self.left)

    def __str__(self) -> str:
        told = [
            "half visible" * self.half_visible,
            "wrong success" * self.wrong_success,
            self.rerun and f"the rerun ended with {self.rerun}",
            str(self.difference) if self.difference else "",
            *self.left,
        ]
        return f"{self.kind} {self.point} {self.mode} {self.where}: {'; '.join(filter(None, told)) or 'exact'}"


class Lab:
    """One server, one proxy, one launcher, and a stage per mode, made when it is first asked for."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.source: Source
        self.proxy: CutProxy
        self.launcher: Launcher
        self._stages: dict[str, Stage] = {}

    def stage(self, mode: Mode, *, first: bool = False) -> Stage:
        """Return the installation of a mode: synced once, or with `first` never."""
        name = f"{mode}, first" if first else mode
        if name not in self._stages:
            self._stages[name] = Stage(self, mode, name, first=first)
        return self._stages[name]

    @contextmanager
    def opened(self) -> Iterator[Lab]:
        """Start everything, and end it with the block."""
        with ExitStack() as stack:
            server = stack.enter_context(throwaway_postgres(settings=_SERVER))
            self.source = Source.create(server, "faults")
            self.proxy = stack.enter_context(CutProxy(server.host, server.port))
            self.launcher = stack.enter_context(Launcher(self.work))
            yield self


class Stage:
    """An installation at the moment before a sync, to be copied for every trial."""

    def __init__(self, lab: Lab, mode: Mode, name: str, *, first: bool) -> None:
        self.lab = lab
        self.mode: Mode = mode
        self.name = name
        self.table = "rows_" + name.replace(", ", "_")
        self.arguments = ("--debug", "sync", "shop", self.table, "--mode", SHAPES[mode].sync_mode, "--json")
        self._home = Path(mkdtemp(prefix=f"{self.table}-", dir=lab.work))
        source = lab.source
        self._drop_slots()
        source.make(mode, self.table, ROWS)
        settings = SHAPES[mode].settings
        Lake(self._home).connect(source.settings(lab.proxy.port), {self.table: settings} if settings else {})
        self.before: Rows = Counter()
        if not first:
            self._sync_once()
        source.change(mode, self.table, ROWS)
        self.after = source.table(self.table)
        self._slots = self._keep_slots()
        lab.proxy.reset()
        began = time.monotonic()
        self._must(lab.launcher.run(self.fresh(), *self.arguments, tuned=IMPATIENT))
        self.seconds = time.monotonic() - began
        """How long the sync takes without a fault."""
        self.read_bytes = lab.proxy.largest
        """How much the largest connection of such a sync brings back."""

    def fresh(self, parent: Path | None = None) -> Path:
        """Return a copy of the installation, and put the source's slots back to where they were."""
        home = Path(mkdtemp(prefix="home-", dir=parent or self.lab.work))
        shutil.copytree(self._home, home, dirs_exist_ok=True)
        self._restore_slots()
        return home

    def _sync_once(self) -> None:
        command = self.lab.launcher.start(self._home, *self.arguments)
        self._must(command.wait())
        self.lab.launcher.learn(command)
        self.before = self.lab.source.table(self.table)
        assert not compare(Lake(self._home).table(self.table), self.before)

    def _must(self, ended: Ended) -> None:
        if ended.code != 0:
            raise AssertionError(f"a sync of {self.name} without a fault failed: {ended.errors}{ended.output}")

    def _keep_slots(self) -> list[str]:
        slots = [slot for slot in self._own_slots() if self.mode == "changes"]
        for slot in slots:
            self.lab.source.rows("select pg_copy_logical_replication_slot($1, $2)", slot, _MASTER + slot[-40:])
        return slots

    def _restore_slots(self) -> None:
        """Put the slots where they were: what one trial acknowledged must come again in the next."""
        if self.mode != "changes":
            return
        self._drop_slots()
        for slot in self._slots:
            self.lab.source.rows("select pg_copy_logical_replication_slot($1, $2)", _MASTER + slot[-40:], slot)

    def _drop_slots(self) -> None:
        self.lab.source.terminate()
        for slot in self._own_slots():
            self.lab.source.rows("select pg_drop_replication_slot($1)", slot)

    def _own_slots(self) -> list[str]:
        return [slot for slot in self.lab.source.slots() if not slot.startswith(_MASTER)]


class Trial:
    """One run of a sync with a fault, and the run that follows it."""

    def __init__(self, stage: Stage, home: Path) -> None:
        self.stage = stage
        self.lab = stage.lab
        self.home = home
        self.lake = Lake(home)

    def start(self, *, launcher: Launcher | None = None, **options: Any) -> Command:
        """Start the sync."""
        options["tuned"] = {**IMPATIENT, **options.get("tuned", {})}
        return (launcher or self.lab.launcher).start(self.home, *self.stage.arguments, **options)

    def again(self) -> Ended:
        """Run the sync to its end, with nothing in its way."""
        return self.start().wait()

    def seen(self) -> Rows:
        """Return the rows that a reader sees now."""
        return self.lake.table(self.stage.table)


def attempt(stage: Stage, fault: Fault) -> Verdict:
    """Let a sync meet a fault, look, sync again, and compare every row with the source."""
    began = time.monotonic()
    trial = Trial(stage, stage.fresh(getattr(fault, "disk", None)))
    try:
        struck = fault.strike(trial)
        stage.lab.proxy.reset()
        return _judge(trial, fault, struck, began)
    finally:
        stage.lab.proxy.reset()
        shutil.rmtree(trial.home, ignore_errors=True)


def _judge(trial: Trial, fault: Fault, struck: Struck, began: float) -> Verdict:
    stage, seen = trial.stage, trial.seen()
    said_done = any(ended.code == 0 for ended in struck.ended)
    again = trial.again()
    return Verdict(
        kind=fault.kind,
        point=fault.point,
        mode=stage.name,
        reached=struck.reached,
        half_visible=seen not in (stage.before, stage.after),
        wrong_success=said_done and seen != stage.after,
        rerun="" if again.code == 0 else f"{again.code}: {again.errors.strip() or again.output.strip()}"[:300],
        difference=compare(trial.seen(), stage.after),
        left=(*struck.left, *_left_over(trial)),
        seconds=time.monotonic() - began,
        where=struck.where,
    )


def _left_over(trial: Trial) -> list[str]:
    """Return what is left once somebody has looked at the runs when every lease is over: dead ones are noted then."""
    if not trial.lake.left_over():
        return []
    trial.lab.launcher.run(trial.home, "runs", "--json", tuned=_LATER)
    return trial.lake.left_over()
