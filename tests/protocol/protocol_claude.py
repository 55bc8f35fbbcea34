"""Claude Code as it comes from npm: offline, in a home of its own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from protocol_node import environment, need, run

_PATIENCE_SECONDS = 120
_QUIET = dict.fromkeys(
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER", "DISABLE_ERROR_REPORTING", "DISABLE_TELEMETRY"),
    "1",
)
SERVER = "lakehouse"


@dataclass(frozen=True)
class Claude:
    """An installation that has never been used."""

    home: Path

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        script = need("claude") / "@anthropic-ai" / "claude-code" / "cli-wrapper.cjs"
        told = environment(self.home, **_QUIET, **more)
        return run(script, *arguments, timeout=_PATIENCE_SECONDS, environment=told)

    def add(self, *arguments: str) -> None:
        """Add our server."""
        done = self.run("mcp", "add", "--scope", "user", SERVER, *arguments)
        assert done.returncode == 0, done.stderr

    def status(self) -> str:
        """Return what it says of our server after it has spoken with it; the exit code does not tell."""
        lines = self.run("mcp", "get", SERVER).stdout.splitlines()
        return next((line.partition(":")[2].strip() for line in lines if "Status:" in line), "unknown")

    def converse(self, prompt: str, model_url: str) -> subprocess.CompletedProcess[str]:
        """Let it work on a prompt with a model of ours; our server's tools need no permission."""
        allowed = ("--allowedTools", f"mcp__{SERVER}")
        return self.run("-p", prompt, *allowed, ANTHROPIC_BASE_URL=model_url, ANTHROPIC_API_KEY="none-is-needed")
