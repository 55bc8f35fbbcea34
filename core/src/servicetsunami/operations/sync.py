"""Syncing a table into bronze, and watching runs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from servicetsunami.operations.identity import source_identity
from servicetsunami.operations.models import RunList, RunView
from servicetsunami.operations.opened import with_source
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.run_work import SyncWork
from servicetsunami.operations.runs import LEASE
from servicetsunami.operations.secrets import dialling_secrets
from servicetsunami.operations.sources import configured, find_stream
from servicetsunami.operations.stream_settings import settings_of
from servicetsunami.operations.views import run_view
from servicetsunami.records import Connection, Dataset, Run, SyncPoint
from servicetsunami.sdk import ChangeFeed, ConfigError, Stream, nearest
from servicetsunami.sync import SyncJob, SyncMode
from servicetsunami.sync.keyless import no_key
from servicetsunami.sync.naming import wanted_tables

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

SYNC_MODES: tuple[SyncMode, ...] = ("incremental", "full", "changes")
"""Every mode there is; `changes` needs a connector with a change feed."""
_WATCH_SECONDS = 0.25
OnProgress = Callable[[RunView], Awaitable[None]]


@changing("nothing was synced")
async def sync_to_bronze(
    app: App,
    caller: Caller,
    connection_id: str,
    table_name: str,
    *,
    sync_mode: str | None = None,
    wait_seconds: float | None = None,
    on_progress: OnProgress | None = None,
) -> RunView:
    """Bring one table of a connection into bronze.

    Waits until the run has ended, or `wait_seconds`; the run goes on in any case. The default mode is that of its
    changes where the table was synced so before, else incremental where it has a cursor, else full.
    """
    connection = await app.records.connection(caller.tenant, connection_id)
    streams = await with_source(app, connection, lambda source: list(source.streams()))
    stream = configured(find_stream(streams, table_name), connection)
    known = await app.records.sync_point(caller.tenant, connection.id, stream.id)
    feeds = issubclass(app.plugins.connector(connection.connector), ChangeFeed)
    mode = _mode(stream, sync_mode, feeds=feeds, known=known)
    target = connection.streams.get(stream.id, {}).get("target")
    dataset = await app.records.claim_table(
        caller.tenant, connection.id, stream.id, wanted_tables(stream, connection.name, target)
    )
    secrets = await dialling_secrets(app, connection)
    run = await app.runs.begin(_begin(app, connection, secrets, _Wish(stream, dataset, mode, known)))
    return await watch(app, caller, run.id, wait_seconds, on_progress)


@dataclass(frozen=True)
class _Wish:
    """What is to be synced, to where and how, and how far the records say it came."""

    stream: Stream
    dataset: Dataset
    mode: SyncMode
    known: SyncPoint | None


async def _begin(app: App, connection: Connection, secrets: Mapping[str, str], wish: _Wish) -> Run:
    stream = wish.stream
    run = await app.records.create_run(
        connection.tenant,
        "sync",
        connection_id=connection.id,
        stream=stream.id,
        table=str(wish.dataset.table),
        mode=wish.mode,
        owner=app.presence.owner,
    )
    identity = source_identity(app.plugins.connector(connection.connector), connection.settings)
    job = SyncJob(
        run.id,
        f"{connection.id}/{stream.id}",
        stream,
        wish.dataset.table,
        wish.mode,
        identity=identity,
        settings=settings_of(connection.streams, stream.id).stored(),
        pepper=await app.records.hash_key(connection.tenant),
        recorded_seq=wish.known.seq if wish.known else None,
        evolve=app.settings.evolve,
        parallel=min(app.settings.parallel_reads, os.cpu_count() or 1),
    )
    await app.runs.start(run, SyncWork(job, connection, secrets))
    return run


async def get_run(app: App, caller: Caller, run_id: str, *, wait_seconds: float = 0) -> RunView:
    """Show a run, after it has ended or after `wait_seconds`."""
    await app.records.run(caller.tenant, run_id)
    return await watch(app, caller, run_id, wait_seconds, None)


@changing("no run was cancelled")
async def cancel_run(app: App, caller: Caller, run_id: str) -> RunView:
    """Ask a run to stop and wait shortly for it; nothing of it becomes visible."""
    run = await app.records.request_cancel(caller.tenant, run_id)
    app.runs.cancel(run.id)
    return await watch(app, caller, run.id, 5.0, None)


async def list_runs(app: App, caller: Caller, *, limit: int = 20) -> RunList:
    """List runs, newest first; those whose process is gone are marked as interrupted."""
    await _interrupt_lost(app, caller.tenant)
    catalog = f"tenant_{caller.tenant}"
    runs = await app.records.runs(caller.tenant, limit=limit)
    return RunList(runs=tuple(run_view(run, catalog) for run in runs))


async def watch(
    app: App, caller: Caller, run_id: str, seconds: float | None, on_progress: OnProgress | None
) -> RunView:
    """Show a run once it has ended, or after so many seconds; `on_progress` is told of it meanwhile."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        run = await app.records.run(caller.tenant, run_id)
        view = run_view(app.runs.live(run), f"tenant_{caller.tenant}")
        if on_progress is not None:
            await on_progress(view)
        left = None if deadline is None else deadline - time.monotonic()
        if run.status.is_final or (left is not None and left <= 0):
            return view
        await _pause(app, run, _WATCH_SECONDS if left is None else min(left, _WATCH_SECONDS))


async def _pause(app: App, run: Run, seconds: float) -> None:
    if app.runs.is_here(run.id):
        await app.runs.wait(run.id, seconds)
        return
    await _interrupt_lost(app, run.tenant)
    await asyncio.sleep(seconds)


async def _interrupt_lost(app: App, tenant: str) -> None:
    """Mark runs as interrupted whose process is gone, or was not heard of for long enough to be believed gone."""
    if app.settings.read_only:
        return
    await app.runs.interrupt_gone(tenant)
    await app.records.interrupt_stale_runs(LEASE + timedelta(seconds=5))


def _mode(stream: Stream, wish: str | None, *, feeds: bool, known: SyncPoint | None) -> SyncMode:
    if wish is None and feeds and known is not None and "feed" in known.state:
        return "changes"
    if wish is None:
        return "incremental" if stream.cursor else "full"
    if wish not in SYNC_MODES:
        raise ConfigError(
            f"'{wish}' is not a sync mode",
            code="bad_sync_mode",
            field="sync_mode",
            fix="use incremental, full or changes" if feeds else "use incremental or full",
            did_you_mean=nearest(wish, SYNC_MODES),
        )
    if wish == "incremental" and not stream.cursor:
        raise _no_cursor(stream)
    if wish == "changes":
        _check_feed(stream, feeds=feeds)
    return wish


def _check_feed(stream: Stream, *, feeds: bool) -> None:
    if not feeds:
        raise ConfigError(
            "this connector cannot tell changes, so the table cannot be synced by them",
            code="no_change_feed",
            field="sync_mode",
            fix="use incremental or full",
        )
    if not stream.key:
        raise no_key(stream)


def _no_cursor(stream: Stream) -> ConfigError:
    candidates = ", ".join(stream.cursor_candidates[:5])
    choose = f"name one of its columns as cursor in the connection's stream settings ({candidates})"
    return ConfigError(
        f"'{stream.id}' has no column known to grow with every change, so it cannot be synced incrementally",
        code="no_cursor",
        field="sync_mode",
        fix=f"sync it in full, or {choose}" if candidates else "sync it in full",
    )
