"""Running a command while its whole process tree is watched."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SAMPLE_SECONDS = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Measured:
    """What a command cost."""

    wall_seconds: float
    peak_mib: float
    """Highest sum of the resident sets of the command and all its descendants, seen every 50 ms."""


def measure(command: Sequence[str], environ: Mapping[str, str]) -> Measured:
    """Run a command to its end; raises if it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=dict(environ), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(_resident(pid) for pid in _tree(process.pid)))
        time.sleep(_SAMPLE_SECONDS)
    wall = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(process.stderr.read().decode() if process.stderr else "the command failed")
    return Measured(wall, peak / 1024**2)


def _tree(root: int) -> list[int]:
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in children.read_text(encoding="ascii").split()]
            except OSError:
                continue
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
