"""Schedules of a tenant: add, list, pause, resume, remove."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from servicetsunami.operations.opened import with_source
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.recurrence import check_cron, check_interval, check_timezone, following
from servicetsunami.operations.schedule_models import ScheduleList, ScheduleView
from servicetsunami.operations.sources import find_stream
from servicetsunami.operations.sync_many import check_mode
from servicetsunami.records import Connection, Run, Schedule
from servicetsunami.sdk import ConfigError, NotFound, nearest

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller


@changing("no schedule was added")
async def add_schedule(
    app: App,
    caller: Caller,
    connection_id: str,
    *,
    cron: str | None = None,
    every: str | None = None,
    timezone: str | None = None,
    tables: Sequence[str] | None = None,
    sync_mode: str | None = None,
) -> ScheduleView:
    """Sync a connection again and again: at the moments of a cron expression, or `every` so long.

    `timezone` is the zone whose clock the cron expression speaks of, UTC by default. Without `tables` those are synced
    that have landed by then.
    """
    kind, expression, zone = _when(cron, every, timezone)
    check_mode(sync_mode)
    connection = await app.records.connection(caller.tenant, connection_id)
    schedule = await app.records.create_schedule(
        caller.tenant,
        connection.id,
        kind=kind,
        expression=expression,
        timezone=zone,
        next_at=following(kind, expression, zone, now=datetime.now(UTC)),
        streams=await _streams(app, connection, tables) if tables else None,
        mode=sync_mode,
    )
    return _view(schedule, connection.name, None)


async def list_schedules(app: App, caller: Caller) -> ScheduleList:
    """List the schedules, the oldest first, and how the last run of each ended."""
    names = await _names(app, caller)
    views = [
        _view(schedule, names[schedule.connection_id], await _last_run(app, schedule))
        for schedule in await app.records.schedules(caller.tenant)
        if schedule.connection_id in names
    ]
    return ScheduleList(schedules=tuple(views))


@changing("no schedule was removed")
async def remove_schedule(app: App, caller: Caller, schedule_id: str) -> ScheduleView:
    """Remove a schedule; a run that it has started goes on."""
    return await _shown(app, caller, await app.records.delete_schedule(caller.tenant, schedule_id))


@changing("no schedule was changed")
async def pause_schedule(app: App, caller: Caller, schedule_id: str) -> ScheduleView:
    """Let a schedule rest until it is resumed."""
    return await _shown(app, caller, await app.records.disable_schedule(caller.tenant, schedule_id))


@changing("no schedule was changed")
async def resume_schedule(app: App, caller: Caller, schedule_id: str) -> ScheduleView:
    """Let a schedule run again from its next moment on; what passed while it rested is not made up for."""
    schedule = await _find(app, caller, schedule_id)
    if not schedule.enabled:
        next_at = following(
            schedule.kind, schedule.expression, schedule.timezone, now=datetime.now(UTC), due=schedule.last_at
        )
        schedule = await app.records.enable_schedule(caller.tenant, schedule.id, next_at=next_at)
    return await _shown(app, caller, schedule)


def _when(cron: str | None, every: str | None, timezone: str | None) -> tuple[Literal["cron", "interval"], str, str]:
    if (cron is None) == (every is None):
        found = (
            "neither a cron expression nor an interval" if cron is None else "both a cron expression and an interval"
        )
        raise ConfigError(
            f"the schedule has {found}, so it is not clear when it is to run",
            code="bad_schedule",
            field="cron",
            fix="give one of the two: a cron expression such as '0 3 * * *', or an interval such as 15m",
        )
    if cron is not None:
        check_timezone(timezone or "UTC")
        return "cron", check_cron(cron), timezone or "UTC"
    if timezone is not None:
        raise ConfigError(
            "an interval is the same in every time zone, so it cannot be given one",
            code="bad_schedule",
            field="timezone",
            fix="leave the time zone out, or give a cron expression instead of the interval",
        )
    check_interval(str(every))
    return "interval", str(every), "UTC"


async def _streams(app: App, connection: Connection, tables: Sequence[str]) -> list[str]:
    streams = await with_source(app, connection, lambda source: list(source.streams()))
    return list(dict.fromkeys(find_stream(streams, name).id for name in tables))


async def _find(app: App, caller: Caller, schedule_id: str) -> Schedule:
    schedules = await app.records.schedules(caller.tenant)
    found = next((one for one in schedules if one.id == schedule_id), None)
    if found is not None:
        return found
    raise NotFound(
        f"there is no schedule '{schedule_id}'",
        code="schedule_not_found",
        field="schedule_id",
        fix="list the schedules to see their ids",
        did_you_mean=nearest(schedule_id, [one.id for one in schedules]),
    )


async def _names(app: App, caller: Caller) -> dict[str, str]:
    return {connection.id: connection.name for connection in await app.records.connections(caller.tenant)}


async def _last_run(app: App, schedule: Schedule) -> Run | None:
    return await app.records.run(schedule.tenant, schedule.last_run_id) if schedule.last_run_id else None


async def _shown(app: App, caller: Caller, schedule: Schedule) -> ScheduleView:
    names = await _names(app, caller)
    return _view(schedule, names.get(schedule.connection_id, ""), await _last_run(app, schedule))


def _view(schedule: Schedule, connection: str, last_run: Run | None) -> ScheduleView:
    return ScheduleView(
        schedule_id=schedule.id,
        connection_id=schedule.connection_id,
        connection=connection,
        tables=schedule.streams,
        sync_mode=schedule.mode,
        kind=schedule.kind,
        expression=schedule.expression,
        timezone=schedule.timezone,
        enabled=schedule.enabled,
        next_at=schedule.next_at,
        next_local=schedule.next_at.astimezone(check_timezone(schedule.timezone)),
        last_at=schedule.last_at,
        last_run_id=schedule.last_run_id,
        last_status=last_run.status.value if last_run else None,
        last_message=last_run.message if last_run else "",
    )
