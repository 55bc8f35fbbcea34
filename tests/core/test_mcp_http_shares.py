"""One caller's sessions leave room for everybody else's."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from http_lab import AUTHENTICATED, Served, post, serving, token

from servicetsunami.mcp.http.shares import MOST_OF_ONE

INITIALIZE = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
    b'"clientInfo":{"name":"t","version":"1"}}}'
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("http"), "acme", "globex", settings=AUTHENTICATED) as found:
        yield found


def opened(served: Served, bearer: str) -> tuple[int, str]:
    answer = post(served, INITIALIZE, authorization=f"Bearer {bearer}", mcp_protocol_version="2025-11-25")
    return answer.status_code, answer.headers.get("mcp-session-id", "")


def test_a_caller_who_holds_their_share_is_refused_more_and_nobody_else_is(served: Served) -> None:
    ada = token()
    sessions = [opened(served, ada) for _ in range(MOST_OF_ONE)]

    beyond = opened(served, ada)
    others = [opened(served, token(sub="bob")), opened(served, token("globex"))]
    modern = post(served, authorization=f"Bearer {ada}")
    served_on = post(served, b'{"jsonrpc":"2.0","id":2,"method":"ping"}', **_of(ada, sessions[0][1]))

    assert {status for status, _ in sessions} == {200}
    assert beyond[0] == 429
    assert [status for status, _ in others] == [200, 200]
    assert (modern.status_code, served_on.status_code) == (200, 200)


def test_a_session_that_is_ended_makes_room(served: Served) -> None:
    eve = token(sub="eve")
    sessions = [opened(served, eve)[1] for _ in range(MOST_OF_ONE)]
    assert opened(served, eve)[0] == 429

    headers = {name.replace("_", "-"): value for name, value in _of(eve, sessions[0]).items()}
    httpx2.delete(served.url, headers=headers, trust_env=False)

    assert opened(served, eve)[0] == 200


def _of(bearer: str, session: str) -> dict[str, str]:
    return {
        "authorization": f"Bearer {bearer}",
        "mcp_session_id": session,
        "mcp_protocol_version": "2025-11-25",
    }
