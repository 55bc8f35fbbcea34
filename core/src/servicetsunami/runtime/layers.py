"""Where settings are read: flags, the environment, `.env`, the project's file and the user's file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from servicetsunami.runtime.settings import APPLICATION, PREFIX, SECRETS, VARIABLES, Settings
from servicetsunami.sdk import ConfigError, nearest

FILE_NAME = "tsunami.toml"
DOTENV_NAME = ".env"
READ_ELSEWHERE = frozenset({"TSUNAMI_DEMO_POSTGRES_URL"})
"""Variables with our prefix that are no settings."""
_READ_BY_TESTS = frozenset({"TSUNAMI_FAILPOINT"})

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*(.*?)\s*", re.DOTALL)
_QUOTED = re.compile(r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)")\s*(?:#.*)?""", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True)
class Layer:
    """Settings from one place: their values, and for each the words that tell where it came from."""

    values: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)


def from_flags(flags: Mapping[str, object], cwd: Path) -> Layer:
    """Read settings given by name; those that are None were not given."""
    given = {name: value for name, value in flags.items() if value is not None}
    return _named(given, "flag", "a flag", cwd)


def from_environment(environ: Mapping[str, str], cwd: Path) -> Layer:
    """Read the variables that are ours; an empty one counts as not set."""
    # Only here: what a `.env` file says of them reaches nobody who looks into the environment.
    ours = {variable: value for variable, value in environ.items() if not _holds_a_secret(variable)}
    names = _variables(ours, "the environment")
    values = {name: environ[variable] for name, variable in names.items()}
    origins = {name: f"environment {variable}" for name, variable in names.items()}
    return Layer(_with_home(values, cwd), origins)


def from_dotenv(file: Path) -> Layer:
    """Read the variables that are ours from a `.env` file; those of other programs are none of our business."""
    environ = dict(_assignments(file))
    names = _variables(environ, f"the file {file}")
    values = {name: environ[variable] for name, variable in names.items()}
    return Layer(_with_home(values, file.parent), dict.fromkeys(values, DOTENV_NAME))


def from_file(file: Path, origin: str) -> Layer:
    """Read a TOML file of settings."""
    try:
        values = tomllib.loads(_text(file))
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(file, str(error)) from None
    return _named(values, origin, f"the file {file}", file.parent)


def folders(cwd: Path) -> list[Path]:
    """Return the folders in which the project's files may lie, nearest first.

    Beyond `cwd` these are its parents up to the one that holds `.git`, or up to the user's home. A folder that
    everybody may write to ends the search: anybody could have put a file there.
    """
    found: list[Path] = []
    for folder in (cwd, *cwd.parents):
        if found and _is_open_to_all(folder):
            break
        found.append(folder)
        if (folder / ".git").exists() or folder == Path.home():
            return found
    return [cwd]


def user_file(environ: Mapping[str, str]) -> Path | None:
    """Return the user's file; None in an environment that names no user's home."""
    if not {"HOME", "USERPROFILE"} & set(environ):
        return None
    return platformdirs.user_config_path(APPLICATION, appauthor=False) / FILE_NAME


def _named(values: Mapping[str, Any], origin: str, place: str, base: Path) -> Layer:
    for name in values:
        if name not in Settings.model_fields:
            raise _unknown(name, place, nearest(name, Settings.model_fields))
    return Layer(_with_home(values, base), dict.fromkeys(values, origin))


def _variables(environ: Mapping[str, str], place: str) -> dict[str, str]:
    """Return the variable of each setting that is set; raises `ConfigError` for one of ours that is no setting."""
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in {*VARIABLES, *READ_ELSEWHERE, *_READ_BY_TESTS}:
            raise _unknown(variable, place, nearest(variable, VARIABLES))
    return {name: variable for variable, name in VARIABLES.items() if environ.get(variable)}


def _holds_a_secret(variable: str) -> bool:
    return variable.startswith(SECRETS) and variable not in VARIABLES


def _with_home(values: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Make `home` absolute: relative to the file it stands in, or to the working directory."""
    home = values.get("home")
    if not isinstance(home, str | Path):
        return dict(values)
    return {**values, "home": base / Path(home).expanduser()}


def _is_open_to_all(folder: Path) -> bool:
    return os.name == "posix" and bool(folder.stat().st_mode & 0o002)


def _assignments(file: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_text(file).splitlines(), start=1):
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            continue
        name, value = match.groups()
        if value[:1] in ("'", '"'):
            quoted = _QUOTED.fullmatch(value)
            if quoted is None and name in VARIABLES:
                raise _unreadable(file, f"line {number} does not end its quotes, or goes on after them")
            value = _unquoted(quoted) if quoted else ""
        else:
            value = re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()
        yield name, value


def _unquoted(quoted: re.Match[str]) -> str:
    single, double = quoted.groups()
    if single is not None:
        return str(single)
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), double)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _unreadable(file, error.strerror or "it cannot be opened") from None
    except UnicodeDecodeError:
        raise _unreadable(file, "it is not text in UTF-8") from None


def _unreadable(file: Path, why: str) -> ConfigError:
    return ConfigError(
        f"the file {file} cannot be read as settings, so nothing was started",
        code="settings_file_invalid",
        why=why,
        fix="correct the file, or move it away",
    )


def _unknown(name: str, place: str, near: tuple[str, ...]) -> ConfigError:
    return ConfigError(
        f"'{name}', found in {place}, is not a setting, so it would have no effect",
        code="unknown_setting",
        field=name,
        fix="correct the name or take it out; `tsunami config show` lists every setting",
        did_you_mean=near,
    )
