"""Who is let in over HTTP, as whom, and what exists for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx2
import pytest
from http_lab import AUTHENTICATED, ISSUER, Served, client_of, post, serving, token
from mcp import Client
from mcp.shared.exceptions import MCPError

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("mcp_http_callers")]


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {
        **AUTHENTICATED,
        "TSUNAMI_MCP_ALLOWED_HOSTS": "mcp.example.com",
        "TSUNAMI_MCP_ALLOWED_ORIGINS": "https://app.example.com",
        "TSUNAMI_MCP_MAX_REQUEST_BYTES": "65536",
    }
    with serving(tmp_path_factory.mktemp("http"), "acme", "globex", settings=settings) as found:
        yield found


async def test_a_caller_with_a_token_is_served_in_both_eras(served: Served, era: str) -> None:
    async with client_of(served.url, token(), era) as client:
        called = await client.call_tool("list_connections", {})

    assert "shop_of_acme" in str(called.structured_content)


def test_a_request_without_a_token_is_told_where_to_get_one(served: Served) -> None:
    answer = post(served)

    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    assert f'resource_metadata="{served.origin}/.well-known/oauth-protected-resource/mcp"' in challenge


def test_the_server_tells_whose_tokens_it_takes(served: Served) -> None:
    told = httpx2.get(f"{served.origin}/.well-known/oauth-protected-resource/mcp", trust_env=False).json()

    assert told["resource"] == served.url
    assert told["authorization_servers"] == [ISSUER]
    assert told["scopes_supported"] == ["read", "sync", "secrets:write", "admin"]


@pytest.mark.parametrize(
    "bearer",
    [
        token(aud="https://other.example.com"),
        token(iss="https://evil.example.com"),
        token(exp=int(time.time()) - 3600),
        token("nobody_here"),
        token("../acme"),
        token("ACME"),
        token() + "x",
        "nonsense",
    ],
    ids=["audience", "issuer", "expired", "unknown tenant", "path", "capitals", "forged", "nonsense"],
)
def test_what_is_wrong_with_a_token_is_not_told(served: Served, bearer: str) -> None:
    without = post(served)

    answer = post(served, authorization=f"Bearer {bearer}")

    assert (answer.status_code, answer.content) == (401, without.content)
    assert answer.headers["www-authenticate"] == without.headers["www-authenticate"]


def test_a_token_that_may_not_read_lacks_a_scope(served: Served) -> None:
    answer = post(served, authorization=f"Bearer {token(scope='sync everything')}")

    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


async def test_tools_outside_the_scopes_do_not_exist(served: Served, era: str) -> None:
    async with client_of(served.url, token(scope="read unknown"), era) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError) as hidden:
            await client.call_tool("delete_connection", {"connection": "shop"})
        with pytest.raises(MCPError) as unknown:
            await client.call_tool("delete_connectionz", {"connection": "shop"})

    assert "list_connections" in listed
    assert not listed & {"delete_connection", "sync_to_bronze", "connect_source"}
    assert hidden.value.error.code == unknown.value.error.code
    assert hidden.value.error.message == unknown.value.error.message.replace("delete_connectionz", "delete_connection")


async def test_a_session_belongs_to_whom_it_was_opened_by(served: Served) -> None:
    opened = post(
        served,
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
        b'"clientInfo":{"name":"t","version":"1"}}}',
        authorization=f"Bearer {token()}",
        mcp_protocol_version="2025-11-25",
    )
    session = opened.headers["mcp-session-id"]
    ask = b'{"jsonrpc":"2.0","id":2,"method":"ping"}'

    answers = [
        post(served, ask, authorization=f"Bearer {bearer}", mcp_session_id=session, mcp_protocol_version="2025-11-25")
        for bearer in (token(), token(sub="bob"), token("globex"))
    ]

    assert [answer.status_code for answer in answers] == [200, 404, 404]


async def test_a_call_in_a_session_has_the_scopes_of_its_own_token(served: Served) -> None:
    opened = post(
        served,
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
        b'"clientInfo":{"name":"t","version":"1"}}}',
        authorization=f"Bearer {token()}",
        mcp_protocol_version="2025-11-25",
    )

    listed = post(
        served,
        b'{"jsonrpc":"2.0","id":2,"method":"tools/list"}',
        authorization=f"Bearer {token(scope='read')}",
        mcp_session_id=opened.headers["mcp-session-id"],
        mcp_protocol_version="2025-11-25",
    )

    assert "list_connections" in listed.text
    assert "delete_connection" not in listed.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example.com"}, 421),
        ({"host": "mcp.example.com.evil.example"}, 421),
        ({"host": "mcp.example.com"}, 200),
        ({"host": "mcp.example.com:8443"}, 200),
        ({"origin": "https://evil.example.com"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:6274"}, 200),
    ],
    ids=["host", "longer host", "allowed host", "allowed host with port", "origin", "null", "own origin"],
)
def test_only_allowed_hosts_and_origins_are_served(served: Served, headers: dict[str, str], status: int) -> None:
    answer = post(served, authorization=f"Bearer {token()}", **headers)

    assert answer.status_code == status


def test_a_request_that_is_too_long_is_refused(served: Served) -> None:
    answer = post(served, b"x" * 65_537, authorization=f"Bearer {token()}")

    assert answer.status_code == 413


def test_no_token_and_no_claim_is_logged(served: Served) -> None:
    bearers = [token(), token("canary_tenant"), token(sub="canary-subject", aud="https://canary.example")]
    for bearer in bearers:
        post(served, authorization=f"Bearer {bearer}")

    logged = served.logged()

    assert "a token was refused" in logged
    assert "canary" not in logged
    assert not [part for bearer in bearers for part in bearer.split(".")[1:] if part in logged]


@pytest.mark.parametrize("origin", ["https://app.example.com", "https://evil.example.com"])
def test_browsers_let_pages_of_allowed_origins_call(served: Served, origin: str) -> None:
    asks = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }

    asked = httpx2.options(served.url, headers=asks, trust_env=False)
    called = post(served, origin=origin, authorization=f"Bearer {token()}")

    allowed = origin == "https://app.example.com"
    assert (asked.status_code, called.status_code) == ((200, 200) if allowed else (400, 403))
    assert [answer.headers.get("access-control-allow-origin") for answer in (asked, called)] == [
        origin if allowed else None
    ] * 2


async def test_calls_of_two_tenants_are_never_mixed_up(served: Served, era: str) -> None:
    async with client_of(served.url, token("acme"), era) as acme, client_of(served.url, token("globex"), era) as globex:
        found = await asyncio.gather(*(names_of(client) for _ in range(50) for client in (acme, globex)))

    assert found == [["shop_of_acme"], ["shop_of_globex"]] * 50


async def names_of(client: Client) -> list[str]:
    called = await client.call_tool("list_connections", {})
    assert isinstance(called.structured_content, dict)
    return [connection["name"] for connection in called.structured_content["connections"]]
