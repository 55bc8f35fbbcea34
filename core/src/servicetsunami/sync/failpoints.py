"""Named places where a test can make a sync fail: a testing aid that does nothing unless a test arms it.

The variable `TSUNAMI_FAILPOINT`, read once when the process starts, holds `name=action`, or `name:3=action` for the
third time the place is reached; several are separated by commas. Actions: `kill` ends the process at once, as a power
cut would; `stop` halts it until it is told to go on; `raise` fails as a plugin without a meaning would; `transient`
fails so that it is tried again; `enospc` fails as a full disk does.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from servicetsunami.sdk import ConfigError, TransientError, nearest

VARIABLE = "TSUNAMI_FAILPOINT"
NAMES = (
    "after_connect",
    "after_position",
    "after_first_batch",
    "before_stage",
    "after_stage",
    "before_commit",
    "after_commit",
    "before_verify",
    "before_replace",
    "after_replace",
    "before_ack",
    "after_ack",
    "before_discard",
    "before_record",
    "after_record",
    "lease_renew",
)
"""Every place, in about the order in which a sync comes by."""


@dataclass
class _Armed:
    action: Callable[[], None]
    left: int


_lock = threading.Lock()
_armed: dict[str, _Armed] = {}


def reach(name: str) -> None:
    """Do what is armed for the place `name`; nothing, in every run that is not a test."""
    if not _armed:
        return
    with _lock:
        armed = _armed.get(name)
        if armed is None:
            return
        armed.left -= 1
        if armed.left:
            return
        del _armed[name]
    armed.action()


def arm(text: str) -> None:
    """Arm the places that `text` names, as the variable does, in place of those armed so far; '' disarms all."""
    chosen = dict(_parsed(entry) for entry in text.split(",") if entry.strip())
    with _lock:
        _armed.clear()
        _armed.update(chosen)


def _parsed(entry: str) -> tuple[str, _Armed]:
    place, _, action = entry.strip().partition("=")
    name, _, count = place.partition(":")
    if name not in NAMES or action not in _ACTIONS or not (count or "1").isdecimal():
        raise ConfigError(
            f"'{entry}' arms no fail point",
            code="bad_failpoint",
            field=VARIABLE,
            fix=f"write name=action; actions are {', '.join(_ACTIONS)}",
            did_you_mean=nearest(name, NAMES),
        )
    return name, _Armed(_ACTIONS[action], int(count or 1))


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise() -> NoReturn:
    raise RuntimeError("a fail point was reached")


def _transient() -> NoReturn:
    raise TransientError("a fail point was reached", code="failpoint")


def _enospc() -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


_ACTIONS: dict[str, Callable[[], None]] = {
    "kill": _kill,
    "stop": _stop,
    "raise": _raise,
    "transient": _transient,
    "enospc": _enospc,
}
arm(os.environ.get(VARIABLE, ""))
