"""What clients of both eras are told while data changes, and what they are not."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from gardens import Garden
from mcp import Client, MCPError
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated, ServerEvent, ToolsListChanged
from mcp.types import (
    EmptyResult,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)

from servicetsunami.mcp.audience import resource_for, resources_for
from servicetsunami.mcp.fronting import product_host
from servicetsunami.mcp.host import Host
from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.connections import connect_source
from servicetsunami.operations.deleting import delete_connection
from servicetsunami.operations.events import Event
from servicetsunami.operations.sync import sync_to_bronze

pytestmark = pytest.mark.anyio
ACME, OTHER = Caller("default", by_model=False), Caller("other", by_model=False)
_PATIENCE_SECONDS = 30


class Heard:
    """What a client was told, in order."""

    def __init__(self) -> None:
        self.events: list[ServerEvent] = []
        self._more = asyncio.Event()

    async def message(self, message: Any) -> None:
        """Take in a notification of the older era."""
        match getattr(message, "method", ""):
            case "notifications/resources/updated":
                self.take(ResourceUpdated(uri=str(message.params.uri)))
            case "notifications/resources/list_changed":
                self.take(ResourcesListChanged())
            case "notifications/tools/list_changed":
                self.take(ToolsListChanged())

    def take(self, event: ServerEvent) -> None:
        self.events.append(event)
        self._more.set()

    async def until(self, *wanted: ServerEvent) -> None:
        """Wait until all of these were told."""
        with anyio.fail_after(_PATIENCE_SECONDS):
            while not set(wanted) <= set(self.events):
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def hearing(host: Host, era: str, *uris: str) -> AsyncIterator[Heard]:
    """Watch all lists and some resources, in one era."""
    heard = Heard()
    if era == "legacy":
        async with Client(host, mode="legacy", message_handler=heard.message) as client:
            for uri in uris:
                await subscribe(client, uri)
            await client.list_tools()
            yield heard
        return
    async with Client(host, mode=era) as client:
        lists = {"tools_list_changed": True, "resources_list_changed": True}
        async with client.listen(**lists, resource_subscriptions=uris) as stream:
            task = asyncio.create_task(follow(stream, heard))
            yield heard
            task.cancel()


async def subscribe(client: Client, uri: str) -> None:
    # By hand: the SDK's own method warns that the newer era has another.
    request = SubscribeRequest(params=SubscribeRequestParams(uri=uri))
    await client.session.send_request(request, EmptyResult)


async def follow(stream: AsyncIterator[ServerEvent], heard: Heard) -> None:
    async for event in stream:
        heard.take(event)


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def app(garden: Garden) -> AsyncIterator[App]:
    async with garden.open() as app:
        await app.records.create_tenant("other")
        yield app


async def connect(app: App, caller: Caller = ACME) -> str:
    connected = await connect_source(app, caller, connector="garden", name="garden", config={})
    return connected.connection_id


async def test_a_sync_updates_its_connection_and_its_table(app: App, era: str) -> None:
    connection_id = await connect(app)
    first = await sync_to_bronze(app, ACME, connection_id, "oak")
    assert first.bronze_table is not None
    schema, preview = (f"table://{first.bronze_table.replace('.', '/')}/{part}" for part in ("schema", "preview"))
    status, tables = (f"datasource://{connection_id}/{part}" for part in ("status", "tables"))
    host = product_host(app, lambda _context: ACME)

    async with hearing(host, era, status, tables, schema, preview) as heard:
        await sync_to_bronze(app, ACME, connection_id, "oak")
        await heard.until(*(ResourceUpdated(uri=uri) for uri in (status, tables, schema, preview)))
        await heard.until(ResourcesListChanged())


async def test_a_run_is_updated_while_it_goes_on_and_when_it_ends(app: App, garden: Garden, era: str) -> None:
    connection_id = await connect(app)
    garden.beds.hold("oak")
    run = await sync_to_bronze(app, ACME, connection_id, "oak", wait_seconds=0)
    updated = ResourceUpdated(uri=f"run://{run.run_id}")

    async with hearing(product_host(app, lambda _context: ACME), era, updated.uri) as heard:
        await heard.until(updated)
        heard.events.clear()
        garden.beds.let_go()
        await app.runs.wait(run.run_id, None)
        await heard.until(updated)


async def test_a_new_or_deleted_connection_changes_the_list_of_its_tenant_only(app: App, era: str) -> None:
    await connect(app, OTHER)
    own, foreign = product_host(app, lambda _context: ACME), product_host(app, lambda _context: OTHER)

    guide = "guide://start"
    async with hearing(own, era, guide) as heard, hearing(foreign, era, guide) as elsewhere:
        connection_id = await connect(app)
        await heard.until(ResourcesListChanged(), ResourceUpdated(uri=guide))
        heard.events.clear()
        await delete_connection(app, ACME, connection_id)
        await heard.until(ResourcesListChanged())
        app.events.tell(Event("plugins"))
        await elsewhere.until(ToolsListChanged())

    # Plugins are everybody's: their own change of the list came with them, and nothing before.
    assert elsewhere.events[0] == ToolsListChanged()


async def test_what_cannot_be_watched_is_answered_alike_whosever_it_is(app: App, era: str) -> None:
    theirs = await connect(app, OTHER)
    run = await sync_to_bronze(app, OTHER, theirs, "oak")
    table = (run.bronze_table or "").replace(".", "/")
    foreign = [f"run://{run.run_id}", f"datasource://{theirs}/status", f"table://{table}/schema"]
    unknown = ["run://run_none", "datasource://conn_none/tables", "table://a/b/c/preview", "nothing://at/all"]
    events = (resources_for("other"), resource_for("default", "guide://start"))
    reserved = [event.uri for event in events if isinstance(event, ResourceUpdated)]
    host = product_host(app, lambda _context: ACME)

    answers = {await refusal(host, era, uri) for uri in (*foreign, *unknown, *reserved)}

    assert len(answers) == 1


async def refusal(host: Host, era: str, uri: str) -> tuple[int, str]:
    async with Client(host, mode=era) as client:
        with pytest.raises(MCPError) as caught:
            await (subscribe(client, uri) if era == "legacy" else listen(client, uri))
    return caught.value.code, str(caught.value)


async def listen(client: Client, uri: str) -> None:
    async with client.listen(resource_subscriptions=[uri]):
        pass


async def test_a_client_that_stops_watching_is_told_no_more(app: App) -> None:
    connection_id = await connect(app)
    status, tables = (f"datasource://{connection_id}/{part}" for part in ("status", "tables"))
    heard = Heard()

    async with Client(product_host(app, lambda _context: ACME), mode="legacy", message_handler=heard.message) as client:
        await subscribe(client, status)
        await subscribe(client, tables)
        unsubscribe = UnsubscribeRequest(params=UnsubscribeRequestParams(uri=status))
        await client.session.send_request(unsubscribe, EmptyResult)
        await connect(app)
        await heard.until(ResourceUpdated(uri=tables))

    assert ResourceUpdated(uri=status) not in heard.events


async def test_clients_of_the_older_era_are_forgotten_when_they_go(app: App) -> None:
    host = product_host(app, lambda _context: ACME)

    for _ in range(3):
        async with Client(host, mode="legacy") as client:
            await client.list_tools()
            assert len(host.legacy) == 1
    gc.collect()

    assert len(host.legacy) == 0


async def test_changes_that_come_faster_than_they_are_told_are_told_once(app: App, era: str) -> None:
    connection_id = await connect(app)
    status = f"datasource://{connection_id}/status"

    async with hearing(product_host(app, lambda _context: ACME), era, status) as heard:
        for _ in range(200):
            app.events.tell(Event("connection", "default", connection_id))
        app.events.tell(Event("plugins"))
        await heard.until(ToolsListChanged())

    assert heard.events.count(ResourceUpdated(uri=status)) == 1
