"""How the server over HTTP stops: nobody new, everybody who was let in, and then the runs."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from http_lab import STAGE, Served, client_of, serving
from mcp import Client

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("mcp_http_stopping")]


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def status(served: Served, path: str) -> int:
    return int(httpx2.get(f"{served.origin}{path}", trust_env=False).status_code)


async def statuses_after(served: Served, number: int) -> dict[str, int]:
    """Send a signal, wait until the server says that it is not ready, and return what it answers then."""
    served.process.send_signal(number)
    for _ in range(400):
        if await asyncio.to_thread(status, served, "/ready") == 503:
            break
        await asyncio.sleep(0.02)
    return {path: await asyncio.to_thread(status, served, path) for path in ("/ready", "/health", "/mcp")}


def test_a_server_that_serves_says_so(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        found = {path: httpx2.get(f"{served.origin}{path}", trust_env=False) for path in ("/health", "/ready")}
        code = served.stop()

    assert {path: (answer.status_code, answer.json()) for path, answer in found.items()} == {
        "/health": (200, {"status": "ok"}),
        "/ready": (200, {"status": "ready"}),
    }
    assert code == 0
    assert "Traceback" not in served.logged()
    assert "as tenant default" in served.logged()


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_server_without_authentication_tells_every_client(tmp_path: Path, era: str) -> None:
    with serving(tmp_path, settings={"TSUNAMI_TENANT": "solo"}) as served:
        async with client_of(served.url, None, era) as client:
            told = client.instructions or ""

    assert "does not check who calls" in told
    assert "tenant 'solo'" in told


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_an_open_request_is_answered_while_nobody_new_is_let_in(tmp_path: Path, era: str, workers: str) -> None:
    with serving(tmp_path, settings={"TSUNAMI_MCP_WORKERS": workers}, command=STAGE) as stage:
        async with client_of(stage.url, None, era) as client:
            await client.list_tools()
            call = asyncio.create_task(client.call_tool("slow", {"seconds": 4}))
            await asyncio.sleep(1.2)
            found = await statuses_after(stage, signal.SIGTERM)
            answer = await call
        code = await asyncio.to_thread(stage.process.wait, 60)

    assert "done" in str(answer.content[0])
    assert workers == "2" or found == {"/ready": 503, "/health": 200, "/mcp": 503}
    assert code == 0
    assert "Traceback" not in stage.logged()


async def test_streams_of_changes_end_when_the_server_stops(tmp_path: Path) -> None:
    with serving(tmp_path, command=STAGE) as stage:
        async with client_of(stage.url, None) as client, client.listen(tools_list_changed=True) as watched:
            stage.process.send_signal(signal.SIGINT)
            told = [event async for event in watched]
        code = await asyncio.to_thread(stage.process.wait, 30)

    assert (told, code) == ([], 0)


async def test_the_stream_of_an_older_client_does_not_hold_the_server_up(tmp_path: Path) -> None:
    with serving(tmp_path, command=STAGE) as stage:
        async with client_of(stage.url, None, "legacy") as client:
            await client.call_tool("where", {})
            stage.process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(stage.process.wait, 30)

    assert code == 0
    assert "Traceback" not in stage.logged()


async def test_a_second_signal_kills(tmp_path: Path) -> None:
    with serving(tmp_path, command=STAGE) as stage:
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
            call = asyncio.create_task(http.post(stage.url, json=SLOW, headers=HEADERS))
            await asyncio.sleep(1.2)
            await statuses_after(stage, signal.SIGTERM)
            code = await asyncio.to_thread(stage.stop, signal.SIGTERM)
            with pytest.raises(httpx2.HTTPError):
                await call

    assert code == -signal.SIGTERM


HEADERS = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "slow",
}
SLOW: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {
        "name": "slow",
        "arguments": {"seconds": 30},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    },
}


@pytest.mark.server
async def test_a_sync_that_runs_is_parked_and_the_next_server_tells_of_it(tmp_path: Path) -> None:
    allowed = {"TSUNAMI_SECRETS_IN_TOOLS": "allow"}
    with throwaway_postgres() as postgres:
        await fill(postgres, "create view endless as select n, pg_sleep(0.01)::text from generate_series(1, 100000) n")
        with serving(tmp_path, settings=allowed) as served:
            async with client_of(served.url, None) as client:
                connection = await told(client, "connect_postgres", name="shop", **where(postgres))
                run = await told(
                    client,
                    "sync_to_bronze",
                    connection_id=connection["connection_id"],
                    table_name="endless",
                    wait_seconds=2,
                )
            code = await asyncio.to_thread(served.stop)
        with serving(tmp_path, settings=allowed) as served:
            async with client_of(served.url, None) as client:
                found = await told(client, "get_run", run_id=run["run_id"])
                tables = await told(client, "list_tables")

    assert run["status"] == "running"
    assert (code, found["status"]) == (0, "interrupted")
    assert tables["tables"] == []


def where(postgres: ThrowawayServer) -> dict[str, Any]:
    names = ("host", "port", "database", "user", "password")
    return {name: getattr(postgres, name) for name in names}


async def told(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def fill(postgres: ThrowawayServer, statement: str) -> None:
    connection = await asyncpg.connect(**where(postgres))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
