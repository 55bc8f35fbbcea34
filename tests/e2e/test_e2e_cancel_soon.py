"""Cancelling a sync from PostgreSQL through a client: told within two seconds, and gone at the server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import anyio
from mcp import Client

from servicetsunami.mcp.stdio import make_host

BIG = "create table big as select n as id, repeat(md5(n::text), 12) as filler from generate_series(1, 60000) as n"
SILENT = "create view big as select 1 as id, 'x' as filler from pg_sleep(3600)"
OURS = "select count(*) from pg_stat_activity where application_name = 'servicetsunami' and state <> 'idle'"
MID_READ = 10_000_000
SOON = 2.0
SLACK = 2.0
"""For a machine that is busy with other tests."""


class Lake(Protocol):
    """What the fixture `lake` offers."""

    home: Path
    database: Any
    open: Callable[..., AbstractAsyncContextManager[Any]]

    def connect(self, name: str = ..., streams: dict[str, Any] | None = ..., **changes: Any) -> str: ...


class Front(Protocol):
    """What the fixture `front` offers."""

    port: int
    reached: threading.Event

    def stall(self, *, after_bytes: int) -> None: ...


def asks(lake: Lake, number: int) -> bool:
    """Wait, a bounded number of questions, until the server executes so many queries of ours."""
    return any(lake.database.rows(OURS) == [(number,)] for _ in range(2000))


async def cancelled(lake: Lake, connection: str, midway: Callable[[], object]) -> dict[str, Any]:
    """Cancel a sync at some moment, in time, and return the answer."""
    async with lake.open() as (app, _), Client(make_host(app)) as client:
        arguments = {"connection_id": connection, "table_name": "big", "sync_mode": "full", "wait_seconds": 0}
        begun = await client.call_tool("sync_to_bronze", arguments)
        assert begun.structured_content is not None
        assert await asyncio.to_thread(midway)
        with anyio.fail_after(SOON + SLACK):
            ended = await client.call_tool("cancel_run", {"run_id": begun.structured_content["run_id"]})
        assert await asyncio.to_thread(asks, lake, 0)
        return dict(ended.structured_content or {})


def test_a_run_in_the_middle_of_its_rows_is_cancelled_in_time(lake: Lake, front: Front) -> None:
    lake.database.run(BIG)
    connection = lake.connect(port=front.port)
    front.stall(after_bytes=MID_READ)

    run = asyncio.run(cancelled(lake, connection, lambda: front.reached.wait(60)))

    assert (run["status"], run["rows"]) == ("cancelled", 0)
    assert [path for path in lake.home.glob("data/**/*.parquet") if path.is_file()] == []


def test_a_query_that_gives_nothing_is_cancelled_at_the_server(lake: Lake) -> None:
    connection = lake.connect()
    lake.database.run(SILENT)  # afterwards: the test of a connection reads a row

    run = asyncio.run(cancelled(lake, connection, lambda: asks(lake, 1)))

    assert (run["status"], run["rows"]) == ("cancelled", 0)
