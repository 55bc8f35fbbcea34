"""Whoever cancels a run through a client is told within two seconds that it is, whatever its connector does."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from servicetsunami.mcp.stdio import make_host
from servicetsunami.operations.app import App
from servicetsunami.plugins import FoundPlugin, Plugins, discover
from servicetsunami.records import open_records, open_vault
from servicetsunami.runtime import Presence, load_settings
from servicetsunami.sdk import manifest

pytestmark = pytest.mark.anyio
SOON = 2.0
SLACK = 2.0
"""For a machine that is busy with other tests."""
ROWS = 3


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "worker_plugins"))


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[tuple[App, Client]]:
    """Open an app with the connector that misbehaves, as a process of its own would, and a client of it."""
    odd = importlib.import_module("odd_connectors").Odd
    sinks = [plugin for plugin in discover().found if plugin.kind == "sink"]
    found = Plugins((FoundPlugin("odd", "connector", odd, "odd", "1", None, manifest(odd)), *sinks))
    records = await open_records(f"sqlite:///{home}/records.db", open_vault(home, master_key=None))
    with closing(Presence(home)) as presence:
        app = App(load_settings({"home": str(home)}, environ={}, cwd=home), found, records, presence)
        await records.create_tenant("default")
        try:
            async with Client(make_host(app)) as client:
                yield app, client
        finally:
            await app.close()


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return dict(result.structured_content or {})


async def stuck(app: App, client: Client, mode: str) -> str:
    """Begin a sync whose read goes nowhere after some rows; return the run's id."""
    created = await app.records.create_connection(
        "default", name="odd", connector="odd", settings={"mode": mode, "rows": ROWS}, secrets={}, streams={}
    )
    run = await ask(client, "sync_to_bronze", connection_id=created.id, table_name="t", wait_seconds=0)
    with anyio.fail_after(60):
        while run["rows_read"] < ROWS:
            run = await ask(client, "get_run", run_id=run["run_id"], wait_seconds=0.1)
    return str(run["run_id"])


def left(home: Path) -> list[Path]:
    return list(home.glob("data/**/*.parquet"))


@pytest.mark.parametrize("mode", ["hang", "spin", "only_log"])
async def test_a_connector_that_does_not_listen_is_ended(mode: str, tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, client):
        run_id = await stuck(app, client, mode)

        with anyio.fail_after(SOON + SLACK):
            run = await ask(client, "cancel_run", run_id=run_id)

        assert (run["status"], run["rows"]) == ("cancelled", 0)
        assert run["message"] == "The run was cancelled. Nothing of it is visible."
        assert left(tmp_path) == []
        assert (await ask(client, "list_tables"))["total"] == 0


async def test_a_run_of_another_process_is_cancelled_as_soon(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, client), opened(tmp_path) as (_, other):
        run_id = await stuck(app, client, "hang")

        with anyio.fail_after(SOON + SLACK):
            run = await ask(other, "cancel_run", run_id=run_id)

        assert run["status"] == "cancelled"
        assert left(tmp_path) == []
