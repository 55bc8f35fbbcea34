"""Commands about schedules: add, list, pause, resume, remove, and running what is due."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from servicetsunami.cli.options import AsJson, Connection
from servicetsunami.cli.session import emit, perform

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.models import RunList

ScheduleId = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Id of a schedule; `tsunami schedule` lists them.")]


def add(
    context: typer.Context,
    connection: Connection,
    cron: Annotated[
        str | None, typer.Option(metavar="FIELDS", help="Minute, hour, day, month, weekday: '0 3 * * *' is at 3.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Whose clock --cron speaks of, such as Europe/Berlin; else UTC.")
    ] = None,
    every: Annotated[str | None, typer.Option(metavar="TIME", help="An interval instead: 15m, 2h, 1d.")] = None,
    table: Annotated[
        list[str] | None, typer.Option(metavar="TABLE", help="A table; repeat it. All that landed if left out.")
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="Mode of every table; incremental where it is possible if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sync a connection again and again, while `tsunami schedule run` or a server runs."""
    from servicetsunami.cli.show.schedules import show_added
    from servicetsunami.operations.schedules import add_schedule

    added = perform(
        context,
        lambda app, caller: add_schedule(
            app, caller, connection, cron=cron, every=every, timezone=timezone, tables=table, sync_mode=mode
        ),
    )
    emit(added, show_added, as_json=as_json)


def schedules(context: typer.Context, as_json: AsJson = False) -> None:
    """List the schedules, add or remove one, or run them."""
    if context.invoked_subcommand is None:
        listed(context, as_json)


def listed(context: typer.Context, as_json: AsJson = False) -> None:
    """List the schedules: when each runs next, and how its last run ended."""
    from servicetsunami.cli.show.schedules import show_schedules
    from servicetsunami.operations.schedules import list_schedules

    emit(perform(context, list_schedules), show_schedules, as_json=as_json)


def remove(context: typer.Context, schedule: ScheduleId, as_json: AsJson = False) -> None:
    """Remove a schedule; a run that it started goes on."""
    from servicetsunami.cli.show.schedules import show_removed
    from servicetsunami.operations.schedules import remove_schedule

    emit(perform(context, lambda app, who: remove_schedule(app, who, schedule)), show_removed, as_json=as_json)


def pause(context: typer.Context, schedule: ScheduleId, as_json: AsJson = False) -> None:
    """Let a schedule rest until it is resumed."""
    from servicetsunami.cli.show.schedules import show_schedule
    from servicetsunami.operations.schedules import pause_schedule

    emit(perform(context, lambda app, who: pause_schedule(app, who, schedule)), show_schedule, as_json=as_json)


def resume(context: typer.Context, schedule: ScheduleId, as_json: AsJson = False) -> None:
    """Let a schedule run again, from its next moment on."""
    from servicetsunami.cli.show.schedules import show_schedule
    from servicetsunami.operations.schedules import resume_schedule

    emit(perform(context, lambda app, who: resume_schedule(app, who, schedule)), show_schedule, as_json=as_json)


def run(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Run what is due now, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once, print the runs as JSON.")] = False,
) -> None:
    """Run the schedules of every tenant in the foreground; Ctrl-C ends it in order."""
    if once:
        _run_once(context, as_json=as_json)
        return
    from servicetsunami.cli.screen import Screen

    Screen().talk("Running the schedules; end it with Ctrl-C.")
    perform(context, lambda app, _caller: _run_until_stopped(app))


def _run_once(context: typer.Context, *, as_json: bool) -> None:
    from servicetsunami.cli.exits import Exit, code_of_runs
    from servicetsunami.cli.show.schedules import show_due
    from servicetsunami.operations.models import RunList
    from servicetsunami.operations.scheduler import run_due

    async def work(app: App) -> RunList | None:
        return await run_due(app)

    found = perform(context, lambda app, _caller: work(app))
    result = emit(found or RunList(runs=()), lambda screen, _: show_due(screen, found), as_json=as_json)
    code = code_of_runs(result.runs, asked=len(result.runs))
    if code is not Exit.OK:
        raise typer.Exit(code)


async def _run_until_stopped(app: App) -> None:
    from servicetsunami.operations.scheduler import Scheduler

    running = asyncio.ensure_future(Scheduler(app).run())
    with suppress(NotImplementedError):  # not every system has signal handlers; there the process just ends
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    await asyncio.wait([running])
    if not running.cancelled():
        running.result()
