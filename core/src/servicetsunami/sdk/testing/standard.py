"""The points of the connector standard that can be seen of a connector as it is installed, without a source.

Those of its behaviour are the checks of `SourceContract` and `FeedContract`, which its own tests run.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from servicetsunami.sdk.capability import manifest
from servicetsunami.sdk.hooks import ENTRY_POINT_GROUP
from servicetsunami.sdk.source import Source

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_LOOKS_SECRET = re.compile(r"passw|secret|token$|api_key$|private_key$|credential", re.IGNORECASE)
_MISTAKES = re.compile(r"^#+ .*twelve commonest mistakes", re.IGNORECASE | re.MULTILINE)
_HEAVY = (
    "import sys, importlib; importlib.import_module(sys.argv[1]); "
    "print(*[m for m in sys.modules if m.split('.')[0] in sys.argv[2:]])"
)
_DRIVERS = (
    "pyarrow", "pandas", "numpy", "asyncpg", "psycopg", "sqlalchemy", "pymysql", "gspread", "google", "requests",
    "httpx", "httpx2", "obstore", "duckdb", "polars", "boto3", "msgspec",
)  # fmt: skip
_OWN = "servicetsunami"


@dataclass(frozen=True)
class Installed:
    """A connector as it is installed."""

    cls: type[Source[Any]]
    distribution: str
    module: str
    """What its entry point leads to."""

    @cached_property
    def readme(self) -> str:
        """Its documentation, in Markdown; empty if its distribution brings none."""
        return str(metadata.metadata(self.distribution).json.get("description") or "")

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of its settings."""
        return self.cls.config_type.model_json_schema()

    @property
    def folder(self) -> Path:
        """Where its code is."""
        spec = importlib.util.find_spec(self.module.partition(".")[0])
        return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else Path()


@dataclass(frozen=True)
class Point:
    """One point of the standard."""

    id: str
    title: str
    check: Callable[[Installed], str | None]
    """Returns what is wrong; None where the connector holds to it."""


def installed(cls: type[Source[Any]]) -> Installed | None:
    """Return how a connector's class is installed; None if no entry point leads to it."""
    package = cls.__module__.partition(".")[0]
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        if point.value.partition(":")[0].partition(".")[0] == package and point.dist is not None:
            return Installed(cls, point.dist.name, point.value.partition(":")[0])
    return None


def _named_well(one: Installed) -> str | None:
    if _NAME.fullmatch(one.cls.name) and one.cls.title:
        return None
    return "its name is lower-case letters, digits and _, and it has a title"


def _described(one: Installed) -> str | None:
    found = manifest(one.cls).description
    return None if len(found) >= 20 and found.endswith(".") else "its class has a docstring that says what it reads"


def _settings_described(one: Installed) -> str | None:
    bare = [name for name, setting in one.schema.get("properties", {}).items() if len(_about(setting)) < 10]
    return f"these settings are not described: {', '.join(bare)}" if bare else None


def _about(setting: dict[str, Any]) -> str:
    return str(setting.get("description") or "")


def _secrets_secret(one: Installed) -> str | None:
    plain = {name for name in one.schema.get("properties", {}) if _LOOKS_SECRET.search(name)}
    open_ones = plain - set(manifest(one.cls).secrets)
    return f"these look secret and are no SecretStr: {', '.join(sorted(open_ones))}" if open_ones else None


def _settings_closed(one: Installed) -> str | None:
    return None if one.schema.get("additionalProperties") is False else "a setting that it does not know is refused"


def _light(one: Installed) -> str | None:
    command = [sys.executable, "-c", _HEAVY, one.module, *_DRIVERS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        return "its module cannot be imported by itself"
    return f"finding it imports {', '.join(done.stdout.split()[:5])}" if done.stdout.split() else None


def _keeps_to_sdk(one: Installed) -> str | None:
    own = one.module.partition(".")[0]
    foreign = {
        name
        for file in one.folder.rglob("*.py")
        for name in _imported(ast.parse(file.read_text(encoding="utf-8")))
        if name.split(".")[0] == _OWN and name.split(".")[:2] != [_OWN, "sdk"] and not name.startswith(f"{own}.")
    }
    return f"it imports {', '.join(sorted(foreign))}" if foreign else None


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _typed(one: Installed) -> str | None:
    return None if (one.folder / "py.typed").exists() else "its package has no py.typed"


def _licensed(one: Installed) -> str | None:
    told = metadata.metadata(one.distribution).json
    is_told = told.get("license_expression") or told.get("license") or "License ::" in str(told.get("classifier"))
    return None if is_told else "its distribution does not say its licence"


def _documented(one: Installed) -> str | None:
    missing = [name for name in one.schema.get("properties", {}) if f"`{name}`" not in one.readme]
    return f"its README does not name these settings: {', '.join(missing)}" if missing else None


def _mistakes_told(one: Installed) -> str | None:
    found = _MISTAKES.search(one.readme)
    rows = [line for line in one.readme[found.end() :].splitlines() if line.startswith("|")] if found else []
    return None if len(rows) >= 14 else "its README has no table of the twelve commonest mistakes"


def _bounded(one: Installed) -> str | None:
    requires = metadata.requires(one.distribution) or []
    ours = next((line for line in requires if re.match(r"servicetsunami\s*[<>=!~(;]", line)), None)
    return None if ours and "<" in ours else "its distribution does not say which versions of servicetsunami it is for"


POINTS: tuple[Point, ...] = (
    Point("D1", "Its name and title are well formed", _named_well),
    Point("D2", "Its class says what it reads", _described),
    Point("D3", "Every setting is described", _settings_described),
    Point("D4", "What looks secret is a secret", _secrets_secret),
    Point("D5", "Unknown settings are refused", _settings_closed),
    Point("D6", "Finding it imports no driver", _light),
    Point("D7", "It imports the SDK and itself, nothing else of the host", _keeps_to_sdk),
    Point("D8", "Its package is typed", _typed),
    Point("D9", "Its licence is told", _licensed),
    Point("D10", "Its README names every setting", _documented),
    Point("D11", "Its README tells the twelve commonest mistakes", _mistakes_told),
    Point("D12", "It says which versions of the host it is for", _bounded),
)
