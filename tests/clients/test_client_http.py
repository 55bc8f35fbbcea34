"""The Python client with a server over HTTP."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import http_lab
import pytest
from http_lab import AUTHENTICATED, Served, serving, token

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.client import ServiceTsunami
from servicetsunami.sdk import AuthError, ConfigError, NotFound, PermissionDenied, TransientError


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("http"), "acme", settings=AUTHENTICATED) as found:
        yield found


def test_a_token_opens_the_server(served: Served) -> None:
    with ServiceTsunami(served.url, token=token()) as lake:
        answer = lake.query_dataset("select 1 as one")

    assert answer.rows == ((1,),)


@pytest.mark.parametrize("bearer", [None, "nonsense"])
def test_a_token_that_is_missing_or_wrong_is_an_error_of_authentication(served: Served, bearer: str | None) -> None:
    with pytest.raises(AuthError) as raised, ServiceTsunami(served.url, token=bearer):
        pass

    assert raised.value.code == "token_refused"


def test_a_token_without_a_scope_is_an_error_of_rights(served: Served) -> None:
    with pytest.raises(PermissionDenied) as raised, ServiceTsunami(served.url, token=token(scope="sync")):
        pass

    assert raised.value.code == "access_refused"


def test_a_tool_beyond_the_scopes_of_a_token_does_not_exist(served: Served) -> None:
    with ServiceTsunami(served.url, token=token(scope="read")) as lake, pytest.raises(NotFound) as raised:
        lake.start("conn_x", "customers")

    assert raised.value.code == "tool_not_available"


def test_nobody_at_the_address_is_unreachable() -> None:
    with pytest.raises(TransientError) as raised, ServiceTsunami("http://127.0.0.1:9/mcp"):
        pass

    assert raised.value.code == "server_unreachable"


@pytest.mark.parametrize(
    ("url", "code"), [("http://mcp.example.com/mcp", "url_not_https"), ("mcp.example.com", "bad_url")]
)
def test_a_token_crosses_no_network_in_the_clear(url: str, code: str) -> None:
    with pytest.raises(ConfigError) as raised:
        ServiceTsunami(url, token="canary-5f1c")

    assert raised.value.code == code
    assert "canary" not in repr(raised.value.problem())


def test_the_wait_for_a_run_survives_a_restart_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path) as first, ServiceTsunami(first.url) as lake:
        first.stop(signal.SIGKILL)
        waiting = _Waiting(lake)
        monkeypatch.setattr(http_lab, "free_port", lambda: first.port)
        with serving(tmp_path):
            outcome = waiting.outcome()

    assert outcome == "run_not_found"


def test_a_run_outlives_the_client_that_began_it(tmp_path: Path) -> None:
    settings = {"TSUNAMI_SECRETS_IN_TOOLS": "allow"}
    with throwaway_postgres() as shop, serving(tmp_path, settings=settings) as served:
        asyncio.run(_fill(shop))
        place: dict[str, Any] = {"host": shop.host, "port": shop.port, "database": shop.database}
        with ServiceTsunami(served.url) as first:
            connected = first.connect("postgres", "shop", **place, user=shop.user, password=shop.password)
            begun = first.start(connected.connection_id or "", "numbers")
        with ServiceTsunami(served.url) as second:
            ended = second.wait(begun.run_id)
            total = second.query_dataset("select sum(n) as total from bronze.numbers").result

    assert (ended.status, ended.rows) == ("succeeded", 50_000)
    assert total == 50_000 * 50_001 // 2


async def _fill(server: ThrowawayServer) -> None:
    connection = await asyncpg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=server.database
    )
    await connection.execute("create table numbers as select n from generate_series(1, 50000) n")
    await connection.close()


class _Waiting(threading.Thread):
    """Waits for a run that no server knows, and keeps what it is told."""

    def __init__(self, lake: ServiceTsunami) -> None:
        super().__init__(daemon=True)
        self._lake = lake
        self._code = ""
        self.start()

    def run(self) -> None:
        try:
            self._lake.wait("run_nobody_knows")
        except NotFound as error:
            self._code = error.code

    def outcome(self) -> str:
        self.join(60)
        return self._code
