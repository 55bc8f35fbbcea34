"""A run that loses its hold on the table stops, and an end that could not be noted is noted later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import pytest
from gardens import Garden

from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.sync import get_run, list_runs, sync_to_bronze
from servicetsunami.sdk import ConfigError, TransientError

pytestmark = pytest.mark.anyio
ME = Caller("default")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicetsunami.operations.runs._NOTING_SECONDS", (0.0, 0.0))
    monkeypatch.setattr("servicetsunami.operations.runs._HEARTBEAT_SECONDS", 0.02)


async def connected(app: App) -> str:
    created = await app.records.create_connection(
        "default", name="garden", connector="garden", settings={}, secrets={}, streams={}
    )
    return created.id


def failing(times: int, then: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that cannot reach the records so many times."""
    left = [None] * times

    async def call(*args: Any, **more: Any) -> Any:
        if left:
            left.pop()
            raise TransientError("the records cannot be reached", code="records_unavailable")
        return await then(*args, **more)

    return call


async def refused(*_: object) -> bool:
    """Answer a lease as where somebody else has it."""
    return False


async def test_a_run_whose_table_another_took_stops_and_says_so(
    garden: Garden, monkeypatch: pytest.MonkeyPatch
) -> None:
    garden.beds.hold("oak")
    async with garden.open() as app:
        begun = await sync_to_bronze(app, ME, await connected(app), "oak", wait_seconds=0)
        monkeypatch.setattr(app.records, "lease", refused)

        run = await get_run(app, ME, begun.run_id, wait_seconds=60)
        garden.beds.let_go()

    assert (run.status, run.rows) == ("interrupted", 0)
    assert "lost its hold on the table" in run.message


async def test_a_run_that_lost_touch_with_the_records_for_a_lease_stops(
    garden: Garden, monkeypatch: pytest.MonkeyPatch
) -> None:
    garden.beds.hold("oak")
    async with garden.open() as app:
        begun = await sync_to_bronze(app, ME, await connected(app), "oak", wait_seconds=0)
        monkeypatch.setattr(app.records, "lease", failing(1_000_000, app.records.lease))
        monkeypatch.setattr("servicetsunami.operations.runs.LEASE", timedelta(seconds=0.05))

        run = await get_run(app, ME, begun.run_id, wait_seconds=60)
        garden.beds.let_go()

    assert run.status == "interrupted"


async def test_an_end_that_could_not_be_noted_is_noted_again(garden: Garden, monkeypatch: pytest.MonkeyPatch) -> None:
    async with garden.open() as app:
        monkeypatch.setattr(app.records, "record_sync", failing(2, app.records.record_sync))

        run = await sync_to_bronze(app, ME, await connected(app), "oak")

    assert (run.status, run.rows) == ("succeeded", 3)


async def test_a_commit_whose_end_was_never_noted_is_taken_up_by_the_next_run(
    garden: Garden, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with garden.open() as app:
        connection = await connected(app)
        with monkeypatch.context() as lost:
            lost.setattr(app.records, "save_sync_point", failing(1_000_000, app.records.save_sync_point))
            first = await sync_to_bronze(app, ME, connection, "oak")

        second = await sync_to_bronze(app, ME, connection, "oak")
        point = await app.records.sync_point("default", connection, "oak")

    assert (first.status, first.rows) == ("interrupted", 3)
    assert "All rows of this run are visible" in first.message
    assert f"Run {first.run_id} had committed" in " ".join(second.notes)
    assert point is not None
    assert point.seq == 2


async def test_a_run_that_waits_for_a_process_nobody_can_see_is_interrupted(
    garden: Garden, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with garden.open() as app:
        await app.records.create_run("default", "sync", table="bronze.oak", owner="another machine")
        monkeypatch.setattr("servicetsunami.operations.runs.LEASE", timedelta(0))

        runs = await list_runs(app, ME)

    assert [run.status for run in runs.runs] == ["interrupted"]


async def test_changes_are_refused_where_the_connector_has_no_feed(garden: Garden) -> None:
    async with garden.open() as app:
        with pytest.raises(ConfigError) as refusal:
            await sync_to_bronze(app, ME, await connected(app), "oak", sync_mode="changes")

    assert refusal.value.code == "no_change_feed"


async def test_a_table_is_taken_from_a_process_that_was_killed_after_its_run_had_ended(garden: Garden) -> None:
    async with garden.open() as app:
        killed = f"host:1:{'0' * 16}"
        (app.settings.home / "processes" / ("0" * 16)).touch()
        await app.records.lease("table/default/bronze.oak", f"{killed}/run_ended", timedelta(hours=1))

        view = await sync_to_bronze(app, ME, await connected(app), "oak")

        assert view.status == "succeeded"
        assert await app.records.lease_owner("table/default/bronze.oak") is None


async def test_a_process_that_ends_while_a_run_begins_leaves_its_table_to_the_next(
    garden: Garden, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with garden.open() as app:
        connection = await connected(app)
        taken, lease = anyio.Event(), app.records.lease

        async def take_and_stand_still(*args: Any) -> bool:
            await lease(*args)
            taken.set()
            await anyio.sleep_forever()
            return True

        monkeypatch.setattr(app.records, "lease", take_and_stand_still)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as callers:
                callers.start_soon(sync_to_bronze, app, ME, connection, "oak")
                await taken.wait()
                callers.cancel_scope.cancel()

    async with garden.open() as app:
        run = await sync_to_bronze(app, ME, connection, "oak")

    assert run.status == "succeeded"
