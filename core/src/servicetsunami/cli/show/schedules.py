"""Showing schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.cli.show.words import moment

if TYPE_CHECKING:
    from servicetsunami.cli.screen import Screen
    from servicetsunami.operations.models import RunList
    from servicetsunami.operations.schedule_models import ScheduleList, ScheduleView


def show_schedules(screen: Screen, result: ScheduleList) -> None:
    """Show schedules as a table, the oldest first."""
    if not result.schedules:
        screen.talk("There are no schedules yet: `tsunami schedule add CONNECTION --every 1h` makes one.")
        return
    screen.table(
        ("schedule_id", "connection", "tables", "when", "next (local)", "next (UTC)", "last result"),
        (
            (
                one.schedule_id,
                one.connection,
                ", ".join(one.tables) if one.tables else "all that landed",
                _when(one),
                _local(one) if one.enabled else "paused",
                moment(one.next_at) if one.enabled else "-",
                one.last_status or "-",
            )
            for one in result.schedules
        ),
    )


def show_schedule(screen: Screen, result: ScheduleView) -> None:
    """Show one schedule."""
    show_schedules(screen, _alone(result))


def show_added(screen: Screen, result: ScheduleView) -> None:
    """Show a schedule that was added, and when it runs first."""
    screen.line(result.schedule_id)
    screen.talk(f"'{result.connection}' is synced {_when(result)}, first at {_local(result)}.")
    screen.talk("Schedules run while `tsunami schedule run` does.")


def show_removed(screen: Screen, result: ScheduleView) -> None:
    """Show which schedule was removed."""
    screen.line(result.schedule_id)
    screen.talk(f"'{result.connection}' is no longer synced {_when(result)}.")


def show_due(screen: Screen, result: RunList | None) -> None:
    """Show the runs of what was due; None where another process is the one to run it."""
    if result is None:
        screen.talk("Another process runs the schedules, so nothing was started here.")
    elif not result.runs:
        screen.talk("No schedule is due.")
    for run in result.runs if result is not None else ():
        screen.line(f"{run.run_id}  {run.status}  {run.message}")


def _alone(schedule: ScheduleView) -> ScheduleList:
    from servicetsunami.operations.schedule_models import ScheduleList

    return ScheduleList(schedules=(schedule,))


def _when(schedule: ScheduleView) -> str:
    if schedule.kind == "interval":
        return f"every {schedule.expression}"
    return f"at '{schedule.expression}' {schedule.timezone}"


def _local(schedule: ScheduleView) -> str:
    return schedule.next_local.strftime("%Y-%m-%d %H:%M:%S %z")
