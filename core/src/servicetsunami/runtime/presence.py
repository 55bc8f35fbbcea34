"""How the processes of one installation know of each other's end.

A process holds a lock on a file of its own for as long as it lives. The system gives the lock back when the process
ends, however it ends, so whoever could take it knows that its process is gone. Ids of processes would not tell: they
are used again, and containers that share a folder do not share them.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from pathlib import Path

_OWNER = re.compile(r"[^/]*:(?P<token>[0-9a-f]{16})")
_KEPT_SECONDS = 86_400.0


class Presence:
    """The sign that this process lives; `owner` is what it signs its work with."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "processes"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        token = secrets.token_hex(8)
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{token}"
        self._path = self._folder / token
        self._is_finished = True
        self._file = self._path.open("xb")
        _lock(self._file.fileno(), alone=True)

    def leave_unfinished(self) -> None:
        """Let others see, after the end of this process, that it ended before some of its work."""
        self._is_finished = False

    def close(self) -> None:
        """Take the sign away: this process signs nothing any more."""
        if self._is_finished:
            self._path.unlink(missing_ok=True)
        self._file.close()

    def is_gone(self, owner: str) -> bool:
        """Tell whether the process that signed so was ended before it had cleared up; False where that is unknown."""
        signed = _OWNER.fullmatch(owner)
        return signed is not None and owner != self.owner and _is_free(self._folder / signed["token"])

    def _sweep(self) -> None:
        """Remove the signs that processes left when they were killed; by now nobody waits for them."""
        for path in self._folder.iterdir():
            if _is_old(path) and _is_free(path):
                path.unlink(missing_ok=True)


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _KEPT_SECONDS
    except FileNotFoundError:
        return False


def _is_free(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _lock(file.fileno(), alone=False)
    except OSError:
        return False


def _lock(descriptor: int, *, alone: bool) -> bool:
    """Take the lock unless that is refused; False too where the system has no such locks."""
    if os.name != "posix":
        return False
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_NB | (fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
    except OSError:
        return False
    return True
