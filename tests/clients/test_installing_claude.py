"""Claude Code itself, set up by `tsunami install` and by the plugin, with a home of its own and no network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from protocol_node import environment, need

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., str]


@pytest.fixture
def claude(tmp_path: Path) -> Run:
    """Run Claude Code, or `tsunami` where it finds Claude Code."""
    program = next(need("claude").glob("@anthropic-ai/claude-code-*/claude"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/claude").symlink_to(program)
    (tmp_path / "project").mkdir()
    variables = environment(tmp_path, DISABLE_AUTOUPDATER="1", TSUNAMI_HOME=str(tmp_path / "lake"))
    variables["PATH"] = f"{tmp_path / 'bin'}:{variables['PATH']}"

    def run(*arguments: str) -> str:
        command = [*([sys.executable, "-m", "servicetsunami.cli"] if arguments[0] == "tsunami" else [arguments[0]])]
        done = subprocess.run(
            [*command, *arguments[1:]],
            env=variables,
            cwd=tmp_path / "project",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("scope", ["user", "local"])
def test_claude_code_connects_to_what_was_installed(claude: Run, scope: str) -> None:
    said = [claude("tsunami", "install", "claude-code", "--scope", scope).split()[0] for _ in range(2)]

    seen = claude("claude", "mcp", "get", "lakehouse")
    claude("tsunami", "uninstall", "claude-code", "--scope", scope)
    gone = claude("claude", "mcp", "list")

    assert said == ["Installed", "Already"]
    assert "✔ Connected" in seen
    assert "lakehouse" not in gone


def test_claude_code_takes_the_entry_as_it_was_changed(claude: Run) -> None:
    claude("tsunami", "install", "claude-code")

    claude("tsunami", "--tenant", "acme", "install", "claude-code")

    assert "TSUNAMI_TENANT=acme" in claude("claude", "mcp", "get", "lakehouse")


def test_claude_code_installs_the_plugin_from_the_repository(claude: Run) -> None:
    claude("claude", "plugin", "marketplace", "add", str(ROOT))

    claude("claude", "plugin", "install", "servicetsunami@servicetsunami")

    plugins = json.loads(claude("claude", "plugin", "list", "--json"))
    assert [plugin["id"] for plugin in plugins] == ["servicetsunami@servicetsunami"]
