"""The Python client with a server of its own, started as a process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.client import AsyncServiceTsunami, ServiceTsunami
from servicetsunami.sdk import ConfigError, NotFound, PermanentError, TransientError, TsunamiError

PYTHON = [sys.executable, "-m", "servicetsunami.cli", "serve"]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceTsunami]:
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o700)
    with ServiceTsunami(env={"TSUNAMI_HOME": str(home)}) as client:
        yield client


@pytest.fixture(scope="module")
def shop(lake: ServiceTsunami) -> Iterator[ThrowawayServer]:
    """A database with 2,500 customers, connected as `shop`."""
    with throwaway_postgres() as server:
        asyncio.run(_fill(server))
        lake.connect(
            "postgres",
            "shop",
            host=server.host,
            port=server.port,
            database=server.database,
            user=server.user,
            password=server.password,
        )
        yield server


@pytest.fixture(scope="module")
def connection(lake: ServiceTsunami, shop: ThrowawayServer) -> str:
    return next(view.connection_id for view in lake.connections() if view.settings["port"] == shop.port)


async def _fill(server: ThrowawayServer) -> None:
    import asyncpg

    connection = await asyncpg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=server.database
    )
    await connection.execute("create table customers (id int primary key, name text)")
    await connection.execute("insert into customers select n, 'customer ' || n from generate_series(1, 2500) n")
    await connection.close()


def test_a_connection_is_stored_and_listed(lake: ServiceTsunami, shop: ThrowawayServer) -> None:
    views = lake.connections()

    assert [(view.name, view.connector, view.status) for view in views] == [("shop", "postgres", "success")]
    assert shop.password not in str(views)


def test_a_dataset_is_created_and_described(lake: ServiceTsunami, connection: str) -> None:
    run = lake.create_dataset(connection, "customers")

    described = lake.describe("bronze.customers")

    assert (run.status, run.bronze_table) == ("succeeded", "tenant_default.bronze.customers")
    assert [column.name for column in described.columns][:2] == ["id", "name"]
    assert [view.table for view in lake.tables(layer="bronze")] == ["tenant_default.bronze.customers"]


def test_the_name_that_the_first_client_had_still_creates_a_dataset(lake: ServiceTsunami, connection: str) -> None:
    run = lake.create_dataset_in_databricks(connection, "customers", sync_mode="full")

    assert run.status == "succeeded"


def test_a_run_that_fails_raises_why(lake: ServiceTsunami, connection: str) -> None:
    with pytest.raises(TsunamiError) as raised:
        lake.create_dataset(connection, "custmers")

    assert raised.value.code == "table_not_found"
    assert "customers" in raised.value.did_you_mean


def test_a_query_answers_with_a_typed_page(lake: ServiceTsunami) -> None:
    page = lake.query_dataset("select 40 + 2 as answer")

    assert ([column.name for column in page.columns], page.rows, page.result) == (["answer"], ((42,),), 42)


def test_every_row_of_a_long_answer_comes_page_by_page(lake: ServiceTsunami, connection: str) -> None:
    lake.create_dataset(connection, "customers")
    sql = "select id from bronze.customers order by id"

    pages = [page.row_count for page in lake.pages(sql)]
    rows = [row[0] for row in lake.rows(sql, page_rows=900)]

    assert pages == [1000, 1000, 500]
    assert rows == list(range(1, 2501))


def test_a_connection_is_deleted_once_that_is_confirmed(lake: ServiceTsunami, shop: ThrowawayServer) -> None:
    place: dict[str, Any] = {"host": shop.host, "port": shop.port, "database": shop.database}
    spare = lake.connect("postgres", "spare", **place, user=shop.user, password=shop.password).connection_id or ""

    asked = lake.delete(spare)
    kept = [view.name for view in lake.connections()]
    done = lake.delete(spare, confirmed=True)

    assert (asked.status, kept, done.status) == ("needs_confirmation", ["shop", "spare"], "deleted")
    assert [view.name for view in lake.connections()] == ["shop"]


def test_the_source_is_asked_in_its_own_words(lake: ServiceTsunami, connection: str) -> None:
    answer = lake.query_source(connection, "select count(*) as n from customers")

    assert answer.result == 2500


def test_what_the_server_refuses_is_raised_as_what_it_is(lake: ServiceTsunami) -> None:
    with pytest.raises(NotFound) as missing:
        lake.run("run_nobody_knows")
    with pytest.raises(ConfigError) as refused:
        lake.query_dataset("select 1", limit=5000)

    assert (missing.value.code, missing.value.field) == ("run_not_found", "run_id")
    assert (refused.value.code, refused.value.field) == ("invalid_argument", "limit")


def test_a_misspelt_tool_is_named(lake: ServiceTsunami) -> None:
    with pytest.raises(NotFound) as raised:
        lake.call("list_tabels")

    assert raised.value.code == "tool_not_available"
    assert raised.value.did_you_mean[0] == "list_tables"


def test_a_server_process_that_dies_is_started_again_by_the_next_call(tmp_path: Path) -> None:
    with _breaking(tmp_path) as lake:
        with pytest.raises(TransientError) as raised:
            lake.call("list_connections")

        again = lake.connections()

    assert (raised.value.code, again) == ("connection_lost", [])


def test_waiting_for_a_run_goes_on_after_the_server_went_away(tmp_path: Path) -> None:
    with _breaking(tmp_path) as lake, pytest.raises(NotFound) as raised:
        lake.wait("run_nobody_knows")

    assert raised.value.code == "run_not_found"


def test_a_program_that_is_not_there_is_a_matter_of_the_command() -> None:
    with pytest.raises(ConfigError) as raised, ServiceTsunami(command=["/nowhere/tsunami", "serve"]):
        pass

    assert raised.value.code == "command_not_found"


def test_a_program_that_speaks_no_mcp_is_unreachable() -> None:
    with pytest.raises(TransientError) as raised, ServiceTsunami(command=[sys.executable, "-c", ""]):
        pass

    assert raised.value.code == "server_unreachable"


OTHER_SERVER = """
import asyncio, mcp.types as t
from mcp.server import Server
from mcp.server.stdio import stdio_server

