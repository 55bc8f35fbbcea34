"""Schedules are kept, claimed by one, and go with their connection; databases of the first release get them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection as Db

from servicetsunami.records import EmbeddedRecords, RunStatus, Schedule, open_records, open_vault
from servicetsunami.records.database import database_at
from servicetsunami.records.migrate import migrations, version
from servicetsunami.sdk import NotFound

pytestmark = pytest.mark.anyio
NewDatabase = Callable[[], str]
_DUE = datetime(2026, 3, 1, 3, tzinfo=UTC)
_LATER = _DUE + timedelta(days=1)
_FIRST_RELEASE = (
    "INSERT INTO tenants (id, title, created_at) VALUES ('acme', 'Acme', '2026-01-01 00:00:00')",
    (
        "INSERT INTO connections (id, tenant, name, connector, settings, secret_names, secrets_version, streams,"
        " created_at, updated_at) VALUES ('conn_1', 'acme', 'shop', 'postgres', '{\"host\": \"db\"}', '[]', 1, '{}',"
        " '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
    ),
    (
        "INSERT INTO sync_points (tenant, connection_id, stream, app, seq, state, updated_at)"
        " VALUES ('acme', 'conn_1', 'orders', 'conn_1/orders', 7, '{\"cursor\": 9}', '2026-01-01 00:00:00')"
    ),
)


@pytest.fixture
def database_url(new_database: NewDatabase) -> str:
    return new_database()


@pytest.fixture
async def records(database_url: str, tmp_path: Path) -> AsyncIterator[EmbeddedRecords]:
    opened = await open_records(database_url, open_vault(tmp_path, master_key=None))
    await opened.create_tenant("acme")
    yield opened
    await opened.close()


async def _nightly(records: EmbeddedRecords, name: str = "shop", **values: Any) -> Schedule:
    connection = await records.create_connection(
        "acme", name=name, connector="postgres", settings={}, secrets={}, streams={}
    )
    when: dict[str, Any] = {"kind": "cron", "expression": "0 3 * * *", "timezone": "Europe/Berlin", "next_at": _DUE}
    return await records.create_schedule("acme", connection.id, **when, **values)


async def test_a_schedule_is_kept_as_it_was_given(records: EmbeddedRecords) -> None:
    created = await _nightly(records, streams=["orders", "customers"], mode="full")

    assert await records.schedules("acme") == [created]
    assert (created.streams, created.mode, created.enabled) == (("orders", "customers"), "full", True)
    assert (created.kind, created.expression, created.timezone) == ("cron", "0 3 * * *", "Europe/Berlin")
    assert (created.next_at, created.last_at, created.last_run_id) == (_DUE, None, None)


async def test_a_schedule_of_all_landed_tables_names_none(records: EmbeddedRecords) -> None:
    created = await _nightly(records)

    assert created.streams is None
    assert (await records.schedules("acme"))[0].streams is None


async def test_a_schedule_is_due_at_its_moment_and_not_before(records: EmbeddedRecords) -> None:
    created = await _nightly(records)

    assert await records.due_schedules(_DUE - timedelta(microseconds=1)) == []
    assert await records.due_schedules(_DUE) == [created]


async def test_schedules_that_are_due_come_in_the_order_of_their_moments(records: EmbeddedRecords) -> None:
    first = await _nightly(records, "one")
    second = await _nightly(records, "two")
    await records.enable_schedule("acme", first.id, next_at=_LATER)

    found = await records.due_schedules(_LATER)

    assert [schedule.id for schedule in found] == [second.id, first.id]


async def test_a_claim_moves_the_schedule_on_and_makes_the_run(records: EmbeddedRecords) -> None:
    seen = await _nightly(records, mode="full")

    run = await records.claim_schedule(seen, next_at=_LATER, owner="me")

    assert run is not None
    assert (run.kind, run.connection_id, run.mode, run.owner) == ("sync_all", seen.connection_id, "full", "me")
    (moved,) = await records.schedules("acme")
    assert (moved.next_at, moved.last_at, moved.last_run_id) == (_LATER, _DUE, run.id)


async def test_of_many_who_claim_one_moment_at_once_one_gets_the_run(
    records: EmbeddedRecords, database_url: str, tmp_path: Path
) -> None:
    seen = await _nightly(records)
    other = await open_records(database_url, open_vault(tmp_path, master_key=None))

    claims = [one.claim_schedule(seen, next_at=_LATER, owner="me") for one in (records, other) * 5]
    runs = await asyncio.gather(*claims)
    await other.close()

    assert len([run for run in runs if run is not None]) == 1
    assert len(await records.runs("acme")) == 1


async def test_a_schedule_that_rests_is_neither_due_nor_claimed(records: EmbeddedRecords) -> None:
    seen = await _nightly(records)
    await records.disable_schedule("acme", seen.id)

    run = await records.claim_schedule(seen, next_at=_LATER, owner="me")

    assert run is None
    assert await records.due_schedules(_LATER) == []


async def test_a_schedule_removed_meanwhile_is_not_claimed(records: EmbeddedRecords) -> None:
    seen = await _nightly(records)

    removed = await records.delete_schedule("acme", seen.id)
    run = await records.claim_schedule(seen, next_at=_LATER, owner="me")

    assert removed == seen
    assert run is None
    assert await records.runs("acme") == []


async def test_a_schedule_whose_last_run_was_interrupted_is_made_up_for_once(records: EmbeddedRecords) -> None:
    run = await records.claim_schedule(await _nightly(records), next_at=_LATER, owner="me")
    assert run is not None
    (going_on,) = await records.unfinished_schedules()
    await records.change_run("acme", run.id, status=RunStatus.INTERRUPTED)
    (seen,) = await records.unfinished_schedules()

    claims = [await records.claim_unfinished(seen, owner="me") for _ in range(2)]
    assert claims[0] is not None
    await records.change_run("acme", claims[0].id, status=RunStatus.INTERRUPTED)
    after = await records.unfinished_schedules()
    (schedule,) = await records.schedules("acme")

    assert (going_on.last_run_id, seen.last_run_id, schedule.last_run_id) == (run.id, run.id, claims[0].id)
    assert (claims[1], after) == (None, [])
    assert (schedule.next_at, schedule.last_at) == (_LATER, _DUE)


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED])
async def test_a_schedule_whose_last_run_ended_otherwise_is_not_made_up_for(
    records: EmbeddedRecords, status: RunStatus
) -> None:
    run = await records.claim_schedule(await _nightly(records), next_at=_LATER, owner="me")
    assert run is not None

    await records.change_run("acme", run.id, status=status)

    assert await records.unfinished_schedules() == []


async def test_schedules_go_with_their_connection(records: EmbeddedRecords) -> None:
    seen, kept = await _nightly(records, "one"), await _nightly(records, "two")

    await records.delete_connection("acme", seen.connection_id)

    assert await records.schedules("acme") == [kept]


async def test_an_unknown_schedule_is_refused_with_the_nearest_id(records: EmbeddedRecords) -> None:
    created = await _nightly(records)

    with pytest.raises(NotFound) as refused:
        await records.delete_schedule("acme", created.id[:-1])

    assert (refused.value.code, refused.value.did_you_mean) == ("schedule_not_found", (created.id,))


async def test_a_database_of_the_first_release_is_brought_up_with_all_that_it_holds(
    database_url: str, tmp_path: Path
) -> None:
    database = database_at(database_url)
    await database.write(_first_release)
    before = await database.read(version)
    await database.close()

    records = await open_records(database_url, open_vault(tmp_path, master_key=None))
    connection = await records.connection("acme", "shop")
    point = await records.sync_point("acme", connection.id, "orders")
    schedules = await records.schedules("acme")
    await records.close()

    assert (before, connection.settings, schedules) == ("0001", {"host": "db"}, [])
    assert point is not None
    assert (point.seq, point.state) == (7, {"cursor": 9})


def _first_release(db: Db) -> None:
    from alembic import command

    command.upgrade(migrations(db), "0001")
    for statement in _FIRST_RELEASE:
        db.exec_driver_sql(statement)
