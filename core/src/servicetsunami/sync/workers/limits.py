"""What a worker may use, and how it is cut off from the host's terminal, files and life."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass

_SET_PDEATHSIG = 1
_SET_DUMPABLE = 4
_OPEN_FILES = 1024


@dataclass(frozen=True)
class Limits:
    """Bounds of one worker."""

    memory_mb: int = 2048
    """Memory that a worker may write to; Arrow reserves more address space than it uses, so that is not bounded."""
    silence_seconds: float = 300.0
    """How long a worker may give nothing while it is asked for something."""
    grace_seconds: float = 5.0
    """How long it may take to stop when asked to."""


def end_with(parent: int) -> None:
    """Have the system kill this process when `parent` ends; on Linux only, elsewhere the closed socket ends it."""
    if sys.platform != "linux":
        return
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before it could be watched
        os._exit(0)


def seal() -> None:
    """Let nobody read this process's memory: neither a core file nor another process of the same user."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _prctl(_SET_DUMPABLE, 0)


def detach() -> None:
    """Read nothing from the host's input, write nothing to its output, and hear no interrupt of its terminal."""
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def bound(memory_mb: int) -> None:
    """Limit memory and open files."""
    import resource

    with suppress(OSError, ValueError):  # a lower limit that the operator set stays
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))


def _prctl(option: int, value: int) -> None:
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
