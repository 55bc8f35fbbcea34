"""The product's host: what it says of itself, and what it keeps going when its clients go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from gardens import Garden
from mcp import Client, MCPError
from mcp.server.connection import Connection

from servicetsunami.mcp.fronting import product_host
from servicetsunami.mcp.legacy import MOST_WATCHED, LegacyClient
from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.connections import connect_source

pytestmark = pytest.mark.anyio
ACME = Caller("default")


@pytest.fixture(params=["legacy", "auto"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def app(garden: Garden) -> AsyncIterator[App]:
    async with garden.open() as app:
        yield app


async def test_the_server_shows_an_icon_and_says_what_to_call_first(app: App, era: str) -> None:
    async with Client(product_host(app, lambda _context: ACME), mode=era) as client:
        told, said = client.server_info, client.instructions or ""

    assert told is not None
    (icon,) = told.icons or []
    kind, _, drawing = icon.src.partition(",")
    assert (told.title, kind) == ("ServiceTsunami", "data:image/svg+xml")
    assert ElementTree.fromstring(unquote(drawing)).tag.endswith("svg")
    assert len(said.encode()) <= 2_000
    assert "Call list_connections first" in said


async def test_a_run_goes_on_when_the_call_that_began_it_is_given_up(app: App, garden: Garden, era: str) -> None:
    connected = await connect_source(app, ACME, connector="garden", name="garden", config={})
    garden.beds.hold("oak")
    wanted = {"connection_id": connected.connection_id, "table_name": "oak"}
    begun = len(garden.beds.begun)
    async with Client(product_host(app, lambda _context: ACME), mode=era) as client:
        call = asyncio.create_task(client.call_tool("sync_to_bronze", wanted))
        await asyncio.to_thread(garden.beds.wait_for, begun + 1)
        call.cancel()
        await asyncio.wait({call})
    (run,) = await app.records.runs("default")
    garden.beds.let_go()
    await app.runs.wait(run.id, None)

    async with Client(product_host(app, lambda _context: ACME), mode=era) as another:
        told = await another.call_tool("get_run", {"run_id": run.id})

    assert told.structured_content["status"] == "succeeded"
    assert told.structured_content["rows"] == 3


async def test_a_stream_watches_so_many_resources_and_no_more(app: App) -> None:
    async with Client(product_host(app, lambda _context: ACME), mode="2026-07-28") as client:
        with pytest.raises(MCPError, match="At most 1,000"):
            await client.listen(resource_subscriptions=["guide://start"] * (MOST_WATCHED + 1)).__aenter__()


async def test_a_connection_watches_so_many_resources_and_no_more() -> None:
    client = LegacyClient(Connection.for_loop(Nowhere()), "default")
    for number in range(MOST_WATCHED):
        client.watch(f"run://run_{number}")

    client.watch("run://run_0")
    with pytest.raises(MCPError, match="At most 1,000"):
        client.watch("run://one_more")


async def test_one_tenant_cannot_take_every_stream(app: App) -> None:
    current = ACME
    host = product_host(app, lambda _context: current)
    async with Client(host, mode="2026-07-28") as client, AsyncExitStack() as streams:
        for _ in range(128):
            await streams.enter_async_context(client.listen(tools_list_changed=True))
        with pytest.raises(MCPError, match="limit reached"):
            await client.listen(tools_list_changed=True).__aenter__()
        current = Caller("other")
        await streams.enter_async_context(client.listen(tools_list_changed=True))


class Nowhere:
    """A channel that leads nowhere."""

    async def send_raw_request(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {}

    async def notify(self, *_: Any, **__: Any) -> None:
        return None
