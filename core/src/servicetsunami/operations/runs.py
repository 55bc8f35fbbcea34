"""Executing work in the background: a run outlives the call that began it and can be watched and cancelled."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from servicetsunami.operations.events import Event
from servicetsunami.operations.run_work import Work
from servicetsunami.records import Run, RunStatus
from servicetsunami.sdk import Cancelled, TransientError, TsunamiError
from servicetsunami.sync import Progress, SyncOutcome
from servicetsunami.sync.crash import plugin_crashed
from servicetsunami.sync.failpoints import reach

if TYPE_CHECKING:
    from servicetsunami.operations.app import App

T = TypeVar("T")
log = logging.getLogger(__name__)
_HEARTBEAT_SECONDS = 1.0
_MOST_OPEN = 1000
_MOST_AT_ONCE = 8
_STOPPED = "This run was stopped together with its process. Nothing of it is visible; sync again to complete it."
_CANCELLED = "The run was cancelled. Nothing of it is visible."
_GONE = (
    "The process of this run was ended before it. What it had committed counts, all of it or nothing; sync again to "
    "complete it."
)
_OVERTAKEN = (
    "This run lost its hold on the table, after standing still for too long or losing touch with the records, so it "
    "stopped. Sync again to complete it; nothing is lost or doubled."
)
_UNNOTED = (
    "All rows of this run are visible, but how far it came could not be recorded. The next sync takes it up; nothing "
    "is lost or doubled."
)
_NOTING_SECONDS = (0.2, 0.5, 1.0, 2.0)
"""How long to wait before noting the end of a run again, each time the records could not be written."""
LEASE = timedelta(seconds=30)
"""How long a table stays taken after its writer's last heartbeat, where nobody can see that the writer is gone."""


