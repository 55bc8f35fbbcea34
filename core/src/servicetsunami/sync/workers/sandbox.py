"""Running workers in bubblewrap: they see Python, its libraries and their own folder, and no other file or process.

They have a network of their own that reaches nothing: `Context.dial` asks the host, which connects and relays.
"""

from __future__ import annotations

import shutil
import subprocess
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
    "/etc/ld.so.cache",
    "/etc/localtime",
)
_SCRATCH = "/run/scratch"
_TRIAL_SECONDS = 20.0
_LONGEST_REASON = 500


def find_bubblewrap() -> str:
    """Return the path of the program after a trial; raises `ConfigError` with code `sandbox_unavailable`."""
    program = shutil.which("bwrap")
    if program is None:
        raise ConfigError(
            "the setting sandbox is bubblewrap, and the program bwrap is not installed, so nothing is read",
            code="sandbox_unavailable",
            field="sandbox",
            fix="install bubblewrap, or set sandbox to none",
        )
    _try(program)
    return program


def wrapper(program: str, folder: Path) -> list[str]:
    """Return the command that runs the command behind it in a sandbox in which only `folder` can be written to."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [program, "--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]
    command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", _SCRATCH, "--setenv", "TMPDIR", _SCRATCH]
    for path in _readable():
        command += ["--ro-bind-try", path, path]
    return [*command, "--bind", str(folder), str(folder), "--chdir", "/"]


def _try(program: str) -> None:
    """Have it make every namespace once: some machines permit none, and some containers no network of its own."""
    command = [program, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", sys.executable, "-ISc", ""]
    try:
        tried = subprocess.run(command, capture_output=True, timeout=_TRIAL_SECONDS, check=False)  # noqa: S603 - fixed
        why = tried.stderr.decode("utf-8", "replace").strip()[:_LONGEST_REASON] if tried.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        why = f"it did not run: {type(error).__name__}"
    if why is not None:
        raise ConfigError(
            "the setting sandbox is bubblewrap, and bwrap may not make a sandbox on this machine, so nothing is read",
            code="sandbox_unavailable",
            field="sandbox",
            why=why or None,
            fix="permit user and network namespaces to this server, or set sandbox to none",
        )


def _readable() -> Iterator[str]:
    yield from _SYSTEM
    yield from dict.fromkeys(path for path in (sys.base_prefix, sys.prefix, *sys.path) if path and Path(path).exists())
