"""Syncs that are stopped, killed or meet another: nothing of them is visible, and the next one is exact."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest

from servicetsunami.operations.models import RunView
from servicetsunami.operations.sync import cancel_run, get_run, list_runs, sync_to_bronze
from servicetsunami.operations.tables import query_sql
from servicetsunami.sdk import Problem, TransientError

BIG = "create table big as select n as id, repeat(md5(n::text), 12) as filler from generate_series(1, 100) as n"
GROW = "insert into big select n, repeat(md5(n::text), 12) from generate_series(101, 60000) as n"
COUNT = "select count(*), count(distinct id) from bronze.big"
OURS = "select count(*) from pg_stat_activity where application_name = 'servicetsunami'"
MID_READ = 10_000_000


class Lake(Protocol):
    """What the fixture `lake` offers."""

    home: Path
    database: Any
    do: Callable[..., Any]
    open: Callable[..., AbstractAsyncContextManager[Any]]
    tsunami: Callable[..., AbstractContextManager[subprocess.Popen[str]]]
    command: Callable[..., tuple[int, str, str]]

    def connect(self, name: str = ..., streams: dict[str, Any] | None = ..., **changes: Any) -> str: ...

    def sync(self, connection: str, table: str, mode: str | None = ...) -> RunView: ...

    def rows(self, sql: str) -> list[tuple[Any, ...]]: ...


class Front(Protocol):
    """What the fixture `front` offers."""

    port: int
    reached: threading.Event

    def stall(self, *, after_bytes: int) -> None: ...

    def go_on(self) -> None: ...


@pytest.fixture
def connection(lake: Lake, front: Front) -> str:
    """A connection whose table was synced, has grown, and whose server falls silent in the middle of the next read."""
    lake.database.run(BIG)
    made = lake.connect(port=front.port)
    assert lake.sync(made, "big").status == "succeeded"
    lake.database.run(GROW)
    front.stall(after_bytes=MID_READ)
    return made


def staged(lake: Lake) -> list[Path]:
    """Return what lies aside, waiting to become a table."""
    return [path for path in lake.home.glob("data/*/**/_generations/**/*") if path.is_file()]


def nobody_asks(lake: Lake) -> bool:
    """Wait, a bounded number of questions, until the server has no connection of ours."""
    return any(lake.database.rows(OURS) == [(0,)] for _ in range(500))


def latest(lake: Lake) -> RunView:
    run: RunView = lake.do(list_runs).runs[0]
    return run


def test_a_cancelled_run_leaves_nothing_behind_here_and_at_the_server(
    lake: Lake, front: Front, connection: str
) -> None:
    async def cancelled_midway() -> RunView:
        async with lake.open() as (app, caller):
            begun = await sync_to_bronze(app, caller, connection, "big", wait_seconds=0)
            assert await asyncio.to_thread(front.reached.wait, 60)
            await cancel_run(app, caller, begun.run_id)
            return await get_run(app, caller, begun.run_id, wait_seconds=60)

    run = asyncio.run(cancelled_midway())

    assert (run.status, run.rows, run.problem) == ("cancelled", 0, None)
    assert run.message == "The run was cancelled. Nothing of it is visible."
    assert nobody_asks(lake)
    assert staged(lake) == []
    assert lake.rows(COUNT) == [(100, 100)]


def test_a_run_is_cancelled_from_another_process(lake: Lake, front: Front, connection: str) -> None:
    with lake.tsunami("sync", connection, "big") as process:
        assert front.reached.wait(60)
        run_id = latest(lake).run_id
        lake.do(lambda app, caller: cancel_run(app, caller, run_id))
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "The run was cancelled. Nothing of it is visible." in errors
    assert latest(lake).status == "cancelled"
    assert lake.rows(COUNT) == [(100, 100)]


def test_ctrl_c_ends_a_sync_with_its_code_and_the_next_one_is_exact(lake: Lake, front: Front, connection: str) -> None:
    with lake.tsunami("sync", connection, "big") as process:
        assert front.reached.wait(60)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    run = latest(lake)
    at_first = lake.rows(COUNT)
    front.go_on()
    again = lake.sync(connection, "big")

    assert (process.returncode, output) == (130, "")
    assert errors.splitlines()[-1] == "interrupted"
    assert "Traceback" not in errors
    assert (run.status, run.rows) == ("interrupted", 0)
    assert run.message == (
        "This run was stopped together with its process. Nothing of it is visible; sync again to complete it."
    )
    assert at_first == [(100, 100)]
    assert (again.status, again.rows) == ("succeeded", 60_000)
    assert lake.rows(COUNT) == [(60_000, 60_000)]


def test_a_killed_sync_is_told_as_interrupted_and_the_next_one_need_not_wait_for_it(
    lake: Lake, front: Front, connection: str
) -> None:
    with lake.tsunami("sync", connection, "big") as process:
        assert front.reached.wait(60)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    front.go_on()
    at_first = lake.rows(COUNT)
    again = lake.sync(connection, "big")
    code, output, _ = lake.command("runs", "--json")

    assert at_first == [(100, 100)]
    assert (again.status, again.rows) == ("succeeded", 60_000)
    assert lake.rows(COUNT) == [(60_000, 60_000)]
    runs = json.loads(output)["runs"]
    assert (code, [run["status"] for run in runs]) == (0, ["succeeded", "interrupted", "succeeded"])
    assert runs[1]["message"] == (
        "The process of this run was ended before it. What it had committed counts, all of it or nothing; sync again "
        "to complete it."
    )


def test_the_runs_of_a_killed_process_are_told_as_interrupted_at_once(
    lake: Lake, front: Front, connection: str
) -> None:
    with lake.tsunami("sync", connection, "big") as process:
        assert front.reached.wait(60)
        running = latest(lake)
        process.send_signal(signal.SIGKILL)
        process.wait(60)

    ended = latest(lake)

    assert (running.status, ended.status, ended.run_id) == ("running", "interrupted", running.run_id)


def test_two_processes_on_one_folder_take_turns_at_a_table_and_both_read_it(
    lake: Lake, front: Front, connection: str
) -> None:
    with lake.tsunami("sync", connection, "big") as process:
        assert front.reached.wait(60)
        with pytest.raises(TransientError) as refused:
            lake.sync(connection, "big")
        meanwhile = lake.rows(COUNT), lake.command("query", COUNT, "--json")
        front.go_on()
        process.communicate(timeout=60)

    busy = refused.value.problem()
    assert busy == Problem(
        code="table_busy",
        message="another run is writing bronze.big, so this one did not start",
        fix="wait for it: `tsunami runs` or the tool get_run shows how far it is",
        retryable=True,
        retry_after_seconds=busy.retry_after_seconds,
    )
    assert meanwhile[0] == [(100, 100)]
    assert json.loads(meanwhile[1][1])["rows"] == [[100, 100]]
    assert process.returncode == 0
    assert lake.sync(connection, "big").status == "succeeded"
    assert lake.rows(COUNT) == [(60_000, 60_000)]


def test_two_apps_that_begin_one_sync_at_once_never_double_a_row(lake: Lake, front: Front, connection: str) -> None:
    front.go_on()

    async def both() -> list[Any]:
        async with lake.open() as (one, caller), lake.open() as (other, _):
            ended: list[Any] = await asyncio.gather(
                *(sync_to_bronze(app, caller, connection, "big") for app in (one, other)), return_exceptions=True
            )
            return ended

    ended = asyncio.run(both())

    codes = [one.code for one in ended if isinstance(one, TransientError)]
    succeeded = [one for one in ended if isinstance(one, RunView) and one.status == "succeeded"]
    assert codes in ([], ["table_busy"])
    assert len(succeeded) == 2 - len(codes)
    assert lake.rows(COUNT) == [(60_000, 60_000)]


def test_a_reader_sees_the_table_as_it_was_while_a_sync_runs(lake: Lake, front: Front, connection: str) -> None:
    async def asked_midway() -> tuple[Any, Any]:
        async with lake.open() as (app, caller):
            begun = await sync_to_bronze(app, caller, connection, "big", wait_seconds=0)
            assert await asyncio.to_thread(front.reached.wait, 60)
            before = await query_sql(app, caller, COUNT)
            front.go_on()
            await get_run(app, caller, begun.run_id, wait_seconds=60)
            return before.rows, (await query_sql(app, caller, COUNT)).rows

    before, after = asyncio.run(asked_midway())

    assert (before, after) == (((100, 100),), ((60_000, 60_000),))
