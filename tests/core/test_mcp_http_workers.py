"""Two processes behind one port: what one of them knows, the other's clients get too."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator, Sized
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx2
import pytest
from http_lab import AUTHENTICATED, ENVELOPE, STAGE, Served, client_of, post, serving, token
from mcp.types import EmptyResult, ResourceUpdatedNotification, SubscribeRequest, SubscribeRequestParams

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("mcp_http_workers")]
ASKS: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}
OPENING = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
    b'"clientInfo":{"name":"t","version":"1"}}}'
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {**AUTHENTICATED, "TSUNAMI_MCP_WORKERS": "2"}
    with serving(tmp_path_factory.mktemp("http"), "acme", "globex", settings=settings) as found:
        yield found


def opened(served: Served) -> str:
    answer = post(served, OPENING, authorization=f"Bearer {token()}", mcp_protocol_version="2025-11-25")
    return str(answer.headers["mcp-session-id"])


def in_session(served: Served, session: str, bearer: str) -> int:
    """Ping a session over a connection of its own, which any worker may accept."""
    answer = post(
        served,
        b'{"jsonrpc":"2.0","id":2,"method":"ping"}',
        authorization=f"Bearer {bearer}",
        mcp_session_id=session,
        mcp_protocol_version="2025-11-25",
    )
    return int(answer.status_code)


async def test_two_workers_serve_clients_of_both_eras(served: Served) -> None:
    found = []
    for era in ("legacy", "2026-07-28") * 4:
        async with client_of(served.url, token(), era) as client:
            found.append((await client.call_tool("list_connections", {})).is_error)

    assert found == [False] * 8


def test_a_session_is_found_from_every_worker(served: Served) -> None:
    sessions, workers = set[str](), set[str]()
    for _ in until_two(workers):
        sessions.add(session := opened(served))
        workers.add(session.partition("-")[0])

    answers = {in_session(served, session, token()) for session in sessions for _ in range(4)}

    assert workers == {"0", "1"}
    assert answers == {200}


def test_a_session_that_is_passed_on_is_still_its_owners(served: Served) -> None:
    sessions = [opened(served) for _ in range(6)]

    answers = {
        in_session(served, session, bearer) for session in sessions for bearer in (token("globex"), token(sub="bob"))
    }
    without = {in_session(served, session, "nonsense") for session in sessions}

    assert (answers, without) == ({404}, {401})


@pytest.mark.parametrize("session", ["0-" + "0" * 32, "1-" + "0" * 32, "7-" + "0" * 32, "0" * 32, "1-../x", "-"])
def test_a_session_that_is_not_there_is_not_found(served: Served, session: str) -> None:
    answers = {in_session(served, session, token()) for _ in range(6)}

    assert answers == {404}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {**AUTHENTICATED, "TSUNAMI_MCP_WORKERS": "2"}
    with serving(tmp_path_factory.mktemp("stage"), "acme", "globex", settings=settings, command=STAGE) as found:
        yield found


def called(stage: Served, tool: str, meta: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    """Call a tool over a connection of its own."""
    bearer = params.pop("bearer", None) or token()
    asked = {"name": tool, "_meta": {**ENVELOPE, **(meta or {})}, **params}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked}
    headers = {"authorization": f"Bearer {bearer}", "mcp-method": "tools/call", "mcp-name": tool}
    answer: dict[str, Any] = post(stage, json.dumps(body).encode(), **headers).json()
    return answer


def process_of(answer: dict[str, Any]) -> int:
    return int(answer["result"]["content"][0]["text"].split()[-1])


def until_two(seen: Sized) -> Iterator[int]:
    """Count turns until two have been seen: which process accepts a connection is up to the system."""
    return takewhile(lambda _turn: len(seen) < 2, range(400))


def seen_until(stage: Served, count: int, *, without: int = 0) -> set[int]:
    """Ask until so many processes but one have answered."""
    seen: set[int] = set()
    for _ in range(400):
        with suppress(httpx2.HTTPError):
            seen.add(process_of(called(stage, "where")))
        if len(seen - {without}) == count:
            break
        time.sleep(0.05)
    return seen - {without}


async def test_a_change_in_one_process_is_told_to_clients_of_the_other(stage: Served) -> None:
    told: set[str] = set()
    processes: set[int] = set()
    async with (
        client_of(stage.url, token()) as client,
        client.listen(resource_subscriptions=["thing://1"]) as watched,
    ):
        for _ in until_two(processes):
            touched = await asyncio.to_thread(called, stage, "touch", arguments={"uri": "thing://1"})
            told.add(str(await asyncio.wait_for(anext(aiter(watched)), 10)))
            processes.add(process_of(touched))

    assert told == {"ResourceUpdated(uri='thing://1')"}
    assert len(processes) == 2


async def test_an_older_client_is_told_of_changes_in_every_process(stage: Served) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: object) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            await heard.put(str(message.params.uri))

    processes: set[int] = set()
    async with client_of(stage.url, token(), "legacy", message_handler=hear) as client:
        await client.session.send_request(SubscribeRequest(params=SubscribeRequestParams(uri="thing://2")), EmptyResult)
        for _ in until_two(processes):
            processes.add(process_of(await asyncio.to_thread(called, stage, "touch", arguments={"uri": "thing://2"})))
            assert await asyncio.wait_for(heard.get(), 10) == "thing://2"

    assert len(processes) == 2


def test_what_one_process_asked_the_other_can_go_on_with(stage: Served) -> None:
    asked = called(stage, "confirm", ASKS)["result"]
    given = {"inputResponses": {"sure": {"action": "accept", "content": {"confirm": True}}}}

    said, processes = set[tuple[str, str]](), set[str]()
    for _ in until_two(processes):
        answer = called(stage, "confirm", ASKS, requestState=asked["requestState"], **given)
        word, asker, process = answer["result"]["content"][0]["text"].split()
        said.add((word, asker))
        processes.add(process)

    assert ({word for word, _asker in said}, len(said), len(processes)) == ({"True"}, 1, 2)


def test_nobody_else_can_go_on_with_what_was_asked(stage: Served) -> None:
    state = called(stage, "confirm", ASKS)["result"]["requestState"]
    given = {"inputResponses": {"sure": {"action": "accept", "content": {"confirm": True}}}, "requestState": state}

    answers = [called(stage, "confirm", ASKS, bearer=bearer, **given) for bearer in (token("globex"), token(sub="bob"))]

    assert [answer["error"]["code"] for answer in answers] == [-32602, -32602]


def test_a_process_that_is_killed_is_replaced(tmp_path: Path) -> None:
    settings = {"TSUNAMI_MCP_WORKERS": "2"}
    with serving(tmp_path, settings=settings, command=STAGE) as stage:
        before = seen_until(stage, 2)

        os.kill(min(before), signal.SIGKILL)
        after = seen_until(stage, 2, without=min(before))
        code = stage.stop()

    assert len(before) == 2
    assert max(before) in after
    assert code == 0
    assert "is replaced" in stage.logged()


def test_workers_end_with_whom_they_belong_to(tmp_path: Path) -> None:
    with serving(tmp_path, settings={"TSUNAMI_MCP_WORKERS": "2"}, command=STAGE) as stage:
        workers = seen_until(stage, 2)

        code = stage.stop(signal.SIGKILL)
        ended = all(ends(worker) for worker in workers)

    assert code == -signal.SIGKILL
    assert (len(workers), ended) == (2, True)


def ends(process: int) -> bool:
    """Wait until a process has ended."""
    for _ in range(400):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
