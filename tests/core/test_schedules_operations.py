"""Adding, listing, pausing and removing schedules, for whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.scheduler import run_due
from servicetsunami.operations.schedules import (
    add_schedule,
    list_schedules,
    pause_schedule,
    remove_schedule,
    resume_schedule,
)
from servicetsunami.sdk import ConfigError, NotFound

pytestmark = pytest.mark.anyio
ME = Caller("default")


class Garden(Protocol):
    """What the fixture `garden` offers."""

    open: Callable[[], AbstractAsyncContextManager[App]]


async def connected(app: App, tenant: str = "default") -> str:
    await app.records.create_tenant(tenant)
    created = await app.records.create_connection(
        tenant, name="garden", connector="garden", settings={}, secrets={}, streams={}
    )
    return created.id


async def test_a_schedule_is_listed_with_its_next_moment_on_both_clocks(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)

        added = await add_schedule(
            app,
            ME,
            "garden",
            cron="0  3 * * *",
            timezone="Asia/Kolkata",
            tables=["OAK", "oak", "elm"],
            sync_mode="full",
        )
        listed = await list_schedules(app, ME)

    assert listed.schedules == (added,)
    assert (added.connection_id, added.connection) == (connection, "garden")
    assert (added.tables, added.sync_mode, added.expression) == (("oak", "elm"), "full", "0 3 * * *")
    assert (added.next_local.hour, added.next_local.utcoffset()) == (3, timedelta(hours=5, minutes=30))
    assert added.next_at == added.next_local
    assert (added.next_at.utcoffset(), added.last_status) == (timedelta(), None)


async def test_an_interval_begins_one_interval_from_now(garden: Garden) -> None:
    async with garden.open() as app:
        await connected(app)
        before = datetime.now(UTC).replace(microsecond=0)

        added = await add_schedule(app, ME, "garden", every="15m")

    assert (added.kind, added.expression, added.tables) == ("interval", "15m", None)
    assert before + timedelta(minutes=15) <= added.next_at <= datetime.now(UTC) + timedelta(minutes=15)


@pytest.mark.parametrize(
    ("wishes", "code"),
    [
        ({}, "bad_schedule"),
        ({"cron": "0 3 * * *", "every": "15m"}, "bad_schedule"),
        ({"every": "15m", "timezone": "Europe/Berlin"}, "bad_schedule"),
        ({"every": "15x"}, "bad_interval"),
        ({"cron": "0 25 * * *"}, "bad_cron"),
        ({"cron": "0 3 * * *", "timezone": "Berlin"}, "unknown_timezone"),
        ({"every": "15m", "sync_mode": "ful"}, "bad_sync_mode"),
    ],
)
async def test_a_schedule_that_is_not_clear_is_refused_and_not_kept(
    garden: Garden, wishes: dict[str, Any], code: str
) -> None:
    async with garden.open() as app:
        await connected(app)

        with pytest.raises(ConfigError) as refused:
            await add_schedule(app, ME, "garden", **wishes)
        listed = await list_schedules(app, ME)

    assert refused.value.code == code
    assert refused.value.fix
    assert listed.schedules == ()


async def test_a_table_the_source_does_not_have_is_refused_when_the_schedule_is_added(garden: Garden) -> None:
    async with garden.open() as app:
        await connected(app)

        with pytest.raises(NotFound) as refused:
            await add_schedule(app, ME, "garden", every="15m", tables=["elm", "oka"])

    assert (refused.value.code, refused.value.did_you_mean) == ("table_not_found", ("oak",))


async def test_the_result_of_the_last_run_is_shown(garden: Garden) -> None:
    async with garden.open() as app:
        await connected(app)
        added = await add_schedule(app, ME, "garden", cron="0 3 * * *", tables=["ash"])
        await run_due(app, now=lambda: added.next_at)

        (shown,) = (await list_schedules(app, ME)).schedules

    assert (shown.last_status, shown.last_at) == ("succeeded", added.next_at)
    assert shown.last_message == "1 of 1 tables were brought up to date."
    assert shown.next_at == added.next_at + timedelta(days=1)


async def test_a_paused_schedule_rests_until_it_is_resumed(garden: Garden) -> None:
    async with garden.open() as app:
        await connected(app)
        added = await add_schedule(app, ME, "garden", cron="0 3 * * *", tables=["ash"])

        paused = await pause_schedule(app, ME, added.schedule_id)
        meanwhile = await run_due(app, now=lambda: added.next_at)
        resumed = await resume_schedule(app, ME, added.schedule_id)

    assert meanwhile is not None
    assert meanwhile.runs == ()
    assert (paused.enabled, resumed.enabled, resumed.next_at) == (False, True, added.next_at)


async def test_a_schedule_resumed_after_a_clock_was_put_back_repeats_no_moment(garden: Garden) -> None:
    async with garden.open() as app:
        await connected(app)
        added = await add_schedule(app, ME, "garden", cron="0 3 * * *", tables=["ash"])
        later = added.next_at + timedelta(days=30)
        await run_due(app, now=lambda: later)
        await run_due(app, now=lambda: later + timedelta(days=1))

        await pause_schedule(app, ME, added.schedule_id)
        resumed = await resume_schedule(app, ME, added.schedule_id)

    assert resumed.last_at is not None
    assert resumed.next_at == resumed.last_at + timedelta(days=1)


async def test_resuming_a_schedule_that_runs_changes_nothing(garden: Garden) -> None:
    async with garden.open() as app:
        await connected(app)
        added = await add_schedule(app, ME, "garden", every="15m")

        assert await resume_schedule(app, ME, added.schedule_id) == added


async def test_a_removed_schedule_is_gone(garden: Garden) -> None:
    async with garden.open() as app:
        await connected(app)
        added = await add_schedule(app, ME, "garden", every="15m")

        removed = await remove_schedule(app, ME, added.schedule_id)
        listed = await list_schedules(app, ME)

    assert (removed.schedule_id, listed.schedules) == (added.schedule_id, ())


async def test_another_tenant_neither_sees_nor_changes_a_schedule(garden: Garden) -> None:
    other = Caller("acme")
    async with garden.open() as app:
        await connected(app)
        await app.records.create_tenant("acme")
        added = await add_schedule(app, ME, "garden", every="15m")

        for change in (remove_schedule, pause_schedule, resume_schedule):
            with pytest.raises(NotFound) as refused:
                await change(app, other, added.schedule_id)
            assert (refused.value.code, refused.value.did_you_mean) == ("schedule_not_found", ())

        assert (await list_schedules(app, other)).schedules == ()
        assert (await list_schedules(app, ME)).schedules == (added,)
