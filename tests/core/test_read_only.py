"""In read-only mode everybody may look and ask, and nothing changes: by tools, operations, commands or schedules."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from servicetsunami import operations
from servicetsunami.cli.running import run
from servicetsunami.mcp.catalog import build_catalog, catalog_of
from servicetsunami.mcp.stdio import make_host
from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.connections import test_connection as try_connection
from servicetsunami.operations.installation import run_checks
from servicetsunami.operations.scheduler import Scheduler
from servicetsunami.operations.schedules import add_schedule
from servicetsunami.operations.sync import get_run, list_runs, sync_to_bronze
from servicetsunami.operations.tables import describe_table, list_tables, query_sql
from servicetsunami.sdk import ConfigError

pytestmark = pytest.mark.anyio
ME = Caller("default")
READING = {
    "answers.reading.read_result",
    "answers.reading.result_ids",
    "answers.warehouses.with_warehouse",
    "confirming.consent_to",
    "connections.connection_status",
    "connections.list_connections",
    "connections.test_connection",
    "glances.glance_at_tables",
    "installation.list_tenants",
    "lineage.lineage_of",
    "installation.run_checks",
    "opened.with_source",
    "releasing.followed_streams",
    "schedules.list_schedules",
    "secret_requests.find_waiting",
    "secret_requests.form_token",
    "secret_requests.is_anybody_asked",
    "secret_requests.opened",
    "secret_requests.outcome",
    "secrets.dialling_secrets",
    "secrets.find_connection",
    "secrets.gather_secrets",
    "secrets.missing_secrets",
    "secrets.read_references",
    "signing_in.sign_in_of",
    "sync.watch",
    "transforms.transforming.preview_transform",
    "uploads.links.allowed_by",
    "sources.list_source_tables",
    "sources.query_source",
    "sync.get_run",
    "sync.list_runs",
    "sync_many.get_connection_sync",
    "sync_many.plan_tables",
    "tables.describe_table",
    "tables.list_tables",
    "tables.query_sql",
    "tables.validate_sql",
}
"""Operations that change nothing; whoever adds one here has looked at all that it does."""
OPERATING = {"installation.rotate_keys"}
"""What only whoever runs the server can ask for, who also decides whether it is read-only."""


class Garden(Protocol):
    """What the fixture `garden` offers."""

    home: Path
    open: Callable[..., AbstractAsyncContextManager[App]]


def found_operations() -> Iterator[tuple[str, Callable[..., Coroutine[Any, Any, Any]]]]:
    """Yield every public operation on an app, by module and name."""
    for module in pkgutil.walk_packages(operations.__path__, f"{operations.__name__}."):
        for name, found in vars(importlib.import_module(module.name)).items():
            here = getattr(found, "__module__", "") == module.name and not name.startswith("_")
            if here and inspect.iscoroutinefunction(found) and next(iter(inspect.signature(found).parameters)) == "app":
                yield f"{module.name.removeprefix(operations.__name__ + '.')}.{name}", found


def files(home: Path) -> dict[Path, bytes]:
    """Return what lies in the lake."""
    return {path: path.read_bytes() for path in (home / "data").rglob("*") if path.is_file()}


async def planted(app: App) -> str:
    """Sync a table from a connection, and return the connection's id."""
    created = await app.records.create_connection(
        "default", name="garden", connector="garden", settings={}, secrets={}, streams={}
    )
    await sync_to_bronze(app, ME, created.id, "oak")
    return created.id


async def test_every_operation_but_the_reviewed_ones_refuses(garden: Garden) -> None:
    async with garden.open(read_only="true") as app:
        codes = {}
        for name, operation in found_operations():
            if name not in READING | OPERATING:
                with pytest.raises(ConfigError) as refused:
                    await operation(app)
                codes[name] = refused.value.code

    assert set(codes.values()) == {"read_only"}
    assert {"connections.connect_source", "sync.sync_to_bronze", "sync.cancel_run"} <= set(codes)


def test_the_reviewed_operations_exist() -> None:
    assert {name for name, _ in found_operations()} >= READING | OPERATING


