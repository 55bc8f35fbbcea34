"""Secrets stay with what they were given for; those that lie elsewhere are read when they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from locked import PASSWORD, LockedApp, locked_app

from servicetsunami.operations import connections
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.secrets import Wish, missing_secrets
from servicetsunami.sdk import ConfigError, TsunamiError

ME = Caller("default")
ADA = Caller("acme", local=False, subject="ada")
PLACE = {"host": "db.example.com", "user": "reader"}
Job = Callable[[LockedApp], Awaitable[Any]]


def within(home: Path, job: Job, **settings: Any) -> Any:
    async def run() -> Any:
        async with locked_app(home, "acme", **settings) as app:
            return await job(app)

    return asyncio.run(run())


async def connect(app: LockedApp, config: dict[str, Any], caller: Caller = ME, **more: Any) -> Any:
    return await connections.connect_source(app, caller, connector="locked", name="shop", config=config, **more)


def test_connecting_again_to_the_same_place_keeps_the_secret(tmp_path: Path) -> None:
    async def job(app: LockedApp) -> Any:
        first = await connect(app, {**PLACE, "password": PASSWORD})
        return first, await connect(app, PLACE)

    first, again = within(tmp_path, job)

    assert (first.status, again.status) == ("success", "success")
    assert first.connection_id == again.connection_id


@pytest.mark.parametrize("changes", [{"host": "evil.example"}, {"user": "admin"}])
def test_a_secret_is_not_sent_to_another_place_than_it_was_given_for(tmp_path: Path, changes: dict[str, str]) -> None:
    async def job(app: LockedApp) -> Any:
        connected = await connect(app, {**PLACE, "password": PASSWORD})
        with pytest.raises(ConfigError) as refused:
            await connect(app, {**PLACE, **changes})
        return refused.value, await app.records.connection("default", connected.connection_id)

    refused, connection = within(tmp_path, job)

    assert (refused.code, refused.field) == ("missing_setting", "password")
    assert connection.settings == PLACE


def test_a_reference_is_read_each_time_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def job(app: LockedApp) -> list[str]:
        statuses = []
        monkeypatch.setenv("TSUNAMI_SECRET_SHOP", PASSWORD)
        connected = await connect(app, PLACE, secret_refs={"password": "env:TSUNAMI_SECRET_SHOP"})
        statuses.append(connected.status)
        for value in ("changed", PASSWORD):
            monkeypatch.setenv("TSUNAMI_SECRET_SHOP", value)
            statuses.append((await connections.test_connection(app, ME, connected.connection_id)).status)
        monkeypatch.delenv("TSUNAMI_SECRET_SHOP")
        gone = await connections.test_connection(app, ME, connected.connection_id)
        return [*statuses, gone.problem.code if gone.problem else ""]

    assert within(tmp_path, job) == ["success", "failed", "success", "secret_reference_unresolved"]


def test_a_reference_is_stored_and_shown_as_it_is_without_what_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSUNAMI_SECRET_SHOP", PASSWORD)

    async def job(app: LockedApp) -> Any:
        connected = await connect(app, PLACE, secret_refs={"password": "env:TSUNAMI_SECRET_SHOP"})
        listed = await connections.list_connections(app, ME)
        return listed.connections[0], await app.records.reveal_secrets("default", connected.connection_id)

    shown, sealed = within(tmp_path, job)

    assert shown.secret_refs == {"password": "env:TSUNAMI_SECRET_SHOP"}
    assert (shown.secrets, sealed) == ((), {})
    assert "canary" not in shown.model_dump_json()


@pytest.mark.parametrize(
    ("refs", "given", "code"),
    [
        ({"password": "env:PATH"}, {}, "secret_reference_not_allowed"),
        ({"password": "env:TSUNAMI_SECRET_MISSING"}, {}, "secret_reference_unresolved"),
        ({"host": "env:TSUNAMI_SECRET_SHOP"}, {"password": PASSWORD}, "unknown_setting"),
        ({"password": "env:TSUNAMI_SECRET_SHOP"}, {"password": PASSWORD}, "secret_given_twice"),
    ],
)
def test_a_reference_that_leads_nowhere_connects_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refs: dict[str, str], given: dict[str, str], code: str
) -> None:
    monkeypatch.setenv("TSUNAMI_SECRET_SHOP", PASSWORD)

    async def job(app: LockedApp) -> Any:
        with pytest.raises(TsunamiError) as refused:
            await connect(app, {**PLACE, **given}, secret_refs=refs)
        return refused.value.problem(), await app.records.connections("default")

    problem, stored = within(tmp_path, job)

    assert problem.code == code
    assert stored == []
    assert "canary" not in problem.model_dump_json()


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"hots": "db"}, "unknown_setting", "hots"),
        ({"user": 7}, "invalid_setting", "user"),
        ({"host": None}, "invalid_setting", "host"),
    ],
)
def test_settings_that_are_wrong_are_told_before_anybody_is_asked_for_a_secret(
    tmp_path: Path, changes: dict[str, Any], code: str, field: str
) -> None:
    async def job(app: LockedApp) -> Any:
        right = await missing_secrets(app, ME, Wish("locked", "shop", PLACE))
        with pytest.raises(ConfigError) as refused:
            await missing_secrets(app, ME, Wish("locked", "shop", {**PLACE, **changes}))
        return right, refused.value

    right, refused = within(tmp_path, job)

    assert right == ("password",)
    assert (refused.code, refused.field) == (code, field)


def test_over_http_a_reference_needs_a_pattern_that_names_the_tenant(tmp_path: Path) -> None:
    home, place = tmp_path / "home", tmp_path.resolve() / "secrets"
    for tenant in ("acme", "beta"):
        (place / tenant).mkdir(parents=True)
        (place / tenant / "shop").write_text(PASSWORD)
    home.mkdir()

    async def job(app: LockedApp) -> Any:
        own = await connect(app, PLACE, ADA, secret_refs={"password": f"file:{place}/acme/shop"})
        with pytest.raises(ConfigError) as refused:
            await connect(app, PLACE, ADA, secret_refs={"password": f"file:{place}/beta/shop"})
        return own.status, refused.value.code, (await connections.test_connection(app, ADA, own.connection_id)).status

    found = within(home, job, secret_references=f"file:{place}/{{tenant}}/*")

    assert found == ("success", "secret_reference_not_allowed", "success")
