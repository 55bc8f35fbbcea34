"""Running workers in bubblewrap: they see Python, its libraries and their own folder, and no other file or process.

The network stays open, since a connector dials its source itself: what it may reach is checked by `Context.dial`, which
contains mistakes and not malice.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from servicetsunami.sdk import ConfigError

Sandbox = Literal["none", "bubblewrap"]
_SYSTEM = (
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/usr/share/ca-certificates",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/ld.so.cache",
    "/etc/localtime",
)
_SCRATCH = "/run/scratch"


def find_bubblewrap() -> str:
    """Return the path of the program; raises `ConfigError` with code `sandbox_unavailable`."""
    program = shutil.which("bwrap")
    if program is None:
        raise ConfigError(
            "the setting sandbox is bubblewrap, and the program bwrap is not installed, so nothing is read",
            code="sandbox_unavailable",
            field="sandbox",
            fix="install bubblewrap, or set sandbox to none",
        )
    return program


def wrapper(program: str, folder: Path) -> list[str]:
    """Return the command that runs the command behind it in a sandbox in which only `folder` can be written to."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [program, "--unshare-all", "--share-net", "--die-with-parent", "--cap-drop", "ALL"]
    command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", _SCRATCH, "--setenv", "TMPDIR", _SCRATCH]
    for path in _readable():
        command += ["--ro-bind-try", path, path]
    return [*command, "--bind", str(folder), str(folder), "--chdir", "/"]


def _readable() -> Iterator[str]:
    yield from _SYSTEM
    yield from dict.fromkeys(path for path in (sys.base_prefix, sys.prefix, *sys.path) if path and Path(path).exists())
