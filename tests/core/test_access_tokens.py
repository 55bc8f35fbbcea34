"""Access tokens of OAuth 2 that the host gets for connectors: asked for once, and no refresh token lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from token_lab import FIRST, PLUGINS, Endpoint, opened

from servicetsunami.operations.app import App
from servicetsunami.operations.opened import with_source
from servicetsunami.records import Connection
from servicetsunami.sdk import AccessToken, AuthError, Read, Source, TokenRequest
from servicetsunami.sync.workers.tokens import answer_token

pytestmark = pytest.mark.anyio


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.syspath_prepend(PLUGINS)
    with closing(Endpoint()) as found:
        yield found


async def connected(app: App, endpoint: Endpoint, **settings: Any) -> Connection:
    given = {"url": endpoint.url, **settings}
    return await app.records.create_connection(
        "default", name="t", connector="tokened", settings=given, secrets={"refresh_token": FIRST}, streams={}
    )


async def read(app: App, connection: Connection) -> list[Any]:
    def rows(source: Source[Any]) -> list[Any]:
        (stream,) = source.streams()
        return [row["found"] for item in source.read(Read(stream)) for row in item.to_pylist()]  # type: ignore[union-attr]

    return await with_source(app, connection, rows)


async def test_a_replaced_refresh_token_is_stored_before_the_access_token_is_used(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    async with opened(tmp_path) as app:
        connection = await connected(app, endpoint)

        found = await read(app, connection)
        stored = await app.records.reveal_secrets("default", connection.id)

    assert found == ["001 of https://na1.example"]
    assert stored == {"refresh_token": "canary-refresh-1"}


async def test_the_next_process_goes_on_with_the_stored_refresh_token(tmp_path: Path, endpoint: Endpoint) -> None:
    async with opened(tmp_path) as app:
        connection = await connected(app, endpoint)
        await read(app, connection)

    async with opened(tmp_path) as app:
        found = await read(app, connection)

    assert found == ["002 of https://na1.example"]
    assert endpoint.refused == []


async def test_those_who_read_at_once_share_one_token(tmp_path: Path, endpoint: Endpoint) -> None:
    async with opened(tmp_path) as app:
        connection = await connected(app, endpoint)

        found = await asyncio.gather(*(read(app, connection) for _ in range(4)))

    assert found == [["001 of https://na1.example"]] * 4
    assert endpoint.used == [FIRST]


async def test_processes_take_turns_with_a_refresh_token(tmp_path: Path, endpoint: Endpoint) -> None:
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(opened(tmp_path)) for _ in range(3)]
        connection = await connected(apps[0], endpoint)

        found = await asyncio.gather(*(read(app, connection) for app in apps))

    assert sorted(found) == [[f"00{number} of https://na1.example"] for number in (1, 2, 3)]
    assert endpoint.refused == []


async def test_a_token_that_was_given_just_now_is_not_replaced_by_each_who_was_refused(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    async with opened(tmp_path) as app:
        connection = await connected(app, endpoint, again=True)

        found = await read(app, connection)

    assert found == ["001 of https://na1.example"]
    assert endpoint.used == [FIRST]


async def test_a_refresh_token_that_is_void_is_a_typed_error(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.good = "another"
    async with opened(tmp_path) as app:
        connection = await connected(app, endpoint)

        with pytest.raises(AuthError) as refused:
            await read(app, connection)

    assert refused.value.code == "token_refused"
    assert "sign in again" in str(refused.value.fix)
    assert FIRST not in f"{refused.value} {refused.value.problem()}"


async def test_no_token_is_told_in_errors_or_logs(
    tmp_path: Path, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.prefix = "broken-canary-access"
    async with opened(tmp_path) as app:
        connection = await connected(app, endpoint)

        with pytest.raises(AuthError) as refused:
            await read(app, connection)

    assert "the token is" in caplog.text
    assert "canary" not in f"{caplog.text} {refused.value} {refused.value.problem()}"


async def test_who_signs_in_as_another_gets_no_token_of_the_first(tmp_path: Path, endpoint: Endpoint) -> None:
    async with opened(tmp_path) as app:
        connection = await connected(app, endpoint)
        await read(app, connection)
        endpoint.good = "canary-of-another"
        await app.records.replace_secret(
            "default", connection.id, "refresh_token", endpoint.good, instead_of="canary-refresh-1"
        )

        found = await read(app, connection)

    assert found == ["002 of https://na1.example"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"url": 1, "form": {}, "headers": {}},
        {"url": "x", "form": [], "headers": {}},
        {"url": "x", "form": {"a": 1}},
    ],
)
def test_a_worker_that_asks_for_a_token_wrongly_gets_an_error(asked: dict[str, Any]) -> None:
    answers = [answer_token({"refresh_field": None, "renew": False, **asked}, tokens) for tokens in (None, _Never())]

    assert [answer["error"]["code"] for answer in answers] == ["worker_misused"] * 2


class _Never:
    def get(self, request: TokenRequest, *, renew: bool = False) -> AccessToken:
        raise AssertionError((request, renew))


async def test_a_secret_is_replaced_only_where_the_expected_one_is_stored(tmp_path: Path, endpoint: Endpoint) -> None:
    async with opened(tmp_path) as app:
        connection = await connected(app, endpoint)
        place = "default", connection.id, "refresh_token"

        replaced = [
            await app.records.replace_secret(*place, "two", instead_of=FIRST),
            await app.records.replace_secret(*place, "three", instead_of=FIRST),
            await app.records.replace_secret("default", connection.id, "password", "x", instead_of=""),
        ]
        stored = await app.records.reveal_secrets("default", connection.id)

    assert replaced == [True, False, False]
    assert stored == {"refresh_token": "two"}


async def test_a_token_works_where_the_connector_has_no_network(tmp_path: Path, endpoint: Endpoint) -> None:
    async with opened(tmp_path, sandbox="bubblewrap") as app:
        found = await read(app, await connected(app, endpoint))

    assert found == ["001 of https://na1.example"]