@dataclass
class _Execution:
    """A run that this process executes."""

    run: Run
    work: Work
    progress: Progress = field(default_factory=Progress)
    cancel: threading.Event = field(default_factory=threading.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    parked: bool = False
    overtaken: bool = False
    """True once the table may be somebody else's."""
    held_at: float = field(default_factory=time.monotonic)
    """When the table's lease was last renewed."""


class RunKeeper:
    """Starts runs, keeps their rows in the records up to date and parks them when the process ends."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._executions: dict[str, _Execution] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Threads of their own: syncs take long, and the loop's few threads answer everything else.
        self._threads = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="sync")

    async def start(self, run: Run, work: Work) -> None:
        """Execute a run in the background; raises `TransientError` while another run writes the table."""
        self._app.events.tell(Event("run", run.tenant, run.id, listed=True))
        if not await self._taken_or_told(run):
            raise _busy(run)
        execution = _Execution(run, work)
        self._executions[run.id] = execution
        task = asyncio.create_task(self._execute(execution), name=run.id)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def begin(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out the beginning of a run, whatever becomes of whoever asked for it.

        One who gave up between the run's row and its start would leave a run that nobody executes; and if the process
        ends there too, others have to see that its table is free.
        """
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._app.presence.leave_unfinished()
            raise

    async def _taken_or_told(self, run: Run) -> bool:
        """Take the table; where another run has it, say so in the run's row and return False."""
        try:
            if await self._take(run):
                return True
            await self._finish(run, RunStatus.FAILED, problem=_busy(run))
        except TsunamiError:
            self._app.presence.leave_unfinished()
            raise
        return False

    async def interrupt_gone(self, tenant: str) -> None:
        """Mark the runs of killed processes of this machine as interrupted, and free the tables they were writing."""
        for status in (RunStatus.QUEUED, RunStatus.RUNNING):
            for run in await self._app.records.runs(tenant, status=status, limit=_MOST_OPEN):
                if self._is_gone(run):
                    await self._app.records.release(_lease_name(run), _lease_owner(run))
                    await self._finish(run, RunStatus.INTERRUPTED, message=_GONE)

    def _is_gone(self, run: Run) -> bool:
        if run.owner is not None and self._app.presence.is_gone(run.owner):
            return True
        # A run is begun as soon as it is made, so one that waits for long waits for a process that nobody can see.
        waited = datetime.now(UTC) - run.created_at
        return run.status is RunStatus.QUEUED and waited > 2 * LEASE and not self.is_here(run.id)

    async def wait(self, run_id: str, seconds: float | None) -> None:
        """Wait until a run of this process has ended, or so long."""
        execution = self._executions.get(run_id)
        if execution is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(execution.finished.wait(), seconds)

    def is_here(self, run_id: str) -> bool:
        """Tell whether this process executes the run."""
        return run_id in self._executions

    def live(self, run: Run) -> Run:
        """Return the run with the counters of this moment, if it is executed here."""
        execution = self._executions.get(run.id)
        return run if execution is None or run.status.is_final else replace(run, **_counts(execution))

    def cancel(self, run_id: str) -> None:
        """Cancel a run of this process at once; runs of others see the request in the records."""
        execution = self._executions.get(run_id)
        if execution is not None:
            execution.cancel.set()

    async def close(self) -> None:
        """Stop every run; the next run of its stream goes on from what the sink has."""
        for execution in self._executions.values():
            execution.parked = True
            execution.cancel.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=20)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _take(self, run: Run) -> bool:
        """Take the table, from a process that is gone too, which would keep it until its lease expires."""
        records, name = self._app.records, _lease_name(run)
        if await records.lease(name, _lease_owner(run), LEASE):
            return True
        await self.interrupt_gone(run.tenant)
        # A process may have been killed after its run had ended and before it gave the table back.
        holder = await records.lease_owner(name)
        if holder is not None and self._app.presence.is_gone(holder.rpartition("/")[0]):
            await records.release(name, holder)
        return await records.lease(name, _lease_owner(run), LEASE)

    async def _execute(self, execution: _Execution) -> None:
        run_id = execution.run.id
        try:
            await self._carry_out(execution)
        except TsunamiError as error:
            # Once the records can be written again, the run's row is marked as interrupted.
            self._app.presence.leave_unfinished()
            log.warning("the end of run %s could not be noted down: %s", run_id, error.code)
        finally:
            del self._executions[run_id]
            execution.finished.set()

    async def _carry_out(self, execution: _Execution) -> None:
        run = await self._app.records.change_run(
            execution.run.tenant,
            execution.run.id,
            status=RunStatus.RUNNING,
            started_at=datetime.now(UTC),
            heartbeat_at=datetime.now(UTC),
        )
        beating = asyncio.create_task(self._beat(execution))
        try:
            if run.status.is_final:
                raise Cancelled("the run was ended before it began")
            given = self._app, run, execution.progress, execution.cancel
            outcome = await asyncio.get_running_loop().run_in_executor(self._threads, execution.work.carry_out, *given)
        except TsunamiError as error:
            await self._fail(run, execution, error)
        except Exception as error:  # the outermost handler of a run: whatever happens, its row says so
            log.debug("run %s crashed", run.id, exc_info=True)
            await self._fail(run, execution, plugin_crashed(error))
        else:
            await self._succeed(run, execution, outcome)
        finally:
            beating.cancel()
            await self._app.records.release(_lease_name(run), _lease_owner(run))

    async def _beat(self, execution: _Execution) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS / 2)
            with suppress(TsunamiError):
                await self._heed(execution)
            await asyncio.sleep(_HEARTBEAT_SECONDS / 2)
            with suppress(TsunamiError):  # the next beat may get through, well before the lease expires
                await self._beat_once(execution)
            if time.monotonic() - execution.held_at > LEASE.total_seconds():
                self._stop_overtaken(execution)

    async def _heed(self, execution: _Execution) -> None:
        """Take in what another process wished, between two beats: whoever cancels a run waits for it."""
        seen = await self._app.records.run(execution.run.tenant, execution.run.id)
        if seen.cancel_requested:
            execution.cancel.set()

    async def _beat_once(self, execution: _Execution) -> None:
        records, run = self._app.records, execution.run
        reach("lease_renew")
        asked_at = time.monotonic()
        if not await records.lease(_lease_name(run), _lease_owner(run), LEASE):
            self._stop_overtaken(execution)
            return
        execution.held_at = asked_at
        seen = await records.change_run(run.tenant, run.id, heartbeat_at=datetime.now(UTC), **_counts(execution))
        self._app.events.tell(Event("run", run.tenant, run.id))
        if seen.cancel_requested or seen.status.is_final:
            execution.cancel.set()

    @staticmethod
    def _stop_overtaken(execution: _Execution) -> None:
        execution.overtaken = True
        execution.cancel.set()

    async def _succeed(self, run: Run, execution: _Execution, outcome: SyncOutcome) -> None:
        for pause in (0.0, *_NOTING_SECONDS):
            await asyncio.sleep(pause)
            if await self._noted(run, execution, outcome):
                return
        await self._finish(run, RunStatus.INTERRUPTED, message=_UNNOTED, **_counts(execution))

    async def _noted(self, run: Run, execution: _Execution, outcome: SyncOutcome) -> bool:
        try:
            await self._note_success(run, execution, outcome)
        except Exception:  # whatever the records fail of, the rows are visible, and to say anything else would be wrong
            log.debug("the end of run %s could not be noted yet", run.id, exc_info=True)
            return False
        return True

    async def _note_success(self, run: Run, execution: _Execution, outcome: SyncOutcome) -> None:
        await execution.work.note_down(self._app, run, outcome)
        notes = [*outcome.notes, *_rescue_note(outcome)]
        await self._finish(run, RunStatus.SUCCEEDED, **_counts(execution), details={"notes": notes, **outcome.details})

    async def _fail(self, run: Run, execution: _Execution, error: TsunamiError) -> None:
        counts = {**_counts(execution), "rows_written": 0}
        if execution.parked:
            await self._finish(run, RunStatus.INTERRUPTED, message=_STOPPED, **counts)
        elif execution.overtaken:
            await self._finish(run, RunStatus.INTERRUPTED, message=_OVERTAKEN, **counts)
        elif isinstance(error, Cancelled):
            await self._finish(run, RunStatus.CANCELLED, message=_CANCELLED, **counts)
        else:
            await self._finish(run, RunStatus.FAILED, problem=error, **counts)

    async def _finish(
        self, run: Run, status: RunStatus, *, problem: TsunamiError | None = None, **changes: Any
    ) -> None:
        if problem is not None:
            changes |= {"problem": problem.problem().model_dump(mode="json"), "message": problem.message}
        changes = {"message": "", **changes}
        await self._app.records.change_run(run.tenant, run.id, status=status, finished_at=datetime.now(UTC), **changes)
        self._app.events.tell(Event("run", run.tenant, run.id))
        if run.connection_id is not None:
            self._app.events.tell(Event("connection", run.tenant, run.connection_id))


def _lease_owner(run: Run) -> str:
    return f"{run.owner}/{run.id}"


def _lease_name(run: Run) -> str:
    return f"table/{run.tenant}/{run.table}"


def _busy(run: Run) -> TransientError:
    return TransientError(
        f"another run is writing {run.table}, so this one did not start",
        code="table_busy",
        fix="wait for it: `tsunami runs` or the tool get_run shows how far it is",
        retry_after_seconds=LEASE.total_seconds(),
    )


def _counts(execution: _Execution) -> dict[str, Any]:
    progress = execution.progress
    return {
        "rows_total": progress.rows_total,
        "rows_read": progress.rows_read,
        "rows_written": progress.rows_written,
        "rows_rescued": progress.rows_rescued,
        "bytes_read": progress.bytes_read,
    }


def _rescue_note(outcome: SyncOutcome) -> list[str]:
    if not outcome.rows_rescued:
        return []
    return [f"{outcome.rows_rescued:,} rows have cells that did not fit their column; `_rescued` keeps them as JSON."]
