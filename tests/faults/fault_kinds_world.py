"""Faults of the world around a process: the source is cut off, the disk is full, the clock is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from fault_kinds import orphans, said
from fault_lab import Lab, Struck, Trial
from fault_processes import Launcher
from fault_proxy import Mishap

_LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")
_ROOMY = "size=256m"


@dataclass(frozen=True)
class Cut:
    """The way to the source is cut, or falls silent, in the middle of the read: once, or for as long as it lasts."""

    mishap: Mishap
    part: float
    """Where, as a part of what the read brings back; 1 is just before its last bytes."""
    lasting: bool
    kind: str = "source cut"

    @property
    def point(self) -> str:
        return f"{self.mishap} at {self.part:.0%}, {'always' if self.lasting else 'once'}"

    def strike(self, trial: Trial) -> Struck:
        proxy, all_bytes = trial.lab.proxy, trial.stage.read_bytes
        proxy.arm(
            self.mishap,
            after_bytes=min(int(self.part * all_bytes), all_bytes - 20),
            times=1000 if self.lasting else 1,
            terminate=trial.lab.source.terminate,
        )
        ended = trial.start().wait()
        reached = proxy.reached.is_set()
        return Struck(reached, (ended,), where=said(ended))


@dataclass(frozen=True)
class DiskFull:
    """The disk has so much room left and no more; a stage's home must lie on the disk of `small_disk`."""

    free_kib: int
    disk: Path
    kind: str = "disk full"

    @property
    def point(self) -> str:
        return f"{self.free_kib} KiB left"

    def strike(self, trial: Trial) -> Struck:
        used = shutil.disk_usage(self.disk).used
        _resize(self.disk, f"size={used // 1024 + self.free_kib}k")
        try:
            command = trial.start()
            ended = command.wait()
        finally:
            _resize(self.disk, _ROOMY)
        return Struck(ended.code != 0, (ended,), where=said(ended), left=orphans(command))


@dataclass(frozen=True)
class Clock:
    """The clock of this process is wrong, and it may be killed on top of that."""

    offset: str
    launcher: Launcher
    settings: Path
    failpoint: str = ""
    kind: str = "clock"

    @property
    def point(self) -> str:
        return f"{self.offset}{' and ' if self.failpoint else ''}{self.failpoint}"

    def strike(self, trial: Trial) -> Struck:
        self.settings.write_text(f"{self.offset}\n", encoding="ascii")
        command = trial.start(launcher=self.launcher, failpoint=self.failpoint)
        ended = command.wait()
        wrong = [] if self.failpoint or ended.code == 0 else [f"the sync failed with {said(ended)}"]
        return Struck(not ended.unreached, (ended,), left=[*wrong, *orphans(command)])


@contextmanager
def small_disk(work: Path) -> Iterator[Path | str]:
    """Mount a disk in memory; yields the reason as text where that is not allowed."""
    folder = Path(mkdtemp(prefix="disk-", dir=work))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", _ROOMY, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        yield mounted.stderr.strip()
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def wrong_clocks(lab: Lab) -> Iterator[tuple[Launcher, Path] | str]:
    """Start a launcher whose clock follows a file; yields the reason as text where libfaketime is missing."""
    found = [path for pattern in _LIBRARIES for path in Path("/").glob(pattern[1:])]
    if not found:
        yield "libfaketime is not installed"
        return
    settings = lab.work / "clock"
    settings.write_text("+0\n", encoding="ascii")
    environ = {
        "LD_PRELOAD": os.fspath(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(settings),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with Launcher(lab.work, environ) as launcher:
        yield launcher, settings


def _resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{size}", str(disk)], check=True)
