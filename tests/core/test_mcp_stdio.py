"""The server as a process on standard input and output, with the plugins that are installed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import asyncpg
import pytest
from mcp import Client, StdioServerParameters

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres

pytestmark = pytest.mark.anyio
CANARY = "canary-7be2"
COMMAND = [sys.executable, "-m", "servicetsunami.cli", "serve"]
SNAPSHOT = Path(__file__).parent / "snapshots" / "mcp_tools.json"
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TSUNAMI_")}
    return {**inherited, "TSUNAMI_HOME": str(tmp_path / "home")}


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> StdioServerParameters:
    return StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=environment, cwd=tmp_path)


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    error = result.structured_content["error"]
    assert isinstance(error, dict)
    return error


async def test_the_published_tools_are_listed(server: StdioServerParameters, era: str) -> None:
    async with Client(server, mode=era) as client:
        listed = (await client.list_tools()).tools

    shown = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed]
    assert shown == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


async def test_a_fresh_server_holds_nothing_and_answers_unknown_ids_alike(
    server: StdioServerParameters, era: str
) -> None:
    async with Client(server, mode=era) as client:
        connections = await call(client, "list_connections")
        tables = await call(client, "list_tables")
        by_alias = await refused(client, "sync_table_to_bronze", connection_id="conn_none", table_name="t")
        of_another = await refused(client, "query_sql", sql="select 1", tenant_id="another")
        no_run = await refused(client, "get_run", run_id="run_none")

    assert connections == {"connections": [], "truncated": False}
    assert (tables["catalog"], tables["total"]) == ("tenant_default", 0)
    assert by_alias["code"].endswith("not_found")
    assert of_another["code"].endswith("not_found")
    assert no_run["code"].endswith("not_found")


async def test_a_connection_that_cannot_work_is_stored_with_its_problem_and_without_its_secret(
    server: StdioServerParameters, era: str
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        async with Client(server, mode=era) as client:
            result = await client.call_tool(
                "connect_postgres",
                {"name": "shop", "host": "127.0.0.1", "port": port, "database": "d", "user": "u", "password": CANARY},
            )
            listed = await client.call_tool("list_connections", {})

    assert result.structured_content["status"] == "failed"
    assert result.structured_content["problem"]["step"]
    assert "tsunami connect" in result.structured_content["notice"]
    assert listed.structured_content["connections"][0]["secrets"] == ["password"]
    assert CANARY not in result.model_dump_json() + listed.model_dump_json()


async def test_a_wrong_setting_is_named_and_its_value_is_not_repeated(server: StdioServerParameters, era: str) -> None:
    settings = {"host": "h", "database": "d", "user": "u", "password": CANARY}
    async with Client(server, mode=era) as client:
        misspelt = await refused(client, "connect_postgres", name="shop", passwort=CANARY, **settings)
        nested = await refused(
            client, "connect_source", connector="postgres", name="shop", config={**settings, "passwort": CANARY}
        )
        wrong = await refused(client, "connect_postgres", name="shop", port=CANARY, **settings)
        missing = await refused(client, "connect_postgres", name="shop", password=CANARY)

    assert (misspelt["code"], misspelt["did_you_mean"][0]) == ("unknown_argument", "password")
    assert (nested["code"], nested["did_you_mean"][0]) == ("unknown_setting", "password")
    assert (wrong["code"], wrong["field"]) == ("invalid_setting", "port")
    assert (missing["code"], missing["field"]) == ("missing_setting", "host")
    assert CANARY not in json.dumps([misspelt, nested, wrong, missing])


@pytest.mark.server
async def test_a_sync_that_takes_longer_than_the_wait_goes_on_and_can_be_watched(
    server: StdioServerParameters, era: str
) -> None:
    with throwaway_postgres() as postgres:
        await fill(postgres, "create table numbers as select generate_series(1, 50000) as number")
        async with Client(server, mode=era) as client:
            connected = await call(
                client,
                "connect_postgres",
                name="shop",
                host=postgres.host,
                port=postgres.port,
                database=postgres.database,
                user=postgres.user,
                password=postgres.password,
            )
            begun = await call(
                client,
                "sync_to_bronze",
                connection_id=connected["connection_id"],
                table_name="numbers",
                wait_seconds=0,
            )
            ended = await call(client, "get_run", run_id=begun["run_id"], wait_seconds=60)

    assert begun["status"] in ("queued", "running")
    assert ended["status"] == "succeeded", ended
    assert ended["rows"] == 50_000


async def fill(postgres: ThrowawayServer, statement: str) -> None:
    connection = await asyncpg.connect(
        host=postgres.host,
        port=postgres.port,
        user=postgres.user,
        password=postgres.password,
        database=postgres.database,
    )
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@contextmanager
def process(environment: dict[str, str], cwd: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=cwd,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def ask(running: subprocess.Popen[str], method: str) -> dict[str, Any]:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": ENVELOPE}}
    stdin, stdout = pipes(running)
    stdin.write(json.dumps(request) + "\n")
    stdin.flush()
    answer = json.loads(stdout.readline())
    assert isinstance(answer, dict)
    return answer


def pipes(running: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert running.stdin is not None
    assert running.stdout is not None
    return running.stdin, running.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly_while_it_waits_for_input(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    with process(environment, tmp_path) as running:
        listed = ask(running, "tools/list")
        running.send_signal(number)
        status = running.wait(timeout=20)
        rest = pipes(running)[1].read()

    assert listed["result"]["tools"]
    assert (status, rest) == (0, "")


def test_the_end_of_the_input_ends_the_server_cleanly(environment: dict[str, str], tmp_path: Path) -> None:
    with process(environment, tmp_path) as running:
        ask(running, "tools/list")
        output, errors = running.communicate(timeout=20)

    assert (running.returncode, output) == (0, "")
    assert "Traceback" not in errors


def test_the_list_is_ready_before_any_driver_is_imported(environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from servicetsunami.mcp.stdio import make_host\n"
        "from servicetsunami.operations.app import open_app\n"
        "from servicetsunami.runtime import load_settings\n"
        "async def main():\n"
        "    async with open_app(load_settings(None)) as app:\n"
        "        make_host(app)\n"
        "        print(*sys.modules)\n"
        "asyncio.run(main())\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )

    loaded = set(ended.stdout.split())
    assert "servicetsunami_postgres" in loaded
    assert not loaded & {"pyarrow", "duckdb", "deltalake", "asyncpg", "postgast", "sqlglot", "numpy", "rich"}
