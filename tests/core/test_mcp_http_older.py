"""Clients that speak HTTP+SSE, beside those that speak what came after it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from http_lab import AUTHENTICATED, Served, client_of, post, serving, token
from mcp import Client
from mcp.client.sse import sse_client

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("mcp_http_older")]
PING = b'{"jsonrpc":"2.0","id":2,"method":"ping"}'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {**AUTHENTICATED, "MCP_TRANSPORT": "sse", "TSUNAMI_LOG_LEVEL": "debug"}
    with serving(tmp_path_factory.mktemp("http"), "acme", "globex", settings=settings) as found:
        yield found


async def test_older_and_newer_clients_are_served_beside_each_other(served: Served) -> None:
    bearer = {"authorization": f"Bearer {token(scope='read')}"}
    async with (
        Client(sse_client(f"{served.origin}/sse", headers=bearer), mode="legacy") as older,
        client_of(served.url, token()) as newer,
    ):
        answers = [(await client.call_tool("list_connections", {})).is_error for client in (older, newer)]
        listed = {tool.name for tool in (await older.list_tools()).tools}

    assert answers == [False] * 2
    assert "list_connections" in listed
    assert "delete_connection" not in listed


async def test_no_message_is_logged_however_much_is_logged(served: Served) -> None:
    bearer = {"authorization": f"Bearer {token()}"}
    secret = {
        "name": "shop",
        "host": "127.0.0.1",
        "port": 1,
        "user": "u",
        "password": "canary-4f1b",
        "database": "canary-4f1b",
    }
    async with (
        Client(sse_client(f"{served.origin}/sse", headers=bearer), mode="legacy") as older,
        client_of(served.url, token(), "legacy") as old,
        client_of(served.url, token()) as new,
    ):
        for client in (older, old, new):
            answer = await client.call_tool(
                "connect_source", {"connector": "postgres", "config": secret, "name": "canary-4f1b"}
            )
            assert answer.content
    post(served, b'{"canary-4f1b', authorization=f"Bearer {token()}")

    logged = served.logged()

    assert "debug" in logged
    assert "canary-4f1b" not in logged


def get(served: Served, **headers: str) -> httpx2.Response:
    return httpx2.get(f"{served.origin}/sse", headers=headers, trust_env=False)


def test_the_older_transport_is_as_closed_as_the_newer(served: Served) -> None:
    bearer = f"Bearer {token()}"

    found = [
        get(served).status_code,
        get(served, authorization=f"Bearer {token('nobody')}").status_code,
        get(served, authorization=f"Bearer {token(scope='sync')}").status_code,
        get(served, authorization=bearer, host="evil.example.com").status_code,
        get(served, authorization=bearer, origin="https://evil.example.com").status_code,
        post(served, PING, path=f"/messages/?session_id={'0' * 32}").status_code,
        post(served, PING, path=f"/messages/?session_id={'0' * 32}", authorization=bearer).status_code,
        post(served, b"x" * 5_000_000, path="/messages/", authorization=bearer).status_code,
    ]

    assert found == [401, 401, 403, 421, 403, 401, 404, 413]


async def test_a_stream_belongs_to_whom_it_was_opened_by(served: Served) -> None:
    bearer = {"authorization": f"Bearer {token()}", "accept": "text/event-stream"}
    async with (
        httpx2.AsyncClient(trust_env=False) as http,
        http.stream("GET", f"{served.origin}/sse", headers=bearer) as stream,
    ):
        lines = stream.aiter_lines()
        while not (line := await anext(lines)).startswith("data: "):
            pass
        path = line.removeprefix("data: ")
        found = [
            (await http.post(f"{served.origin}{path}", content=PING, headers=said(bearer))).status_code
            for bearer in (token(), token(sub="bob"), token("globex"))
        ]

    assert found == [202, 404, 404]


def said(bearer: str) -> dict[str, str]:
    return {"authorization": f"Bearer {bearer}", "content-type": "application/json"}
