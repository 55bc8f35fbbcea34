"""Syncing several tables of a connection in one run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from servicetsunami.operations.events import Event
from servicetsunami.operations.joint_runs import Plan, PlannedTable
from servicetsunami.operations.models import ConnectionSync, TableSync
from servicetsunami.operations.opened import with_source
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.sources import find_stream
from servicetsunami.operations.sync import SYNC_MODES, OnProgress, list_runs
from servicetsunami.operations.views import run_view
from servicetsunami.records import Connection, Run
from servicetsunami.sdk import ConfigError, NotFound, Problem, Stream, nearest

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_WATCH_SECONDS = 0.25
_LOOK_SECONDS = 0.1


@changing("nothing was synced")
async def sync_connection(
    app: App,
    caller: Caller,
    connection_id: str,
    tables: Sequence[str] | None = None,
    *,
    all_tables: bool = False,
    sync_mode: str | None = None,
    wait_seconds: float | None = None,
    on_progress: OnProgress | None = None,
) -> ConnectionSync:
    """Bring several tables of a connection into bronze, the smallest first; one that fails stops no other.

    Without `tables` those that have landed before are brought up to date, or, with `all_tables`, every table is. Waits
    until the run has ended, or `wait_seconds`; the run goes on in any case.
    """
    check_mode(sync_mode)
    connection = await app.records.connection(caller.tenant, connection_id)
    planned = await plan_tables(app, connection, tables, all_tables=all_tables)

    async def plan() -> Sequence[PlannedTable]:
        return planned

    run = await app.runs.begin(_begin(app, caller, connection, sync_mode, plan))
    return await _watch(app, caller, run.id, wait_seconds, on_progress)


async def get_connection_sync(app: App, caller: Caller, run_id: str) -> ConnectionSync:
    """Show how far the sync of several tables is, table by table."""
    return await _view(app, await app.records.run(caller.tenant, run_id))


async def plan_tables(
    app: App, connection: Connection, tables: Sequence[str] | None, *, all_tables: bool = False
) -> list[PlannedTable]:
    """Return the tables to sync, the smallest first, those of unknown size last.

    Views without key and cursor are read in full each time, so they are left out of `all_tables`. A name the source
    does not know stays in the list, for its own sync to refuse; raises `NotFound` where it knows none of them.
    """
    every = all_tables and not tables
    names = () if every else tables or await _landed(app, connection)
    streams = await with_source(app, connection, lambda source: list(source.streams()))
    if every:
        return _in_order([stream for stream in streams if _is_for_all(stream, connection)] or _refuse(connection))
    found, missing = _find(streams, names)
    return [*_in_order(found), *(PlannedTable(name) for name in missing)]


def check_mode(sync_mode: str | None) -> None:
    """Refuse a sync mode that there is not."""
    if sync_mode is not None and sync_mode not in SYNC_MODES:
        raise ConfigError(
            f"'{sync_mode}' is not a sync mode",
            code="bad_sync_mode",
            field="sync_mode",
            fix=f"use {' or '.join(SYNC_MODES)}, or leave it out",
            did_you_mean=nearest(sync_mode, SYNC_MODES),
        )


async def _landed(app: App, connection: Connection) -> list[str]:
    datasets = await app.records.datasets(connection.tenant)
    landed = [one.stream for one in datasets if one.connection_id == connection.id and one.synced_at is not None]
    if landed:
        return landed
    raise ConfigError(
        f"no table of '{connection.name}' has landed yet, so none can be brought up to date",
        code="nothing_landed",
        field="tables",
        fix="name the tables to sync, or sync all of them",
    )


def _refuse(connection: Connection) -> NoReturn:
    raise NotFound(
        f"the source of '{connection.name}' shows no table to these credentials, so there is nothing to sync",
        code="no_tables",
        fix="give the credentials the right to read the tables, or name the views to sync",
    )


def _in_order(streams: list[Stream]) -> list[PlannedTable]:
    once = {stream.id: PlannedTable(stream.id, stream.rows) for stream in streams}
    return sorted(once.values(), key=lambda one: (one.rows is None, one.rows or 0, one.name))


def _find(streams: list[Stream], names: Sequence[str]) -> tuple[list[Stream], list[str]]:
    found, missing, refusals = [], [], []
    for name in names:
        try:
            found.append(find_stream(streams, name))
        except NotFound as refusal:
            missing.append(name)
            refusals.append(refusal)
    if refusals and not found:
        raise refusals[0]
    return found, missing


def _is_for_all(stream: Stream, connection: Connection) -> bool:
    settings = connection.streams.get(stream.id, {})
    tells_changes = stream.key or stream.cursor or settings.get("key") or settings.get("cursor")
    return "view" not in stream.kind or bool(tells_changes)


async def _begin(app: App, caller: Caller, connection: Connection, mode: str | None, plan: Plan) -> Run:
    run = await app.records.create_run(
        caller.tenant, "sync_all", connection_id=connection.id, mode=mode, owner=app.presence.owner
    )
    app.events.tell(Event("run", caller.tenant, run.id, listed=True))
    app.joint_runs.start(run, caller, connection.id, plan)
    return run


async def _watch(
    app: App, caller: Caller, run_id: str, seconds: float | None, on_progress: OnProgress | None
) -> ConnectionSync:
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        run = await app.records.run(caller.tenant, run_id)
        if on_progress is not None:
            await on_progress(run_view(run, f"tenant_{caller.tenant}"))
        left = None if deadline is None else deadline - time.monotonic()
        if run.status.is_final or (left is not None and left <= 0):
            return await _view(app, run)
        pause = _WATCH_SECONDS if left is None else min(left, _WATCH_SECONDS)
        if not await app.joint_runs.wait(run_id, pause):
            # It has just ended, or another process executes it, which may be gone: listing finds that out.
            await list_runs(app, caller, limit=1)
            await asyncio.sleep(min(pause, _LOOK_SECONDS))


async def _view(app: App, run: Run) -> ConnectionSync:
    catalog = f"tenant_{run.tenant}"
    tables = [await _table(app, run, told) for told in run.details.get("tables", ())]
    return ConnectionSync(run=run_view(run, catalog), tables=tuple(tables))


async def _table(app: App, joint: Run, told: dict[str, Any]) -> TableSync:
    own = await app.records.run(joint.tenant, told["run_id"]) if told["run_id"] else None
    status = own.status.value if own else told["status"]
    if status == "waiting" and joint.status.is_final:
        status = joint.status.value
    shown = run_view(app.runs.live(own), f"tenant_{joint.tenant}") if own else None
    problem = told["problem"] or (own.problem if own else None)
    return TableSync(
        table_name=told["table_name"],
        status=status,
        run=shown,
        problem=Problem.model_validate(problem) if problem else None,
    )
