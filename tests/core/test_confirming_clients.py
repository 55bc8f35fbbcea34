"""Deleting through a client: whoever can be asked is asked, in both protocol eras; the others confirm with a token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

import pytest
from mcp import Client
from mcp.types import CallToolResult, ElicitRequestFormParams, ElicitResult, InputRequiredResult

from servicetsunami.mcp.catalog import catalog_of
from servicetsunami.mcp.stdio import make_host
from servicetsunami.operations.app import App

pytestmark = pytest.mark.anyio


class Garden(Protocol):
    """What the fixture `garden` offers."""

    open: Callable[[], AbstractAsyncContextManager[App]]


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Meanwhile = Callable[[], Awaitable[Any]]


class Person:
    """Answers what a client asks, and keeps the questions."""

    def __init__(
        self, action: Literal["accept", "decline", "cancel"], *, ticks: bool = True, meanwhile: Meanwhile | None = None
    ) -> None:
        self.questions: list[str] = []
        self._action = action
        self._ticks = ticks
        self._meanwhile = meanwhile

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        assert context is not None
        assert isinstance(params, ElicitRequestFormParams)
        self.questions.append(params.message)
        if self._meanwhile is not None:
            await self._meanwhile()
        return ElicitResult(action=self._action, content={"confirm": self._ticks} if self._action == "accept" else None)


async def connected(app: App) -> str:
    created = await app.records.create_connection(
        "default", name="garden", connector="garden", settings={}, secrets={}, streams={}
    )
    return created.id


async def delete(app: App, era: str, person: Person | None, **more: Any) -> CallToolResult:
    async with Client(make_host(app), mode=era, elicitation_callback=person) as client:
        return await client.call_tool("delete_connection", {"connection_id": "garden", **more})


def answer(result: CallToolResult) -> dict[str, Any]:
    assert result.structured_content is not None
    return dict(result.structured_content)


async def names(app: App) -> list[str]:
    return [one.name for one in await app.records.connections("default")]


async def test_a_person_who_agrees_is_asked_once_and_obeyed(garden: Garden, era: str) -> None:
    person = Person("accept")
    async with garden.open() as app:
        connection = await connected(app)

        result = await delete(app, era, person)

        assert answer(result)["status"] == "deleted"
        assert await names(app) == []
    assert person.questions == [
        f"Delete the connection 'garden' (garden, {connection}) and its stored secrets? This cannot be undone."
    ]


@pytest.mark.parametrize(
    "person", [Person("decline"), Person("accept", ticks=False)], ids=["declines", "ticks_nothing"]
)
async def test_a_person_who_says_no_keeps_it(garden: Garden, era: str, person: Person) -> None:
    async with garden.open() as app:
        await connected(app)

        result = await delete(app, era, person)

        assert answer(result)["status"] == "kept"
        assert "confirmation_token" not in answer(result)
        assert await names(app) == ["garden"]


@pytest.mark.parametrize("person", [Person("cancel"), None], ids=["shows_nobody", "cannot_ask"])
async def test_a_client_without_a_person_gets_a_token(garden: Garden, era: str, person: Person | None) -> None:
    async with garden.open() as app:
        await connected(app)

        first = await delete(app, era, person)
        kept = await names(app)
        second = await delete(app, era, person, confirmation_token=answer(first)["confirmation_token"])

        assert (answer(first)["status"], kept) == ("needs_confirmation", ["garden"])
        assert (answer(second)["status"], await names(app)) == ("deleted", [])


async def test_what_changed_while_the_person_thought_is_kept(garden: Garden, era: str) -> None:
    async with garden.open() as app:
        connection = await connected(app)

        async def replaced() -> None:
            await app.records.replace_connection("default", connection, settings={}, secrets={}, streams={})

        result = await delete(app, era, Person("accept", meanwhile=replaced))

        assert result.is_error
        assert answer(result)["error"]["code"] == "confirmation_outdated"
        assert await names(app) == ["garden"]


ACCEPTED = {"confirm": ElicitResult(action="accept", content={"confirm": True})}


async def send(
    client: Client, state: str | None = None, *, answers: bool = False
) -> CallToolResult | InputRequiredResult:
    return await client.session.call_tool(
        "delete_connection",
        {"connection_id": "garden"},
        input_responses=dict(ACCEPTED) if answers else None,
        request_state=state,
        allow_input_required=True,
    )


async def test_an_answer_to_a_question_nobody_asked_deletes_nothing(garden: Garden) -> None:
    async with garden.open() as app:
        await connected(app)

        async with Client(make_host(app), mode="2026-07-28", elicitation_callback=Person("decline")) as client:
            result = await send(client, answers=True)

        assert isinstance(result, InputRequiredResult)
        assert await names(app) == ["garden"]


async def test_an_accepted_answer_cannot_be_sent_again(garden: Garden) -> None:
    async with garden.open() as app:
        await connected(app)

        async with Client(make_host(app), mode="2026-07-28", elicitation_callback=Person("accept")) as client:
            asked = await send(client)
            assert isinstance(asked, InputRequiredResult)
            deleted = await send(client, asked.request_state, answers=True)
            await connected(app)
            replayed = await send(client, asked.request_state, answers=True)

        assert isinstance(deleted, CallToolResult)
        assert isinstance(replayed, CallToolResult)
        assert answer(deleted)["status"] == "deleted"
        assert answer(replayed)["error"]["code"] == "confirmation_invalid"
        assert await names(app) == ["garden"]


async def test_every_tool_that_destroys_takes_a_confirmation(garden: Garden) -> None:
    async with garden.open() as app:
        destroying = [tool for tool in catalog_of(app).listed if tool.hints.destructive]

    unconfirmed = {tool.name for tool in destroying if "confirmation_token" not in tool.input_schema["properties"]}
    assert "delete_connection" in {tool.name for tool in destroying}
    # These leave the table as it was, replace one that they made themselves, or a view.
    assert unconfirmed == {"cancel_run", "transform_to_silver", "create_gold_view"}
