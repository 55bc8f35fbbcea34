"""Installing into the environment this program runs in, with uv or with pip, whichever is there."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Protocol

from servicetsunami import __version__
from servicetsunami.sdk import ConfigError, TransientError

_LONGEST_REASON = 600
_USER_INFO = re.compile(r"(?<=://)[^/\s@]+@")


class Installer(Protocol):
    """Changes what is installed."""

    def install(self, requirements: Sequence[str], *, upgrade: bool = False) -> None:
        """Install them all or none; raises `TransientError` (`install_failed`)."""

    def uninstall(self, distribution: str) -> None:
        """Uninstall one."""


class EnvironmentInstaller:
    """The environment of this very interpreter."""

    def install(self, requirements: Sequence[str], *, upgrade: bool = False) -> None:
        """Install them all or none, and leave this program in its version: a connector must not exchange its host."""
        wanted = [*requirements, f"servicetsunami=={__version__}"]
        _run([*_tool("install"), *(["--upgrade"] if upgrade else []), *wanted], "nothing was installed")

    def uninstall(self, distribution: str) -> None:
        """Uninstall one."""
        _run([*_tool("uninstall"), distribution], "it is still installed")


def _tool(command: str) -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        assured = ["--yes"] if command == "uninstall" else ["--no-input"]
        return [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *assured]
    uv = shutil.which("uv")
    if uv is None:
        raise ConfigError(
            "this environment has no pip and there is no uv, so nothing can be installed into it",
            code="installer_missing",
            fix=f"install uv, or run: {sys.executable} -m ensurepip",
        )
    return [uv, "pip", command, "--quiet", "--python", sys.executable]


def _run(command: list[str], stopped: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if done.returncode == 0:
        return
    said = _USER_INFO.sub("", (done.stderr or done.stdout).strip())
    raise TransientError(
        f"{'uv' if 'uv' in command[:2] else 'pip'} did not succeed, so {stopped}",
        code="install_failed",
        why=said[-_LONGEST_REASON:],
        fix="see the reason; a name may be misspelt, or the package index out of reach",
    )
