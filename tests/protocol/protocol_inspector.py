"""The official Inspector, on its command line, at the product's own server: over both transports, in both eras."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from http_lab import serving
from protocol_node import environment, need, run
from protocol_servers import TSUNAMI

ERAS = ("legacy", "modern")
TRANSPORTS = ("stdio", "http")
_PATIENCE_SECONDS = 120
_AT_ONCE = "4"


@dataclass(frozen=True)
class Target:
    """A server to inspect."""

    home: Path
    url: str | None = None
    """Where it serves HTTP; None to start it, on stdio, for each inspection."""

    def inspect(self, era: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the Inspector once."""
        script = need("node") / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
        told = ("--cli", "--protocol-era", era, "--format", "json", *arguments, *self._where())
        return run(script, *told, timeout=_PATIENCE_SECONDS, environment=environment(self.home))

    def ask(self, era: str, method: str, *arguments: str) -> dict[str, Any]:
        """Return the result of a method."""
        done = self.inspect(era, "--method", method, *arguments)
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)["result"]
        return result

    def load(self, era: str, tool: str, arguments: dict[str, Any], times: int) -> dict[str, Any]:
        """Call a tool again and again, some calls at once; returns counts, `throughput` and `latencyMs`."""
        named = ("--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        return self.ask(
            era, "tools/call", *named, "--load", "--load-requests", str(times), "--load-concurrency", _AT_ONCE
        )

    def _where(self) -> tuple[str, ...]:
        if self.url is not None:
            return ("--transport", "http", "--server-url", self.url)
        return ("-e", f"TSUNAMI_HOME={self.home / 'lake'}", "--", TSUNAMI, "serve")


@contextmanager
def target(transport: str, folder: Path) -> Iterator[Target]:
    """Give a server to inspect, with an empty lakehouse."""
    (folder / "lake").mkdir(parents=True)
    if transport == "stdio":
        yield Target(folder)
        return
    with serving(folder) as served:
        yield Target(folder, f"{served.origin}/mcp")
