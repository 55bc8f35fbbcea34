"""The file that names them: one requirement a line, as pip reads it too."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from servicetsunami.sdk import ConfigError, PermissionDenied

FILE = "connectors.txt"
_HEADING = "# Connectors that `tsunami connectors sync` installs. Changed by `tsunami connectors add` and `remove`.\n"


@dataclass(frozen=True)
class Kept:
    """One distribution that is kept."""

    distribution: str
    """Its name, in the form that compares equal however it is written."""
    requirement: str
    """What was asked for: a name, with a version or an address where one was given."""


def read(home: Path) -> tuple[Kept, ...]:
    """Return what is kept, by name; raises `ConfigError` (`connectors_file_broken`) that names the line."""
    try:
        lines = (home / FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(home, 0) from error
    wanted = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    found = [_parsed(home, number, line) for number, line in wanted if line and not line.startswith("#")]
    return tuple(sorted(found, key=lambda one: one.distribution))


def write(home: Path, kept: Iterable[Kept]) -> None:
    """Replace the file as a whole."""
    text = _HEADING + "".join(f"{one.requirement}\n" for one in sorted(kept, key=lambda one: one.distribution))
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=home)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(home / FILE)
    except OSError as error:
        raise PermissionDenied(
            f"{home / FILE} cannot be written, so what is installed is not kept",
            code="home_unavailable",
            why=error.strerror,
            fix="set TSUNAMI_HOME to a folder that you may write, and run the command again",
        ) from error


def named(requirement: str) -> Kept:
    """Read a requirement that names its distribution; raises `ConfigError` (`bad_requirement`)."""
    try:
        parsed = Requirement(requirement)
    except InvalidRequirement:
        # Not repeated: an address may hold a token.
        raise ConfigError(
            "that is no name of a package, nor a folder or a wheel that exists, so nothing was installed",
            code="bad_requirement",
            fix="give a name such as servicetsunami-salesforce, a folder, or a wheel",
        ) from None
    return Kept(canonicalize_name(parsed.name), requirement)


def _parsed(home: Path, number: int, line: str) -> Kept:
    try:
        return named(line)
    except ConfigError as error:
        raise _broken(home, number) from error


def _broken(home: Path, number: int) -> ConfigError:
    where = f"line {number} of {home / FILE}" if number else str(home / FILE)
    return ConfigError(
        f"{where} cannot be read, so nobody can tell which connectors are kept",
        code="connectors_file_broken",
        fix="write one requirement a line, such as servicetsunami-salesforce, or delete the file and add them again",
    )