async def listed(context, params):
    schema = {"type": "object", "required": ["a"]}
    tools = [t.Tool(name="odd", input_schema={"type": "object"}, output_schema=schema),
             t.Tool(name="plain", input_schema={"type": "object"})]
    return t.ListToolsResult(tools=tools)

async def called(context, params):
    if params.name == "get_run":
        return t.CallToolResult(content=[], structured_content={"run_id": "canary-11d0"})
    if params.name == "cancel_run":
        return t.CallToolResult(content=[], structured_content={"error": {"canary-11d0": 1}}, is_error=True)
    if params.name == "slow":
        await asyncio.sleep(60)
    content = [t.TextContent(type="text", text="hello")]
    return t.CallToolResult(content=content, structured_content={"b": "canary-11d0"} if params.name == "odd" else None)

async def main():
    server = Server("other", on_list_tools=listed, on_call_tool=called)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())

asyncio.run(main())
"""


@pytest.mark.parametrize("tool", ["odd", "plain"])
def test_an_answer_of_some_other_server_is_refused_without_quoting_it(tool: str) -> None:
    with ServiceTsunami(command=[sys.executable, "-c", OTHER_SERVER]) as other, pytest.raises(PermanentError) as raised:
        other.call(tool)

    assert raised.value.code == "bad_answer"
    assert "canary" not in repr(raised.value.problem())


def test_a_result_or_an_error_of_another_form_is_refused_without_quoting_it() -> None:
    with ServiceTsunami(command=[sys.executable, "-c", OTHER_SERVER]) as other:
        with pytest.raises(PermanentError) as result:
            other.run("run_1")
        with pytest.raises(PermanentError) as error:
            other.cancel("run_1")

    assert [result.value.code, error.value.code] == ["bad_answer", "bad_answer"]
    assert "canary" not in repr([result.value.problem(), error.value.problem()])


def test_an_answer_that_does_not_come_in_time_is_given_up_and_the_connection_stays() -> None:
    with ServiceTsunami(command=[sys.executable, "-c", OTHER_SERVER], timeout_seconds=0.2) as other:
        with pytest.raises(TransientError) as raised:
            other.call("slow")

        tools = other.tools()

    assert (raised.value.code, tools) == ("answer_timeout", ["odd", "plain"])


def test_a_client_that_was_closed_says_so() -> None:
    with pytest.raises(ConfigError) as raised:
        ServiceTsunami().tools()

    assert raised.value.code == "client_closed"


def test_several_tasks_share_one_connection(tmp_path: Path) -> None:
    async def ask() -> list[Any]:
        async with AsyncServiceTsunami(env={"TSUNAMI_HOME": str(tmp_path / "home")}) as lake:
            pages = await asyncio.gather(*(lake.query_dataset(f"select {number} as n") for number in range(5)))
            return [page.result for page in pages]

    assert asyncio.run(ask()) == [0, 1, 2, 3, 4]


def test_importing_the_client_loads_neither_the_protocol_nor_the_server() -> None:
    code = "import servicetsunami.client, sys; print(*{name.partition('.')[0] for name in sys.modules})"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert {"mcp", "httpx2", "pyarrow", "sqlalchemy", "typer"} & set(loaded) == set()


def test_the_async_and_the_blocking_client_have_the_same_methods() -> None:
    both = [{name for name in vars(kind) if not name.startswith("_")} for kind in (AsyncServiceTsunami, ServiceTsunami)]

    assert both[0] == both[1]


def test_an_answer_that_is_not_whole_is_not_taken_for_one() -> None:
    from servicetsunami.client.remote import next_cursor
    from servicetsunami.operations.models import QueryPage

    cut = QueryPage(columns=(), rows=(), row_count=0, truncated=True, execution_time=0.0)

    with pytest.raises(PermanentError) as raised:
        next_cursor(cut)

    assert raised.value.code == "answer_truncated"


def _breaking(folder: Path) -> ServiceTsunami:
    """Return a client whose server ends at the first call of a tool, and not when it is started again."""
    program = (
        "import os, subprocess, sys, pathlib\n"
        "marker = pathlib.Path(sys.argv[1])\n"
        "if marker.exists(): os.execv(sys.argv[2], sys.argv[2:])\n"
        "child = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE)\n"
        "for line in sys.stdin.buffer:\n"
        "    if b'tools/call' in line: marker.touch(); child.kill(); os._exit(1)\n"
        "    child.stdin.write(line); child.stdin.flush()\n"
        "child.kill()\n"
    )
    command = [sys.executable, "-c", program, str(folder / "marker"), *PYTHON]
    return ServiceTsunami(command=command, env={"TSUNAMI_HOME": str(folder / "home")})
