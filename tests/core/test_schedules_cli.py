"""`tsunami schedule`, as a person and a script see it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

from servicetsunami.cli.exits import Exit, code_of_runs
from servicetsunami.cli.running import run
from servicetsunami.operations.app import App
from servicetsunami.operations.scheduler import Scheduler


class Garden(Protocol):
    """What the fixture `garden` offers."""

    home: Path
    open: Callable[[], AbstractAsyncContextManager[App]]


@pytest.fixture(autouse=True)
def connected(garden: Garden, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a connection, and let commands work in its home."""

    async def connect() -> None:
        async with garden.open() as app:
            await app.records.create_connection(
                "default", name="shop", connector="postgres", settings={}, secrets={}, streams={}
            )

    asyncio.run(connect())
    monkeypatch.setenv("TSUNAMI_HOME", str(garden.home))
    monkeypatch.chdir(garden.home)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run a command that succeeds; return what it printed as JSON."""
    capsys.readouterr()
    assert run([*arguments, "--json"]) == Exit.OK
    return json.loads(capsys.readouterr().out)


def test_a_schedule_is_added_listed_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    added = answer(capsys, "schedule", "add", "shop", "--cron", "0 3 * * *", "--timezone", "Europe/Berlin")
    listed = answer(capsys, "schedule", "list")
    removed = answer(capsys, "schedule", "remove", added["schedule_id"])
    after = answer(capsys, "schedule")

    assert listed == {"schedules": [added]}
    assert removed["schedule_id"] == added["schedule_id"]
    assert after == {"schedules": []}


def test_a_person_sees_the_next_run_on_both_clocks(capsys: pytest.CaptureFixture[str]) -> None:
    run(["schedule", "add", "shop", "--cron", "30 3 * * *", "--timezone", "Asia/Kolkata"])
    added = capsys.readouterr()

    run(["schedule", "list"])
    header, line = capsys.readouterr().out.splitlines()

    assert added.out.startswith("sched_")
    assert "first at" in added.err
    assert all(name in header for name in ("next (local)", "next (UTC)", "last result"))
    assert "03:30:00 +0530" in line
    assert "22:00:00" in line


def test_a_paused_schedule_is_shown_as_such_until_it_is_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    added = answer(capsys, "schedule", "add", "shop", "--every", "2h")

    paused = answer(capsys, "schedule", "pause", added["schedule_id"])
    run(["schedule", "list"])
    shown = capsys.readouterr().out
    resumed = answer(capsys, "schedule", "resume", added["schedule_id"])

    assert (paused["enabled"], resumed["enabled"]) == (False, True)
    assert "paused" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("add", "shop"), Exit.USAGE, "bad_schedule"),
        (("add", "shop", "--every", "1s"), Exit.USAGE, "bad_interval"),
        (("add", "shop", "--cron", "0 3 * 13 *"), Exit.USAGE, "field month"),
        (("add", "shop", "--cron", "0 3 * * *", "--timezone", "Berlin"), Exit.USAGE, "did you mean: Europe/Berlin"),
        (("add", "shpo", "--every", "1h"), Exit.NOT_FOUND, "did you mean: shop"),
        (("remove", "sched_1"), Exit.NOT_FOUND, "schedule_not_found"),
        (("lsit",), Exit.USAGE, "did you mean: list"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: Exit, said: str
) -> None:
    ended = run(["schedule", *arguments])
    shown = capsys.readouterr()

    assert ended == code
    assert said in shown.err
    assert "fix:" in shown.err
    assert shown.out == ""


def test_running_once_where_nothing_is_due_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run(["schedule", "run", "--once"])

    assert ended == Exit.OK
    assert "No schedule is due" in capsys.readouterr().err


def test_running_once_beside_another_server_starts_nothing(garden: Garden, capsys: pytest.CaptureFixture[str]) -> None:
    async def beside() -> int:
        async with garden.open() as app:
            await Scheduler(app).start_due()
            return await asyncio.to_thread(run, ["schedule", "run", "--once"])

    ended = asyncio.run(beside())

    assert ended == Exit.OK
    assert "Another process runs the schedules" in capsys.readouterr().err


def test_running_once_what_is_due_and_fails_ends_with_its_exit_code(
    garden: Garden, capsys: pytest.CaptureFixture[str]
) -> None:
    async def make_due() -> None:
        async with garden.open() as app:
            (connection,) = await app.records.connections("default")
            await app.records.create_schedule(
                "default",
                connection.id,
                kind="interval",
                expression="1d",
                timezone="UTC",
                next_at=datetime(2026, 1, 1, tzinfo=UTC),
            )

    asyncio.run(make_due())

    ended = run(["schedule", "run", "--once", "--json"])

    (shown,) = json.loads(capsys.readouterr().out)["runs"]
    assert ended == Exit.FAILED
    assert (shown["kind"], shown["status"]) == ("sync_all", "failed")


@pytest.mark.parametrize(("request_to_end", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_running_scheduler_ends_in_order_and_hands_over(
    garden: Garden, request_to_end: signal.Signals, code: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _RUN],
        env={**os.environ, "TSUNAMI_HOME": str(garden.home)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any("looked" in line for line in process.stderr)
        process.send_signal(request_to_end)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert asyncio.run(_is_free(garden))


_RUN = """
import signal, sys
from servicetsunami.cli import main
from servicetsunami.operations.scheduler import Scheduler

signal.signal(signal.SIGINT, signal.default_int_handler)
start_due = Scheduler.start_due

async def told(self):
    await start_due(self)
    print("looked", file=sys.stderr, flush=True)

Scheduler.start_due = told
main(["schedule", "run"])
"""


async def _is_free(garden: Garden) -> bool:
    async with garden.open() as app:
        return await Scheduler(app).start_due() is not None


def test_a_sync_of_which_no_table_came_to_a_run_failed() -> None:
    assert code_of_runs([], asked=2) is Exit.FAILED


def test_naming_tables_beside_all_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run(["sync", "shop", "orders", "--all"])

    assert ended == Exit.USAGE
    assert "--all takes every table" in capsys.readouterr().err


def test_syncing_without_tables_before_any_landed_says_what_to_name(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run(["sync", "shop"])

    assert ended == Exit.USAGE
    assert capsys.readouterr().err.startswith("error: nothing_landed: ")
