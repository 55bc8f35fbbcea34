"""Replacing a file of another program: whole, with its mode, and with the old one kept beside it."""

from __future__ import annotations

import os
import stat
import tempfile
from itertools import count
from pathlib import Path

from servicetsunami.sdk import ConfigError, PermissionDenied, TransientError

PRIVATE = 0o600
"""Mode of a new file: other servers' tokens may be added to it."""


def read_text(file: Path) -> str | None:
    """Return what a file holds, or None if there is none; raises `ConfigError` or `PermissionDenied`."""
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigError(
            f"{file} is not UTF-8 text, so it was left as it is",
            code="client_config_broken",
            fix="save it as UTF-8, or add --print and paste the entry yourself",
        ) from None
    except OSError as error:
        raise _denied(file, error) from None


def replace_text(file: Path, old: str | None, new: str) -> Path | None:
    """Write `new` where `old` was, and return where the old file is kept.

    Raises `TransientError` if somebody else changed the file in between: then it is left as it is.
    """
    target = file.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(target.stat().st_mode) if old is not None else PRIVATE
        fresh = _written_aside(target, new, mode)
        try:
            _check_unchanged(target, old)
            backup = None if old is None else _kept(target, old, mode)
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise _denied(target, error) from None
    return backup


def _written_aside(target: Path, text: str, mode: int) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    fresh = Path(name)
    fresh.chmod(mode)
    return fresh


def _check_unchanged(target: Path, old: str | None) -> None:
    if read_text(target) != old:
        raise TransientError(
            f"{target} was changed by another program just now, so it was left as it is",
            code="client_config_changed",
            fix="try again",
        )


def _kept(target: Path, text: str, mode: int) -> Path:
    """Write a copy beside a file under a name that is free."""
    for number in count(1):
        backup = target.with_name(f"{target.name}.before-tsunami{'' if number == 1 else f'-{number}'}")
        try:
            descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "wb") as copy:
            copy.write(text.encode())
        return backup
    raise AssertionError("count() ends")


def _denied(file: Path, error: OSError) -> PermissionDenied:
    return PermissionDenied(
        f"{file} cannot be read or written",
        code="client_config_denied",
        why=error.strerror,
        fix="see to its rights, or add --print and paste the entry yourself",
    )
