"""Claude Code from npm, offline: it connects to the server, and a conversation gets its work done."""

from __future__ import annotations

from pathlib import Path

import pytest
from http_lab import serving
from protocol_claude import CONNECTED, Claude, ask_for_people, shop
from protocol_model import ENDED

pytestmark = pytest.mark.server


@pytest.fixture
def claude(tmp_path: Path) -> Claude:
    return Claude(tmp_path)


def test_claude_code_connects_over_stdio(claude: Claude) -> None:
    claude.add_stdio()

    assert claude.status() == CONNECTED


def test_claude_code_connects_over_http(claude: Claude, tmp_path: Path) -> None:
    with serving(tmp_path / "server") as server:
        claude.add_http(f"{server.origin}/mcp")

        assert claude.status() == CONNECTED


def test_claude_code_tells_of_a_server_that_is_not_there(claude: Claude) -> None:
    claude.add_http("http://127.0.0.1:9/mcp")

    assert "Failed to connect" in claude.status()


def test_a_conversation_connects_a_source_syncs_a_table_and_queries_it(claude: Claude) -> None:
    claude.add_stdio()

    with shop() as login:
        model, done = ask_for_people(claude, login)

    assert (done.returncode, done.stdout.strip()) == (0, ENDED), done.stderr
    connected, synced, answered = model.results
    assert (connected["status"], connected["tables"]) == ("success", 1)
    assert (synced["status"], synced["rows_read"]) == ("succeeded", 2)
    assert answered["rows"] == [["Ada"], ["Grace"]], answered