async def test_a_refusal_tells_what_did_not_happen_and_who_can_help(garden: Garden) -> None:
    async with garden.open(read_only="true") as app:
        with pytest.raises(ConfigError) as refused:
            await sync_to_bronze(app, ME, "garden", "oak")

    problem = refused.value.problem()
    assert problem.message == "this server is read-only, so nothing was synced"
    assert problem.fix is not None
    assert "TSUNAMI_READ_ONLY" in problem.fix


async def test_looking_and_asking_leave_lake_and_records_as_they_were(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await planted(app)
        before = files(garden.home), await app.records.connection("default", connection)
    async with garden.open(read_only="true") as app:
        tested = await try_connection(app, ME, connection)
        (ended,) = (await list_runs(app, ME)).runs
        again = await get_run(app, ME, ended.run_id)
        (table,) = (await list_tables(app, ME)).tables
        described = await describe_table(app, ME, table.table)
        answered = await query_sql(app, ME, "select count(*) from bronze.oak")
        checks = await run_checks(app, ME)
        after = files(garden.home), await app.records.connection("default", connection)

    assert (tested.status, again.status, described.table.rows, answered.result) == ("success", "succeeded", 3, 3)
    assert "failed" not in {check.status for check in checks.checks if check.name == "sink"}
    assert after == before


async def test_the_lake_is_opened_to_be_queried_only(garden: Garden) -> None:
    async with garden.open(read_only="true") as app:
        with pytest.raises(ConfigError) as refused:
            app.open_sink("default", Event())

    assert refused.value.code == "read_only"


async def test_no_schedule_runs(garden: Garden) -> None:
    async with garden.open() as app:
        await add_schedule(app, ME, await planted(app), every="1h")
    async with garden.open(read_only="true") as app:
        with pytest.raises(ConfigError) as refused:
            Scheduler(app)

    assert refused.value.code == "read_only"


async def test_tools_that_change_something_are_listed_for_nobody(garden: Garden) -> None:
    async with garden.open(read_only="true") as app:
        catalog = catalog_of(app)
        usual = build_catalog(app.plugins.connectors, app.warehouse_class)

    assert all(tool.hints.read_only for tool in catalog.callable.values())
    assert {tool.name for tool in usual.listed} - {tool.name for tool in catalog.listed} == {
        tool.name for tool in usual.listed if not tool.hints.read_only and tool.name != "test_connection"
    }
    assert {"test_connection", "list_connections", "query_sql", "get_run"} <= set(catalog.callable)


async def test_models_are_told_that_the_server_is_read_only(garden: Garden) -> None:
    async with garden.open(read_only="true") as app, Client(make_host(app)) as client:
        told = client.instructions or ""

    assert "This server is read-only" in told
    assert "sync_to_bronze" not in told
    assert "Delete a connection" not in told


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_calling_such_a_tool_is_like_calling_one_that_does_not_exist(garden: Garden, era: str) -> None:
    async with garden.open(read_only="true") as app, Client(make_host(app), mode=era) as client:
        told = {}
        for name in ("delete_connection", "sync_table_to_bronze", "connect_garden", "brew_coffee"):
            with pytest.raises(MCPError) as refused:
                await client.call_tool(name, {})
            told[name] = (refused.value.error.code, refused.value.error.message.partition(";")[0])

    assert told == {name: (-32602, f"Unknown tool: {name}") for name in told}


@pytest.mark.parametrize(
    "command",
    [
        ["connections", "delete", "garden", "--yes"],
        ["sync", "garden", "oak"],
        ["schedule", "run", "--once"],
        ["runs", "cancel", "run_x"],
    ],
    ids=["delete", "sync", "schedules", "cancel"],
)
def test_commands_tell_why_they_do_nothing(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TSUNAMI_HOME", str(tmp_path))
    monkeypatch.setenv("TSUNAMI_READ_ONLY", "true")
    monkeypatch.chdir(tmp_path)

    code = run(command)

    assert code != 0
    assert "read_only" in capsys.readouterr().err
