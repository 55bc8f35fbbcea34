"""Claude Code as it comes from npm: offline, in a home of its own."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from protocol_model import Model, served
from protocol_node import environment, need, run
from protocol_servers import TSUNAMI

from servicetsunami.cli.throwaway_postgres import throwaway_postgres

_PATIENCE_SECONDS = 120
_QUIET = dict.fromkeys(
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER", "DISABLE_ERROR_REPORTING", "DISABLE_TELEMETRY"),
    "1",
)
SERVER = "lakehouse"
CONNECTED = "✔ Connected"
_SHOP = ("create table people (id int primary key, name text)", "insert into people values (1, 'Ada'), (2, 'Grace')")


@dataclass(frozen=True)
class Claude:
    """An installation that has never been used."""

    home: Path

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        script = need("claude") / "@anthropic-ai" / "claude-code" / "cli-wrapper.cjs"
        told = environment(self.home, **_QUIET, **more)
        return run(script, *arguments, timeout=_PATIENCE_SECONDS, environment=told)

    def add_stdio(self) -> None:
        """Add our server over stdio, with a lakehouse beside the home."""
        self._add("--env", f"TSUNAMI_HOME={self.home / 'lake'}", "--", TSUNAMI, "serve")

    def add_http(self, url: str) -> None:
        """Add our server over HTTP."""
        self._add("--transport", "http", url)

    def status(self) -> str:
        """Return what it says of our server after it has spoken with it; the exit code does not tell."""
        lines = self.run("mcp", "get", SERVER).stdout.splitlines()
        return next((line.partition(":")[2].strip() for line in lines if "Status:" in line), "unknown")

    def converse(self, prompt: str, model_url: str) -> subprocess.CompletedProcess[str]:
        """Let it work on a prompt with a model of ours; our server's tools need no permission."""
        allowed = ("--allowedTools", f"mcp__{SERVER}")
        return self.run("-p", prompt, *allowed, ANTHROPIC_BASE_URL=model_url, ANTHROPIC_API_KEY="none-is-needed")

    def _add(self, *arguments: str) -> None:
        done = self.run("mcp", "add", "--scope", "user", SERVER, *arguments)
        assert done.returncode == 0, done.stderr


@contextmanager
def shop() -> Iterator[dict[str, Any]]:
    """Serve a database with people in it; yields how to log in."""
    with throwaway_postgres() as server:
        names = ("host", "port", "database", "user", "password")
        login = {name: getattr(server, name) for name in names}
        asyncio.run(_furnish(login))
        yield login


def ask_for_people(claude: Claude, login: dict[str, Any]) -> tuple[Model, subprocess.CompletedProcess[str]]:
    """Let a model connect the shop, sync its people and query them; returns what it got."""
    model = Model(
        [
            lambda _: (_tool("connect_postgres"), {"name": "shop", **login}),
            lambda told: (
                _tool("sync_to_bronze"),
                {"connection_id": told[0]["connection_id"], "table_name": "people", "wait_seconds": 20},
            ),
            lambda told: (_tool("query_sql"), {"sql": f"select name from {told[1]['bronze_table']} order by id"}),
        ]
    )
    with served(model) as url:
        return model, claude.converse("Who are our people?", url)


async def _furnish(login: dict[str, Any]) -> None:
    connection = await asyncpg.connect(**login)
    for statement in _SHOP:
        await connection.execute(statement)
    await connection.close()


def _tool(name: str) -> str:
    return f"mcp__{SERVER}__{name}"
