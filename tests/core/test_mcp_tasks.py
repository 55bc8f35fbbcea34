"""Long calls as tasks: handed back at once, asked after from any connection, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest
from gardens import Garden
from mcp import Client, MCPError
from mcp.client.extension import advertise
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolResult,
)
from task_client import ask, begin, client_of, settled

from servicetsunami.mcp.arguments import TenantArguments
from servicetsunami.mcp.fronting import product_host
from servicetsunami.mcp.host import Host
from servicetsunami.mcp.product import Product
from servicetsunami.mcp.spec import Catalog, ToolCall, ToolSpec
from servicetsunami.mcp.task_jobs import Jobs
from servicetsunami.mcp.tasks import Tasks
from servicetsunami.operations.caller import Caller, Scope
from servicetsunami.operations.connections import connect_source
from servicetsunami.operations.models import Result as ToolResult

if TYPE_CHECKING:
    from servicetsunami.operations.app import App

pytestmark = pytest.mark.anyio
LOCAL = Caller("default")
_UNTIL_A_TASK_SECONDS = 0.2


async def refusal(client: Client, method: str, task_id: str) -> tuple[int, str]:
    with pytest.raises(MCPError) as caught:
        await ask(client, method, task_id, {} if method == "tasks/update" else None)
    return caught.value.code, str(caught.value)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def planted(garden: Garden, *held: str) -> AsyncIterator[tuple[App, str]]:
    async with garden.open() as app:
        connected = await connect_source(app, LOCAL, connector="garden", name="garden", config={})
        garden.beds.hold(*held)
        yield app, connected.connection_id


async def test_a_sync_that_takes_long_is_a_task_that_any_connection_can_ask_after(garden: Garden) -> None:
    async with planted(garden, "oak") as (app, connection_id):
        host = product_host(app, lambda _context: LOCAL)
        async with client_of(host) as client:
            task_id = await begin(client, "sync_to_bronze", connection_id=connection_id, table_name="oak")
            working = await ask(client, "tasks/get", task_id)
        garden.beds.let_go()
        async with client_of(product_host(app, lambda _context: LOCAL)) as another:
            told = await settled(another, task_id)

    assert (working.status, working.result) == ("working", None)
    assert told.status == "completed"
    assert told.result is not None
    assert told.result["structuredContent"]["status"] == "succeeded"
    assert told.result["structuredContent"]["rows"] == 3


async def test_a_cancelled_task_cancels_its_run(garden: Garden) -> None:
    async with planted(garden, "oak") as (app, connection_id):
        host = product_host(app, lambda _context: LOCAL)
        async with client_of(host) as client:
            task_id = await begin(client, "sync_to_bronze", connection_id=connection_id, table_name="oak")
            await ask(client, "tasks/cancel", task_id)
            told = await settled(client, task_id)
            run = await client.call_tool("get_run", {"run_id": task_id.partition(".")[0]})

    assert told.status == "cancelled"
    assert run.structured_content["status"] == "cancelled"


async def test_a_sync_that_ends_at_once_is_no_task(garden: Garden) -> None:
    async with planted(garden) as (app, connection_id):
        host = product_host(app, lambda _context: LOCAL)
        async with client_of(host) as client:
            result = await client.session.call_tool(
                "sync_to_bronze", {"connection_id": connection_id, "table_name": "oak"}, allow_claimed=True
            )

    assert isinstance(result, CallToolResult)
    assert result.structured_content["status"] == "succeeded"


@pytest.mark.parametrize("stranger", [Caller("default", subject="eve"), Caller("other")])
@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_the_task_of_another_is_answered_like_one_that_never_was(
    garden: Garden, stranger: Caller, method: str
) -> None:
    async with planted(garden, "oak") as (app, connection_id):
        await app.records.create_tenant("other")
        async with client_of(product_host(app, lambda _context: LOCAL)) as client:
            task_id = await begin(client, "sync_to_bronze", connection_id=connection_id, table_name="oak")
        async with client_of(product_host(app, lambda _context: stranger)) as eve:
            refusals = {await refusal(eve, method, one) for one in (task_id, task_id.partition(".")[0], "task_none")}
        garden.beds.let_go()

    assert refusals == {(INVALID_PARAMS, "Task not found")}


@pytest.mark.parametrize(
    ("scopes", "method"),
    [
        (frozenset({"read"}), "tasks/cancel"),
        (frozenset({"admin"}), "tasks/cancel"),
        (frozenset({"admin"}), "tasks/get"),
        (frozenset({"admin"}), "tasks/update"),
    ],
)
async def test_a_token_that_allows_less_reaches_no_task(garden: Garden, scopes: frozenset[Scope], method: str) -> None:
    async with planted(garden, "oak") as (app, connection_id):
        async with client_of(product_host(app, lambda _context: LOCAL)) as client:
            task_id = await begin(client, "sync_to_bronze", connection_id=connection_id, table_name="oak")
        less = replace(LOCAL, scopes=scopes)
        async with client_of(product_host(app, lambda _context: less)) as another:
            told = await refusal(another, method, task_id)
        async with client_of(product_host(app, lambda _context: LOCAL)) as client:
            still = await ask(client, "tasks/get", task_id)
        garden.beds.let_go()

    assert told == (INVALID_PARAMS, "Task not found")
    assert still.status == "working"


async def test_a_server_that_only_lets_people_look_cancels_no_task(garden: Garden) -> None:
    async with planted(garden, "oak") as (app, connection_id):
        async with client_of(product_host(app, lambda _context: LOCAL)) as client:
            task_id = await begin(client, "sync_to_bronze", connection_id=connection_id, table_name="oak")
        app.settings = app.settings.model_copy(update={"read_only": True})
        async with client_of(product_host(app, lambda _context: LOCAL)) as another:
            told = await refusal(another, "tasks/cancel", task_id)
        garden.beds.let_go()

    assert told == (INVALID_PARAMS, "Task not found")


async def test_a_client_that_does_not_know_tasks_gets_an_ordinary_answer(garden: Garden) -> None:
    async with planted(garden) as (app, connection_id):
        host = product_host(app, lambda _context: LOCAL)
        async with Client(host, mode="2026-07-28") as client:
            result = await client.call_tool("sync_to_bronze", {"connection_id": connection_id, "table_name": "oak"})
            code, _ = await refusal(client, "tasks/get", "task_none")

    assert result.structured_content["status"] == "succeeded"
    assert code == MISSING_REQUIRED_CLIENT_CAPABILITY


class Pour(TenantArguments):
    cups: int


class Poured(ToolResult):
    cups: int


class Kettle:
    """A tool that takes as long as the test wants, and may ask on the way."""

    def __init__(self) -> None:
        self.boils = asyncio.Event()
        self.question: str | None = None
        self.fault: Exception | None = None
        self.owner = "ada"

    async def pour(self, call: ToolCall, arguments: Pour) -> Poured:
        await self.boils.wait()
        if self.fault is not None:
            raise self.fault
        agreed = self.question is None or await call.ask.confirm("agree", self.question)
        return Poured(cups=arguments.cups if agreed else 0)

    def host(self) -> Host:
        jobs = Jobs({"pour_tea"}, lambda _context: self.owner)
        return Host(self.product(Product), version="1", instructions="", extensions=[Tasks(jobs)])

    def product(self, kind: type[Product]) -> Product:
        # This tool asks nothing of an App.
        return kind(cast("App", None), Catalog.of(self.tool()), lambda _context: Caller("acme"))

    def tool(self) -> ToolSpec:
        return ToolSpec(
            name="pour_tea",
            title="Pour tea",
            description="Pour cups of tea.",
            arguments=Pour,
            result=Poured,
            run=self.pour,
            scope="read",
            text=lambda poured: f"Poured {poured.cups} cups.",
        )


async def test_a_task_asks_through_tasks_get_and_goes_on_with_the_answer() -> None:
    kettle = Kettle()
    kettle.question = "Pour?"
    async with client_of(kettle.host()) as client:
        task_id = await begin(client, "pour_tea", cups=2)
        kettle.boils.set()
        asking = await settled(client, task_id)
        await ask(client, "tasks/update", task_id, {"unknown": {"ignored": True}})
        still = await ask(client, "tasks/get", task_id)
        await ask(client, "tasks/update", task_id, {"agree": {"action": "accept", "content": {"confirm": True}}})
        told = await settled(client, task_id)

    assert (asking.status, still.status) == ("input_required", "input_required")
    assert list(asking.input_requests or {}) == ["agree"]
    assert told.result is not None
    assert told.result["structuredContent"] == {"cups": 2}


async def test_a_task_of_another_owner_is_unknown() -> None:
    kettle = Kettle()
    async with client_of(kettle.host()) as client:
        task_id = await begin(client, "pour_tea", cups=2)
        kettle.owner = "eve"
        seen = [await refusal(client, method, task_id) for method in ("tasks/get", "tasks/update", "tasks/cancel")]

    assert set(seen) == {(INVALID_PARAMS, "Task not found")}


async def test_beyond_fifty_tasks_of_one_owner_calls_are_answered_as_ordinary_ones() -> None:
    kettle = Kettle()
    async with client_of(kettle.host()) as client:
        tasks = [await begin(client, "pour_tea", cups=1) for _ in range(50)]
        last = asyncio.create_task(client.call_tool("pour_tea", {"cups": 3}))
        kettle.boils.set()
        result = await last

    assert len(set(tasks)) == 50
    assert result.structured_content == {"cups": 3}


async def test_a_crashed_task_says_no_more_than_that() -> None:
    kettle = Kettle()
    kettle.fault = RuntimeError("canary")
    async with client_of(kettle.host()) as client:
        task_id = await begin(client, "pour_tea", cups=2)
        kettle.boils.set()
        told = await settled(client, task_id)

    # The product's own tools answer crashes themselves, as errors with a fix.
    assert (told.status, told.error) == ("completed", None)
    assert "canary" not in str(told)


class Broken(Product):
    """A product that fails of what a tool cannot answer for."""

    async def call_tool(self, *_: Any) -> NoReturn:
        await asyncio.sleep(_UNTIL_A_TASK_SECONDS)
        raise MCPError(INTERNAL_ERROR, "broken")


async def test_a_broken_protocol_fails_the_task() -> None:
    jobs = Jobs({"pour_tea"}, lambda _context: "ada")
    host = Host(Kettle().product(Broken), version="1", instructions="", extensions=[Tasks(jobs)])
    async with client_of(host) as client:
        task_id = await begin(client, "pour_tea", cups=2)
        told = await settled(client, task_id)

    assert (told.status, told.error) == ("failed", {"code": INTERNAL_ERROR, "message": "broken"})


async def test_the_extension_is_advertised() -> None:
    async with Client(Kettle().host(), mode="auto", extensions=[advertise(Tasks.identifier)]) as client:
        capabilities = client.server_capabilities

    assert Tasks.identifier in (capabilities.extensions or {})
