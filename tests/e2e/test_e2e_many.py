"""Several tables of a PostgreSQL in one run, by hand and by schedule."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

from servicetsunami.operations.models import RunView
from servicetsunami.operations.sync import list_runs

GARDEN = (
    "create table oak as select n as id from generate_series(1, 3000) as n",
    "create table elm as select n as id from generate_series(1, 20) as n",
    "create view leaves as select id from oak",
    "analyze",
)
COUNTS = "select (select count(*) from bronze.oak), (select count(*) from bronze.elm)"
BIG = "create table big as select n as id, repeat(md5(n::text), 12) as filler from generate_series(1, 60000) as n"


class Lake(Protocol):
    """What the fixture `lake` offers."""

    home: Path
    database: Any
    do: Callable[..., Any]
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
def shop(lake: Lake) -> str:
    lake.database.run(*GARDEN)
    return lake.connect()


def _runs(lake: Lake) -> dict[str, list[str]]:
    """Return the states of the runs by table; those of the whole under their kind."""
    states: dict[str, list[str]] = {}
    for run in lake.do(list_runs).runs:
        states.setdefault(run.table_name or run.kind, []).append(run.status)
    return states


def _make_due(lake: Lake, connection: str) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    lake.do(
        lambda app, caller: app.records.create_schedule(
            caller.tenant, connection, kind="interval", expression="1d", timezone="UTC", next_at=moment
        )
    )


@pytest.mark.usefixtures("shop")
def test_every_table_is_synced_by_one_command_and_views_are_left_out(lake: Lake) -> None:
    code, output, errors = lake.command("sync", "shop", "--all", "--json")

    assert code == 0, errors
    assert [(run["table_name"], run["status"]) for run in json.loads(output)["runs"]] == [
        ("elm", "succeeded"),
        ("oak", "succeeded"),
    ]
    assert list(map(tuple, lake.rows(COUNTS))) == [(3000, 20)]
    assert _runs(lake)["sync_all"] == ["succeeded"]


@pytest.mark.usefixtures("shop")
def test_a_table_that_is_missing_makes_the_sync_partial_and_is_told(lake: Lake) -> None:
    code, output, errors = lake.command("sync", "shop", "elm", "eml", "leaves")

    assert code == 3
    assert output.count("succeeded") == 2
    assert "table_not_found" in errors


@pytest.mark.usefixtures("shop")
def test_without_names_what_has_landed_is_brought_up_to_date(lake: Lake) -> None:
    lake.sync("shop", "elm")
    lake.database.run("insert into elm values (21)")

    code, output, errors = lake.command("sync", "shop", "--json")

    assert code == 0, errors
    assert [run["table_name"] for run in json.loads(output)["runs"]] == ["elm"]
    assert list(map(tuple, lake.rows("select count(*) from bronze.elm"))) == [(21,)]


def test_what_is_due_is_synced_by_running_the_schedules_once(lake: Lake, shop: str) -> None:
    lake.sync(shop, "elm")
    lake.sync(shop, "oak")
    lake.database.run("delete from oak where id > 10")
    _make_due(lake, shop)

    first, shown, errors = lake.command("schedule", "run", "--once")
    second, nothing, _ = lake.command("schedule", "run", "--once")

    assert (first, second, nothing) == (0, 0, ""), errors
    assert "2 of 2 tables were brought up to date" in shown
    assert list(map(tuple, lake.rows(COUNTS))) == [(10, 20)]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_a_scheduler_that_ends_in_the_middle_leaves_nothing_half_done(
    lake: Lake, front: Front, ending: signal.Signals
) -> None:
    lake.database.run(BIG)
    connection = lake.connect(port=front.port)
    lake.sync(connection, "big")
    lake.database.run("delete from big where id > 50000")
    _make_due(lake, connection)
    front.stall(after_bytes=5_000_000)

    with lake.tsunami("schedule", "run") as process:
        assert front.reached.wait(60)
        process.send_signal(ending)
        process.communicate(timeout=60)
    front.go_on()
    states = _runs(lake)
    before = lake.rows("select count(*) from bronze.big")
    code, _, errors = lake.command("sync", "shop")

    assert states == {"sync_all": ["interrupted"], "big": ["interrupted", "succeeded"]}
    assert list(map(tuple, before)) == [(60000,)]
    assert code == 0, errors
    assert list(map(tuple, lake.rows("select count(*) from bronze.big"))) == [(50000,)]
