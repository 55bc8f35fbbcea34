"""Connecting through a client: the model writes no secret where it may not, and need not anywhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from locked import PASSWORD, LockedApp, locked_app
from mcp import Client
from mcp.types import ElicitRequestURLParams, ElicitResult

from servicetsunami.mcp.catalog import catalog_of
from servicetsunami.mcp.fronting import product_host
from servicetsunami.mcp.secret_page.doors import Beside
from servicetsunami.mcp.wire import wire_json
from servicetsunami.operations import connecting
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.secret_requests import give

pytestmark = pytest.mark.anyio
ADA = Caller("acme", local=False, subject="ada")
PLACE = {"name": "shop", "host": "db.example.com"}
Meanwhile = Callable[[str], Awaitable[Any]]


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "PATIENCE_SECONDS", 0.0)


class Person:
    """Is asked to open pages, and may answer one before the client is told."""

    def __init__(self, action: Literal["accept", "decline", "cancel"], meanwhile: Meanwhile | None = None) -> None:
        self.asked: list[ElicitRequestURLParams] = []
        self._action = action
        self._meanwhile = meanwhile

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        assert context is not None
        assert isinstance(params, ElicitRequestURLParams)
        self.asked.append(params)
        if self._meanwhile is not None:
            await self._meanwhile(params.url.rpartition("/")[2])
        return ElicitResult(action=self._action)


async def call(
    app: LockedApp, era: str, arguments: dict[str, Any], person: Person | None = None, tool: str = "connect_locked"
) -> dict[str, Any]:
    """Call once over a server that takes no secrets, and return the structured answer."""
    host = product_host(app, lambda _context: ADA, local=False, door=Beside(app))
    async with Client(host, mode=era, elicitation_callback=person) as client:
        result = await client.call_tool(tool, arguments)
    answer: dict[str, Any] | None = result.structured_content
    assert answer is not None
    assert PASSWORD not in result.model_dump_json()
    return answer


async def test_no_schema_holds_a_secret_where_secrets_are_forbidden(tmp_path: Path) -> None:
    async with locked_app(tmp_path, "acme") as app:
        shown = [str(wire_json(tool)["inputSchema"]) for tool in catalog_of(app, local=False).listed]
        allowed = catalog_of(app, local=True).callable["connect_locked"].input_schema

    assert not any("password" in schema for schema in shown)
    assert any("'host'" in schema for schema in shown)
    assert {"password", "key", "secret_refs"} <= set(allowed["properties"])


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("connect_locked", {**PLACE, "password": PASSWORD}),
        ("connect_source", {"connector": "locked", "name": "shop", "config": {"host": "x", "password": PASSWORD}}),
    ],
)
async def test_a_secret_that_is_given_all_the_same_is_refused_and_not_repeated(
    tmp_path: Path, era: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with locked_app(tmp_path, "acme") as app:
        answer = await call(app, era, arguments, tool=tool)
        kept = await app.records.connections("acme")

    assert (answer["error"]["code"], answer["error"]["field"]) == ("secret_not_accepted", "password")
    assert list(kept) == []


async def test_a_setting_allows_secrets_over_http(tmp_path: Path) -> None:
    async with locked_app(tmp_path, secrets_in_tools="allow") as app:
        assert "password" in catalog_of(app, local=False).callable["connect_locked"].input_schema["properties"]


async def test_a_setting_forbids_secrets_on_this_machine(tmp_path: Path) -> None:
    async with locked_app(tmp_path, secrets_in_tools="forbid") as app:
        assert "password" not in catalog_of(app, local=True).callable["connect_locked"].input_schema["properties"]


async def test_a_client_that_opens_no_pages_is_told_the_command(tmp_path: Path, era: str) -> None:
    async with locked_app(tmp_path, "acme") as app:
        answer = await call(app, era, {**PLACE, "host": "my db"})
        kept = await app.records.connections("acme")

    assert (answer["status"], answer["missing_secrets"]) == ("needs_secret", ["password"])
    assert "connection_id" not in answer
    assert "tsunami connect locked --name shop --set 'host=my db'" in answer["notice"]
    assert list(kept) == []


async def test_a_secret_given_on_the_page_connects(tmp_path: Path, era: str) -> None:
    async with locked_app(tmp_path, "acme") as app:
        person = Person("accept", lambda token: give(app, token, {"password": PASSWORD}))
        answer = await call(app, era, PLACE, person)
        revealed = await app.records.reveal_secrets("acme", answer["connection_id"])

    assert (answer["status"], answer["tables"]) == ("success", 1)
    assert revealed == {"password": PASSWORD}
    assert len(person.asked) == 1
    assert "password" in person.asked[0].message
    assert "db.example.com" not in person.asked[0].url


async def test_a_client_that_claims_the_page_was_answered_is_not_believed(tmp_path: Path, era: str) -> None:
    async with locked_app(tmp_path, "acme") as app:
        answer = await call(app, era, PLACE, Person("accept"))
        kept = await app.records.connections("acme")

    assert (answer["status"], answer["missing_secrets"]) == ("needs_secret", ["password"])
    assert "call again" in answer["notice"]
    assert list(kept) == []


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_who_opens_no_page_is_told_the_command(
    tmp_path: Path, era: str, action: Literal["decline", "cancel"]
) -> None:
    async with locked_app(tmp_path, "acme") as app:
        answer = await call(app, era, PLACE, Person(action))

    assert answer["status"] == "needs_secret"
    assert "tsunami connect locked" in answer["notice"]


async def test_a_wrong_secret_on_the_page_is_told_as_the_test_tells_it(tmp_path: Path, era: str) -> None:
    async with locked_app(tmp_path, "acme") as app:
        answer = await call(app, era, PLACE, Person("accept", lambda token: give(app, token, {"password": "wrong"})))

    assert (answer["status"], answer["problem"]["code"]) == ("failed", "auth")
    assert "on the page" in answer["notice"]


async def test_calling_again_after_the_person_has_finished_asks_nobody(tmp_path: Path, era: str) -> None:
    async with locked_app(tmp_path, "acme") as app:
        slow, second = Person("accept"), Person("accept")
        await call(app, era, PLACE, slow)
        await give(app, slow.asked[0].url.rpartition("/")[2], {"password": PASSWORD})
        answer = await call(app, era, PLACE, second)

    assert answer["status"] == "success"
    assert second.asked == []


async def test_a_kept_secret_that_is_refused_is_asked_for_anew(tmp_path: Path, era: str) -> None:
    async with locked_app(tmp_path, "acme") as app:
        await app.records.create_connection(
            "acme",
            name="shop",
            connector="locked",
            settings={"host": "db.example.com"},
            secrets={"password": "old"},
            streams={},
        )
        person = Person("accept", lambda token: give(app, token, {"password": PASSWORD}))
        answer = await call(app, era, PLACE, person)

    assert (answer["status"], len(person.asked)) == ("success", 1)


async def test_a_secret_that_was_given_is_not_kept_while_another_is_asked_for(tmp_path: Path, era: str) -> None:
    async with locked_app(tmp_path, "acme", secrets_in_tools="allow") as app:
        await call(app, era, {**PLACE, "key": PASSWORD}, Person("accept"))
        [request] = await app.records.secret_requests("acme", "ada")

    assert request.settings == {"host": "db.example.com"}
    assert request.fields == ("password", "key")


async def test_settings_that_are_wrong_are_told_before_anybody_is_asked(tmp_path: Path, era: str) -> None:
    async with locked_app(tmp_path, "acme") as app:
        person = Person("accept")
        answer = await call(
            app, era, {"connector": "locked", "name": "shop", "config": {"hots": "x"}}, person, "connect_source"
        )

    assert (answer["error"]["code"], person.asked) == ("missing_setting", [])


async def test_another_machines_caller_may_not_refer_to_this_ones_environment(tmp_path: Path, era: str) -> None:
    async with locked_app(tmp_path, "acme") as app:
        answer = await call(app, era, {**PLACE, "secret_refs": {"password": "env:TSUNAMI_SECRET_X"}})

    assert answer["error"]["code"] == "secret_reference_not_allowed"


async def test_a_reference_is_listed_and_its_secret_is_not(tmp_path: Path, era: str) -> None:
    place = tmp_path / "run" / "acme" / "shop"
    place.parent.mkdir(parents=True)
    place.write_text(PASSWORD, encoding="utf-8")
    async with locked_app(tmp_path / "home", "acme", secret_references=f"file:{tmp_path}/run/{{tenant}}/*") as app:
        answer = await call(app, era, {**PLACE, "secret_refs": {"password": f"file:{place}"}})
        listed = await call(app, era, {}, tool="list_connections")

    assert answer["status"] == "success"
    assert listed["connections"][0]["secret_refs"] == {"password": f"file:{place}"}
    assert listed["connections"][0]["secrets"] == []
