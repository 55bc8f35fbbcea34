"""The servers that clients are shown: the product over HTTP, and the conformance fixtures; each a real process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TSUNAMI = str(Path(sys.executable).with_name("tsunami"))
_ADDRESS = re.compile(r"http://\S+/mcp")
_PATIENCE_SECONDS = 30


@contextmanager
def conformance_server(home: Path) -> Iterator[str]:
    """Serve the fixtures; yields their address."""
    command = [TSUNAMI, "serve", "--conformance", "--port", "0"]
    with _serving(command, home, {}) as process:
        assert process.stderr is not None
        told = _ADDRESS.search(process.stderr.readline())
        assert told is not None
        yield told[0]


@contextmanager
def _serving(command: list[str], home: Path, more: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command,
        cwd=home,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=_PATIENCE_SECONDS)
