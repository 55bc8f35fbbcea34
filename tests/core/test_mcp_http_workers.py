"""Two processes behind one port: what one of them knows, the other's clients get too."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from http_lab import AUTHENTICATED, Served, client_of, post, serving, token

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("mcp_http_workers")]
OPENING = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
    b'"clientInfo":{"name":"t","version":"1"}}}'
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {**AUTHENTICATED, "TSUNAMI_MCP_WORKERS": "2"}
    with serving(tmp_path_factory.mktemp("http"), "acme", "globex", settings=settings) as found:
        yield found


def opened(served: Served) -> str:
    answer = post(served, OPENING, authorization=f"Bearer {token()}", mcp_protocol_version="2025-11-25")
    return str(answer.headers["mcp-session-id"])


def in_session(served: Served, session: str, bearer: str) -> int:
    """Ping a session over a connection of its own, which any worker may accept."""
    return post(
        served,
        b'{"jsonrpc":"2.0","id":2,"method":"ping"}',
        authorization=f"Bearer {bearer}",
        mcp_session_id=session,
        mcp_protocol_version="2025-11-25",
    ).status_code


async def test_two_workers_serve_clients_of_both_eras(served: Served) -> None:
    found = []
    for era in ("legacy", "2026-07-28") * 4:
        async with client_of(served.url, token(), era) as client:
            found.append((await client.call_tool("list_connections", {})).structured_content)

    assert found == [{"connections": []}] * 8


def test_a_session_is_found_from_every_worker(served: Served) -> None:
    sessions = {opened(served) for _ in range(12)}
    workers = {session.partition("-")[0] for session in sessions}

    answers = {in_session(served, session, token()) for session in sessions for _ in range(4)}

    assert workers == {"0", "1"}
    assert answers == {200}


def test_a_session_that_is_passed_on_is_still_its_owners(served: Served) -> None:
    sessions = [opened(served) for _ in range(6)]

    answers = {
        in_session(served, session, bearer) for session in sessions for bearer in (token("globex"), token(sub="bob"))
    }
    without = {in_session(served, session, "nonsense") for session in sessions}

    assert (answers, without) == ({404}, {401})


@pytest.mark.parametrize("session", ["0-" + "0" * 32, "1-" + "0" * 32, "7-" + "0" * 32, "0" * 32, "1-../x", "-"])
def test_a_session_that_is_not_there_is_not_found(served: Served, session: str) -> None:
    answers = {in_session(served, session, token()) for _ in range(6)}

    assert answers == {404}
