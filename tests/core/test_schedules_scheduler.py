"""What is due is started once, whatever clocks, servers and runs do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from gardens import Garden

from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.scheduler import Scheduler, run_due
from servicetsunami.operations.sync import cancel_run
from servicetsunami.operations.sync_many import get_connection_sync, sync_connection
from servicetsunami.records import Run, Schedule

pytestmark = pytest.mark.anyio
ME = Caller("default")
DUE = datetime(2026, 3, 1, 3, tzinfo=UTC)
DAY = timedelta(days=1)


class Clock:
    """A clock in hand; sleeping by it moves it on."""

    def __init__(self, now: datetime = DUE) -> None:
        self.now = now
        self.slept = 0

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def nightly(app: App, *tables: str, name: str = "garden", tenant: str = "default") -> Schedule:
    """Schedule some tables of a connection for every night at three."""
    await app.records.create_tenant(tenant)
    connection = await app.records.create_connection(
        tenant, name=name, connector="garden", settings={}, secrets={}, streams={}
    )
    return await app.records.create_schedule(
        tenant,
        connection.id,
        kind="cron",
        expression="0 3 * * *",
        timezone="UTC",
        next_at=DUE,
        streams=list(tables) or None,
    )


async def ended(app: App, started: tuple[Run, ...] | None) -> list[str]:
    """Wait until runs have ended; return how they did."""
    for run in started or ():
        await app.joint_runs.wait(run.id)
    return [(await app.records.run(run.tenant, run.id)).status.value for run in started or ()]


async def whole_runs(app: App, tenant: str = "default") -> list[Run]:
    return [run for run in await app.records.runs(tenant) if run.kind == "sync_all"]


async def test_a_schedule_that_is_due_syncs_its_tables_and_moves_on(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app:
        await nightly(app, "elm", "ash")

        started = await Scheduler(app, now=clock).start_due()
        statuses = await ended(app, started)
        (schedule,) = await app.records.schedules("default")
        assert started is not None
        result = await get_connection_sync(app, ME, started[0].id)

    assert statuses == ["succeeded"]
    assert [table.table_name for table in result.tables] == ["ash", "elm"]
    assert (schedule.last_at, schedule.next_at, schedule.last_run_id) == (DUE, DUE + DAY, started[0].id)


async def test_before_its_moment_nothing_is_started(garden: Garden, clock: Clock) -> None:
    clock.now = DUE - timedelta(seconds=1)
    async with garden.open() as app:
        await nightly(app, "elm")

        assert await Scheduler(app, now=clock).start_due() == ()


async def test_without_names_the_tables_that_have_landed_by_then_are_synced(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app:
        schedule = await nightly(app)
        await sync_connection(app, ME, schedule.connection_id, ["ash"])

        started = await Scheduler(app, now=clock).start_due()
        await ended(app, started)
        assert started is not None
        result = await get_connection_sync(app, ME, started[0].id)

    assert [(table.table_name, table.status) for table in result.tables] == [("ash", "succeeded")]


async def test_a_moment_is_started_once_however_often_it_is_looked_at(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app:
        await nightly(app, "ash")
        scheduler = Scheduler(app, now=clock)

        await ended(app, await scheduler.start_due())

        assert await scheduler.start_due() == ()
        assert len(await whole_runs(app)) == 1


async def test_moments_missed_while_no_server_ran_are_made_up_for_by_one_run(garden: Garden, clock: Clock) -> None:
    clock.now = DUE + 9 * DAY + timedelta(hours=1)
    async with garden.open() as app:
        await nightly(app, "ash")
        scheduler = Scheduler(app, now=clock)

        first = await ended(app, await scheduler.start_due())
        second = await scheduler.start_due()
        (schedule,) = await app.records.schedules("default")

    assert (first, second) == (["succeeded"], ())
    assert schedule.next_at == DUE + 10 * DAY


async def test_an_interval_looked_at_late_keeps_to_its_moments(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app:
        connection = (await nightly(app, "ash")).connection_id
        hourly = await app.records.create_schedule(
            "default", connection, kind="interval", expression="1h", timezone="UTC", next_at=DUE, streams=["elm"]
        )

        clock.now = DUE + timedelta(minutes=7)
        await ended(app, await Scheduler(app, now=clock).start_due())
        after = {one.id: one.next_at for one in await app.records.schedules("default")}

    assert after[hourly.id] == DUE + timedelta(hours=1)


async def test_while_its_last_run_goes_on_a_schedule_waits_and_then_runs_once(garden: Garden, clock: Clock) -> None:
    garden.beds.hold("ash")
    async with garden.open() as app:
        await nightly(app, "ash")
        scheduler = Scheduler(app, now=clock)
        running = await scheduler.start_due()

        clock.now += 3 * DAY
        busy = await scheduler.start_due()
        garden.beds.let_go()
        await ended(app, running)
        after = await scheduler.start_due()
        statuses = await ended(app, after)
        again = await scheduler.start_due()

    assert (busy, statuses, again) == ((), ["succeeded"], ())


async def test_a_clock_that_is_put_back_starts_nothing_again(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app:
        await nightly(app, "ash")
        scheduler = Scheduler(app, now=clock)
        await ended(app, await scheduler.start_due())

        seen = []
        for hours in (-5, -1, 0, 23):
            clock.now = DUE + timedelta(hours=hours)
            seen.append(await scheduler.start_due())

    assert seen == [(), (), (), ()]


async def test_a_clock_that_jumps_ahead_starts_one_run(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app:
        await nightly(app, "ash")
        scheduler = Scheduler(app, now=clock)

        clock.now = DUE + 1000 * DAY
        statuses = await ended(app, await scheduler.start_due())

        assert await scheduler.start_due() == ()
    assert statuses == ["succeeded"]


async def test_of_two_servers_one_starts_what_is_due(garden: Garden, clock: Clock) -> None:
    async with garden.open() as one, garden.open() as other:
        await nightly(one, "ash")
        schedulers = [Scheduler(one, now=clock), Scheduler(other, now=clock)]

        answers = await asyncio.gather(*(scheduler.start_due() for scheduler in schedulers))
        for app, started in zip((one, other), answers, strict=True):
            await ended(app, started)

        assert sorted(answers, key=lambda answer: answer is None)[1] is None
        assert len(await whole_runs(one)) == 1


async def test_a_server_that_ends_hands_over_at_once(garden: Garden, clock: Clock) -> None:
    async with garden.open() as one, garden.open() as other:
        await nightly(one, "ash")
        first, second = Scheduler(one, now=clock), Scheduler(other, now=clock)
        await ended(one, await first.start_due())
        clock.now += DAY

        before = await second.start_due()
        await first.close()
        after = await ended(other, await second.start_due())

    assert (before, after) == (None, ["succeeded"])


async def test_servers_that_all_believe_to_hold_the_lease_still_start_a_moment_once(
    garden: Garden, clock: Clock
) -> None:
    async with garden.open() as one, garden.open() as other:
        schedule = await nightly(one, "ash")

        claims = await asyncio.gather(
            *(
                app.records.claim_schedule(schedule, next_at=clock.now + DAY, owner=app.presence.owner)
                for app in (one, other) * 4
            )
        )

        assert len([run for run in claims if run is not None]) == 1
        assert len(await whole_runs(one)) == 1


async def test_a_schedule_that_rests_or_was_removed_is_not_started(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app:
        paused, removed = await nightly(app, "ash", name="one"), await nightly(app, "ash", name="two")
        await app.records.disable_schedule("default", paused.id)
        await app.records.delete_schedule("default", removed.id)

        assert await Scheduler(app, now=clock).start_due() == ()


async def test_a_connection_deleted_after_its_schedule_was_seen_due_fails_no_other(
    garden: Garden, clock: Clock
) -> None:
    async with garden.open() as app:
        gone = await nightly(app, "ash", name="one")
        await nightly(app, "ash", name="two")
        await app.records.delete_connection("default", gone.connection_id)

        started = await Scheduler(app, now=clock).start_due()
        statuses = await ended(app, started)

        assert await app.records.claim_schedule(gone, next_at=DUE + DAY, owner="me") is None
    assert statuses == ["succeeded"]


async def test_a_source_that_cannot_be_reached_fails_the_run_and_says_why(garden: Garden, clock: Clock) -> None:
    garden.beds.closed = True
    async with garden.open() as app:
        await nightly(app, "ash")

        started = await Scheduler(app, now=clock).start_due()
        await ended(app, started)
        (run,) = await whole_runs(app)

    assert run.status.value == "failed"
    assert run.problem is not None
    assert run.problem["code"] == "garden_closed"


async def test_each_schedule_runs_for_its_own_tenant(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app:
        await nightly(app, "ash")
        await nightly(app, "elm", tenant="acme")

        statuses = await ended(app, await Scheduler(app, now=clock).start_due())
        streams = [[run.stream for run in await app.records.runs(tenant)] for tenant in ("default", "acme")]

    assert statuses == ["succeeded", "succeeded"]
    assert [sorted(filter(None, each)) for each in streams] == [["ash"], ["elm"]]


async def test_a_last_run_whose_process_is_gone_holds_nothing_up(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app:
        schedule = await nightly(app, "ash")
        owner = "elsewhere:1:0123456789abcdef"
        (app.settings.home / "processes" / "0123456789abcdef").touch()
        lost = await app.records.claim_schedule(schedule, next_at=DUE + DAY, owner=owner)
        clock.now += DAY

        statuses = await ended(app, await Scheduler(app, now=clock).start_due())
        assert lost is not None
        found = await app.records.run("default", lost.id)

    assert (statuses, found.status.value) == (["succeeded"], "interrupted")


async def test_a_run_whose_process_was_killed_is_made_up_for_once(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app:
        schedule = await nightly(app, "ash")
        scheduler = Scheduler(app, now=clock)
        owner = "elsewhere:1:0123456789abcdef"
        (app.settings.home / "processes" / "0123456789abcdef").touch()
        await app.records.claim_schedule(schedule, next_at=DUE + DAY, owner=owner)

        statuses = await ended(app, await scheduler.start_due())
        again = await scheduler.start_due()
        (after,) = await app.records.schedules("default")

    assert (statuses, again) == (["succeeded"], ())
    assert (after.next_at, after.last_at) == (DUE + DAY, DUE)


async def test_a_run_that_nobody_began_is_made_up_for_and_holds_nothing_up(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app:
        schedule = await nightly(app, "ash")
        next_at = DUE + 9999 * DAY
        await app.records.claim_schedule(schedule, next_at=next_at, owner="a server that ended in order")
        (run,) = await whole_runs(app)
        scheduler = Scheduler(app, now=clock)

        clock.now = run.created_at + timedelta(seconds=59)
        early = await scheduler.start_due()
        clock.now = run.created_at + timedelta(seconds=61)
        statuses = await ended(app, await scheduler.start_due())
        given_up = await app.records.run("default", run.id)

    assert (early, given_up.status.value) == ((), "interrupted")
    assert statuses == ["succeeded"]


async def test_a_run_that_was_stopped_with_its_server_is_made_up_for_by_the_next(garden: Garden, clock: Clock) -> None:
    garden.beds.hold("ash")
    async with garden.open() as app:
        await nightly(app, "ash")
        scheduler = Scheduler(app, now=clock)
        started = await scheduler.start_due()
        assert await asyncio.to_thread(garden.beds.wait_for, 1)
        await scheduler.close()
    garden.beds.let_go()

    async with garden.open() as later:
        statuses = await ended(later, await Scheduler(later, now=clock).start_due())
        assert started is not None
        stopped = await later.records.run("default", started[0].id)

    assert (stopped.status.value, statuses) == ("interrupted", ["succeeded"])


async def test_a_run_that_was_cancelled_is_not_made_up_for(garden: Garden, clock: Clock) -> None:
    garden.beds.hold("ash")
    async with garden.open() as app:
        await nightly(app, "ash")
        scheduler = Scheduler(app, now=clock)
        started = await scheduler.start_due()
        assert await asyncio.to_thread(garden.beds.wait_for, 1)
        assert started is not None

        cancelled = await cancel_run(app, ME, started[0].id)
        after = await scheduler.start_due()

    assert (cancelled.status, after) == ("cancelled", ())


async def test_the_loop_starts_moment_after_moment_until_it_is_stopped(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app:
        await nightly(app, "ash")
        enough = asyncio.Event()

        async def sleep(_: float) -> None:
            for run in await whole_runs(app):
                await app.joint_runs.wait(run.id)
            clock.now += DAY
            clock.slept += 1
            if clock.slept == 3:
                enough.set()
                await asyncio.Event().wait()

        loop = asyncio.create_task(Scheduler(app, now=clock, sleep=sleep).run())
        await enough.wait()
        loop.cancel()
        await asyncio.wait([loop])

        assert [run.status.value for run in await whole_runs(app)] == ["succeeded"] * 3
        assert await Scheduler(app, now=clock).start_due() is not None


async def test_running_what_is_due_waits_for_it_and_leaves_the_lease(garden: Garden, clock: Clock) -> None:
    async with garden.open() as app, garden.open() as other:
        await nightly(app, "ash")

        first, second = await run_due(app, now=clock), await run_due(other, now=clock)

    assert first is not None
    assert [run.status for run in first.runs] == ["succeeded"]
    assert second is not None
    assert second.runs == ()
