"""Runs go from queued to running to an end that stays, and a lease has one owner, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from servicetsunami.records import EmbeddedRecords, RunStatus, open_records, open_vault
from servicetsunami.sdk import NotFound

pytestmark = pytest.mark.anyio
NewDatabase = Callable[[], str]
_FINAL = [status for status in RunStatus if status.is_final]
_MINUTE = timedelta(minutes=1)


class _Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
async def records(new_database: NewDatabase, tmp_path: Path, clock: _Clock) -> AsyncIterator[EmbeddedRecords]:
    # The database is made in a thread, which has no loop of its own yet.
    url = await asyncio.to_thread(new_database)
    opened = await open_records(url, open_vault(tmp_path, master_key=None), clock=clock)
    await opened.create_tenant("acme")
    yield opened
    await opened.close()


async def test_a_run_begins_queued_with_nothing_done(records: EmbeddedRecords, clock: _Clock) -> None:
    run = await records.create_run(
        "acme", "sync", connection_id="conn_1", stream="public.customers", table="bronze.customers", mode="full"
    )

    assert await records.run("acme", run.id) == run
    assert run.id.startswith("run_")
    assert (run.kind, run.status, run.created_at) == ("sync", RunStatus.QUEUED, clock.now)
    assert (run.connection_id, run.stream, run.table, run.mode) == (
        "conn_1",
        "public.customers",
        "bronze.customers",
        "full",
    )
    assert (run.rows_read, run.rows_written, run.rows_rescued, run.bytes_read) == (0, 0, 0, 0)
    assert (run.started_at, run.finished_at, run.problem, run.details) == (None, None, None, {})


async def test_a_run_keeps_what_is_noted_while_it_goes_on(records: EmbeddedRecords, clock: _Clock) -> None:
    run = await records.create_run("acme", "sync")

    await records.change_run("acme", run.id, status=RunStatus.RUNNING, owner="host:1", heartbeat_at=clock.now)
    clock.move(_MINUTE)
    changed = await records.change_run("acme", run.id, rows_read=5, rows_total=2**40, details={"notes": ["a"]})

    assert (changed.status, changed.owner) == (RunStatus.RUNNING, "host:1")
    assert changed.started_at == clock.now - _MINUTE
    assert (changed.rows_read, changed.rows_total, changed.details) == (5, 2**40, {"notes": ["a"]})


@pytest.mark.parametrize("final", _FINAL)
async def test_a_run_that_has_ended_never_changes_again(
    records: EmbeddedRecords, clock: _Clock, final: RunStatus
) -> None:
    run = await records.create_run("acme", "sync")
    ended = await records.change_run("acme", run.id, status=final, problem={"code": "x"}, message="over")
    clock.move(_MINUTE)

    for status in RunStatus:
        later = await records.change_run("acme", run.id, status=status, rows_read=9, message="again")
        assert later == ended
    asked = await records.request_cancel("acme", run.id)

    assert asked == ended
    assert ended.finished_at == clock.now - _MINUTE


async def test_a_running_run_is_never_queued_again(records: EmbeddedRecords) -> None:
    run = await records.create_run("acme", "sync")
    await records.change_run("acme", run.id, status=RunStatus.RUNNING)

    after = await records.change_run("acme", run.id, status=RunStatus.QUEUED)

    assert after.status is RunStatus.RUNNING


async def test_a_field_that_a_run_does_not_have_is_refused(records: EmbeddedRecords) -> None:
    run = await records.create_run("acme", "sync")

    with pytest.raises(TypeError, match="progress"):
        await records.change_run("acme", run.id, progress=1)
    with pytest.raises(TypeError, match="created_at"):
        await records.change_run("acme", run.id, created_at=None)
    with pytest.raises(TypeError, match="colour"):
        await records.create_run("acme", "sync", colour="red")

    assert await records.run("acme", run.id) == run


async def test_a_run_that_is_not_there_is_not_found(records: EmbeddedRecords) -> None:
    for answer in (records.run("acme", "run_x"), records.change_run("acme", "run_x", rows_read=1)):
        with pytest.raises(NotFound) as refused:
            await answer
        assert refused.value.code == "run_not_found"


async def test_runs_are_listed_newest_first_and_chosen_by_status_and_connection(
    records: EmbeddedRecords, clock: _Clock
) -> None:
    ids = []
    for connection_id in ("conn_1", "conn_2", "conn_1"):
        clock.move(_MINUTE)
        ids.append((await records.create_run("acme", "sync", connection_id=connection_id)).id)
    await records.change_run("acme", ids[0], status=RunStatus.FAILED)

    listed = {
        "all": await records.runs("acme"),
        "newest": await records.runs("acme", limit=1),
        "queued": await records.runs("acme", status=RunStatus.QUEUED),
        "of one": await records.runs("acme", connection_id="conn_1"),
    }

    assert {choice: [ids.index(run.id) for run in runs] for choice, runs in listed.items()} == {
        "all": [2, 1, 0],
        "newest": [2],
        "queued": [2, 1],
        "of one": [2, 0],
    }


async def test_a_request_to_cancel_is_seen_by_the_owner(records: EmbeddedRecords) -> None:
    run = await records.create_run("acme", "sync")
    await records.change_run("acme", run.id, status=RunStatus.RUNNING)

    await records.request_cancel("acme", run.id)
    seen = await records.change_run("acme", run.id, rows_read=1)

    assert seen.cancel_requested
    assert seen.status is RunStatus.RUNNING


async def test_only_running_runs_without_a_heartbeat_are_interrupted(records: EmbeddedRecords, clock: _Clock) -> None:
    stale, silent, alive, queued = [await records.create_run("acme", "sync") for _ in range(4)]
    for run in (stale, silent, alive):
        await records.change_run("acme", run.id, status=RunStatus.RUNNING)
    await records.change_run("acme", stale.id, heartbeat_at=clock.now + timedelta(seconds=1))
    clock.move(_MINUTE)
    await records.change_run("acme", alive.id, heartbeat_at=clock.now)

    count = await records.interrupt_stale_runs(timedelta(seconds=30))

    after = {run.id: run for run in await records.runs("acme")}
    assert count == 2
    assert [after[run.id].status for run in (stale, silent, alive, queued)] == [
        RunStatus.INTERRUPTED,
        RunStatus.INTERRUPTED,
        RunStatus.RUNNING,
        RunStatus.QUEUED,
    ]
    assert after[stale.id].finished_at == clock.now
    assert "sync again" in after[stale.id].message


async def test_an_interrupted_run_does_not_become_a_success_when_its_owner_wakes(
    records: EmbeddedRecords, clock: _Clock
) -> None:
    run = await records.create_run("acme", "sync")
    await records.change_run("acme", run.id, status=RunStatus.RUNNING)
    clock.move(_MINUTE)
    await records.interrupt_stale_runs(timedelta(seconds=30))

    late = await records.change_run("acme", run.id, status=RunStatus.SUCCEEDED, rows_written=7)

    assert (late.status, late.rows_written) == (RunStatus.INTERRUPTED, 0)


async def test_a_lease_has_one_owner_until_it_is_given_back(records: EmbeddedRecords) -> None:
    answers = [
        await records.lease("table/a", "one", _MINUTE),
        await records.lease("table/a", "two", _MINUTE),
        await records.lease("table/b", "two", _MINUTE),
    ]
    await records.release("table/a", "two")
    kept = await records.lease("table/a", "two", _MINUTE)
    await records.release("table/a", "one")
    free = await records.lease("table/a", "two", _MINUTE)

    assert answers == [True, False, True]
    assert not kept
    assert free


async def test_a_lease_lasts_as_long_as_it_is_renewed(records: EmbeddedRecords, clock: _Clock) -> None:
    await records.lease("table/a", "one", _MINUTE)
    clock.move(_MINUTE - timedelta(microseconds=1))
    renewed = await records.lease("table/a", "one", _MINUTE)
    clock.move(_MINUTE - timedelta(microseconds=1))
    early = await records.lease("table/a", "two", _MINUTE)
    clock.move(timedelta(microseconds=1))
    late = await records.lease("table/a", "two", _MINUTE)
    lost = await records.lease("table/a", "one", _MINUTE)

    assert (renewed, early, late, lost) == (True, False, True, False)


async def test_of_many_that_want_a_lease_at_once_one_gets_it(records: EmbeddedRecords) -> None:
    answers = await asyncio.gather(*(records.lease("table/a", f"owner {number}", _MINUTE) for number in range(30)))

    assert answers.count(True) == 1
