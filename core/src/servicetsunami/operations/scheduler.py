"""Starting what is due: one process at a time does, for all tenants.

A moment is handled once, whatever happens: it is claimed in the records together with the run it gets. One that was
missed, because no process ran or the schedule's last run had not ended, is made up for by one run, however many moments
have passed since. A run that was interrupted is made up for once. A clock that is set back starts nothing anew: a
schedule only moves forward.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.joint_runs import PlannedTable
from servicetsunami.operations.models import RunList
from servicetsunami.operations.read_only import changing, refuse_if_read_only
from servicetsunami.operations.recurrence import following
from servicetsunami.operations.sync import get_run, list_runs
from servicetsunami.operations.sync_many import plan_tables
from servicetsunami.records import Run, RunStatus, Schedule
from servicetsunami.sdk import TsunamiError

log = logging.getLogger(__name__)
_LEASE = "scheduler"
_LEASE_TIME = timedelta(seconds=30)
_POLL_SECONDS = 5.0
_BEGUN_WITHIN = timedelta(minutes=1)
"""A run of a schedule begins at once; one that is still queued after so long has nobody to begin it."""
_OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)
T = TypeVar("T")


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


@changing("no schedule runs")
async def run_due(app: App, *, now: Callable[[], datetime] = utc_now) -> RunList | None:
    """Start what is due now and wait until it has ended; None while another process is the one to do it."""
    scheduler = Scheduler(app, now=now)
    try:
        started = await scheduler.start_due()
    finally:
        await scheduler.close()
    if started is None:
        return None
    for run in started:
        await app.joint_runs.wait(run.id)
    return RunList(runs=tuple([await get_run(app, Caller(run.tenant, local=False), run.id) for run in started]))


class Scheduler:
    """Starts the runs of schedules that are due, while it holds the installation's one lease for that."""

    def __init__(
        self,
        app: App,
        *,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        refuse_if_read_only(app, "no schedule runs")
        self._app = app
        self._now = now
        self._sleep = sleep
        self._owner = f"{app.presence.owner}/{_LEASE}"

    async def run(self) -> None:
        """Start what is due, until cancelled; another process takes over then."""
        try:
            while True:
                await self._try(self.start_due())
                await self._sleep(_POLL_SECONDS)
        finally:
            await self.close()

    async def start_due(self) -> tuple[Run, ...] | None:
        """Start what is due now and return the runs; None while another process is the one to do it."""
        if not await self._app.records.lease(_LEASE, self._owner, _LEASE_TIME):
            return None
        records = self._app.records
        started = [await self._try(self._claim(one)) for one in await records.due_schedules(self._now())]
        made_up = [await self._try(self._make_up(one)) for one in await records.unfinished_schedules()]
        return tuple(run for run in (*started, *made_up) if run is not None)

    async def close(self) -> None:
        """Let another process take over at once."""
        with suppress(TsunamiError):  # otherwise it takes over when the lease expires
            await self._app.records.release(_LEASE, self._owner)

    async def _try(self, work: Awaitable[T]) -> T | None:
        try:
            return await work
        except TsunamiError as error:
            log.warning("a schedule could not be started: %s", error.message)
            return None

    async def _claim(self, schedule: Schedule) -> Run | None:
        if await self._last_status(schedule) in _OPEN:
            return None
        next_at = following(
            schedule.kind, schedule.expression, schedule.timezone, now=self._now(), due=schedule.next_at
        )
        run = await self._app.records.claim_schedule(schedule, next_at=next_at, owner=self._app.presence.owner)
        return self._begin(schedule, run)

    async def _make_up(self, schedule: Schedule) -> Run | None:
        if await self._last_status(schedule) is not RunStatus.INTERRUPTED:
            return None
        run = await self._app.records.claim_unfinished(schedule, owner=self._app.presence.owner)
        return self._begin(schedule, run)

    def _begin(self, schedule: Schedule, run: Run | None) -> Run | None:
        if run is not None:
            log.info("schedule %s started run %s", schedule.id, run.id)
            caller = Caller(schedule.tenant, local=False)
            self._app.joint_runs.start(run, caller, schedule.connection_id, partial(self._plan, schedule))
        return run

    async def _last_status(self, schedule: Schedule) -> RunStatus | None:
        """Return the status of the schedule's last run, which is interrupted if its process is gone."""
        if schedule.last_run_id is None:
            return None
        run = await self._app.records.run(schedule.tenant, schedule.last_run_id)
        if run.status not in _OPEN or run.owner == self._app.presence.owner:
            return run.status
        await list_runs(self._app, Caller(schedule.tenant, local=False), limit=1)
        run = await self._app.records.run(schedule.tenant, schedule.last_run_id)
        return await self._give_up(run) if run.status is RunStatus.QUEUED else run.status

    async def _give_up(self, run: Run) -> RunStatus:
        """Mark a run as interrupted whose process ended in order, but between claiming and beginning it."""
        if run.created_at > self._now() - _BEGUN_WITHIN:
            return run.status
        changes = {"status": RunStatus.INTERRUPTED, "message": "Its process ended before this run began."}
        return (await self._app.records.change_run(run.tenant, run.id, **changes)).status

    async def _plan(self, schedule: Schedule) -> Sequence[PlannedTable]:
        connection = await self._app.records.connection(schedule.tenant, schedule.connection_id)
        return await plan_tables(self._app, connection, schedule.streams)
