"""Syncs of a real PostgreSQL by a connector in a sandbox, which reaches the server over the host's relay alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from servicetsunami.operations.sync import sync_to_bronze
from servicetsunami.operations.tables import query_sql
from servicetsunami.runtime import AddressPolicy
from servicetsunami.sync.workers.desk import Desk

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
BIG = "create table big as select n as id, repeat(md5(n::text), 20) as filler from generate_series(1, 60000) as n"
SUM = "select count(*), count(distinct id), sum(id), min(length(filler)) from bronze.big"


class Lake(Protocol):
    """What the fixture `lake` offers."""

    database: Any

    def connect(self, name: str = ..., streams: dict[str, Any] | None = ..., **changes: Any) -> str: ...

    def do(self, work: Any, **flags: Any) -> Any: ...


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[AddressPolicy]:
    """Note each source that a sandboxed worker dials for."""
    begun: list[AddressPolicy] = []
    begin: Callable[[Desk, AddressPolicy], None] = Desk.begin

    def noting(desk: Desk, policy: AddressPolicy) -> None:
        begun.append(policy)
        begin(desk, policy)

    monkeypatch.setattr(Desk, "begin", noting)
    return begun


def test_a_table_arrives_whole_through_the_sandbox(lake: Lake, dialled: list[AddressPolicy]) -> None:
    lake.database.run(BIG, "alter table big add primary key (id)")
    connection = lake.connect()

    run = lake.do(lambda app, caller: sync_to_bronze(app, caller, connection, "big"), sandbox="bubblewrap")

    assert (run.status, run.rows) == ("succeeded", 60_000)
    assert answer(lake) == (60_000, 60_000, 1_800_030_000, 640)
    assert dialled


def test_a_connection_that_is_cut_outside_the_sandbox_costs_no_row(
    lake: Lake, front: Any, dialled: list[AddressPolicy]
) -> None:
    lake.database.run(BIG, "alter table big add primary key (id)")
    connection = lake.connect(port=front.port)
    front.cut(after_bytes=5_000_000, times=1)

    run = lake.do(lambda app, caller: sync_to_bronze(app, caller, connection, "big"), sandbox="bubblewrap")

    assert front.reached.is_set()
    assert run.status == "succeeded"
    assert answer(lake) == (60_000, 60_000, 1_800_030_000, 640)
    assert dialled


def answer(lake: Lake) -> tuple[Any, ...]:
    """Return what the lakehouse holds."""
    return tuple(lake.do(lambda app, caller: query_sql(app, caller, SUM)).rows[0])
