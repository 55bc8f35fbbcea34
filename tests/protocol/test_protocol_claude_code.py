"""Claude Code from npm, offline: it connects to the server, and a conversation gets its work done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from http_lab import serving
from protocol_claude import SERVER, Claude
from protocol_model import Model, served
from protocol_servers import TSUNAMI

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres

pytestmark = pytest.mark.server
CONNECTED = "✔ Connected"
SHOP = ("create table people (id int primary key, name text)", "insert into people values (1, 'Ada'), (2, 'Grace')")


@pytest.fixture(scope="module")
def shop() -> Iterator[ThrowawayServer]:
    with throwaway_postgres() as server:
        asyncio.run(furnish(server))
        yield server


@pytest.fixture
def claude(tmp_path: Path) -> Claude:
    return Claude(tmp_path)


async def furnish(server: ThrowawayServer) -> None:
    connection = await asyncpg.connect(**login(server))
    for statement in SHOP:
        await connection.execute(statement)
    await connection.close()


def login(server: ThrowawayServer) -> dict[str, Any]:
    return {name: getattr(server, name) for name in ("host", "port", "database", "user", "password")}


def tool(name: str) -> str:
    return f"mcp__{SERVER}__{name}"


def test_claude_code_connects_over_stdio(claude: Claude, tmp_path: Path) -> None:
    claude.add("--env", f"TSUNAMI_HOME={tmp_path / 'lake'}", "--", TSUNAMI, "serve")

    assert claude.status() == CONNECTED


def test_claude_code_connects_over_http(claude: Claude, tmp_path: Path) -> None:
    with serving(tmp_path / "server") as server:
        claude.add("--transport", "http", f"{server.origin}/mcp")

        assert claude.status() == CONNECTED


def test_a_conversation_connects_a_source_syncs_a_table_and_queries_it(
    claude: Claude, tmp_path: Path, shop: ThrowawayServer
) -> None:
    claude.add("--env", f"TSUNAMI_HOME={tmp_path / 'lake'}", "--", TSUNAMI, "serve")
    model = Model(
        [
            lambda _: (tool("connect_postgres"), {"name": "shop", **login(shop)}),
            lambda told: (
                tool("sync_to_bronze"),
                {"connection_id": told[0]["connection_id"], "table_name": "people", "wait_seconds": 20},
            ),
            lambda told: (tool("query_sql"), {"sql": f"select name from {told[1]['bronze_table']} order by id"}),
        ]
    )

    with served(model) as url:
        done = claude.converse("Who are our people?", url)

    assert (done.returncode, done.stdout.strip()) == (0, "That was all."), done.stderr
    connected, synced, answered = model.results
    assert (connected["status"], connected["tables"]) == ("success", 1)
    assert (synced["status"], synced["rows_read"]) == ("succeeded", 2)
    assert answered["rows"] == [["Ada"], ["Grace"]], answered
