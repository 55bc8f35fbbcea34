"""Executing the sync of several tables of a connection as one run, of which each table's own run is a part."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from servicetsunami.operations.events import Event
from servicetsunami.operations.models import RunView
from servicetsunami.operations.sync import sync_to_bronze
from servicetsunami.operations.turns import Turns
from servicetsunami.records import Run, RunStatus
from servicetsunami.sdk import PermanentError, Problem, TsunamiError
from servicetsunami.sync.crash import plugin_crashed

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

log = logging.getLogger(__name__)
_BEAT_SECONDS = 0.5
_STOPPED = "This sync was stopped together with its process; sync again to complete it."


@dataclass(frozen=True)
class PlannedTable:
    """A table to sync, and about how many rows it has."""

    name: str
    rows: int | None = None


Plan = Callable[[], Awaitable[Sequence[PlannedTable]]]
"""Says which tables to sync, in the order in which they are to begin."""


@dataclass
class _Table:
    """How far one table is."""

    planned: PlannedTable
    view: RunView | None = None
    problem: Problem | None = None
    active: bool = False
    """True while it holds a place: it has a run, or soon will."""

    async def take_in(self, view: RunView) -> None:
        """Take in how far the table's run is."""
        self.view = view

    @property
    def status(self) -> str:
        """The status of its run; `waiting` before there is one."""
        if self.problem is not None:
            return "failed"
        return "waiting" if self.view is None else self.view.status

    @property
    def rows_total(self) -> int | None:
        """About how many rows it has to read."""
        return self.planned.rows if self.view is None else self.view.rows_total

    def told(self) -> dict[str, Any]:
        """Return what the records keep of it."""
        return {
            "table_name": self.planned.name,
            "run_id": self.view.run_id if self.view else None,
            "status": self.status,
            "problem": self.problem.model_dump(mode="json") if self.problem else None,
        }

    @property
    def note(self) -> str:
        """Return what a person should know of it."""
        message = self.problem.message if self.problem else self.view.message if self.view else ""
        run = f" ({self.view.run_id})" if self.view else ""
        return f"{self.planned.name} {self.status}{run}{f': {message}' if message else ''}"


@dataclass
class _Joint:
    """A joint run that this process executes."""

    run: Run
    caller: Caller
    connection_id: str
    plan: Plan
    tables: list[_Table] = field(default_factory=list)
    cancelled: bool = False

    def having(self, *statuses: str) -> list[_Table]:
        """Return the tables with one of the statuses."""
        return [table for table in self.tables if table.status in statuses]


class JointRuns:
    """Starts joint runs, keeps their rows in the records up to date and stops them when the process ends."""

    def __init__(self, app: App, turns: Turns | None = None) -> None:
        self._app = app
        self._turns = turns or Turns()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, run: Run, caller: Caller, connection_id: str, plan: Plan) -> None:
        """Execute a joint run in the background; its mode is that of its tables, None where each is to choose."""
        joint = _Joint(run, caller, connection_id, plan)
        task = self._tasks[run.id] = asyncio.create_task(self._execute(joint), name=run.id)
        task.add_done_callback(lambda _: self._tasks.pop(run.id, None))

    async def wait(self, run_id: str, seconds: float | None = None) -> bool:
        """Wait until a joint run of this process has ended, or so long; False if it is not of this process."""
        task = self._tasks.get(run_id)
        if task is not None:
            await asyncio.wait([task], timeout=seconds)
        return task is not None

    async def close(self) -> None:
        """Stop every joint run; the runs of their tables are for their keeper to stop."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _execute(self, joint: _Joint) -> None:
        try:
            await self._change(joint, status=RunStatus.RUNNING, heartbeat_at=datetime.now(UTC))
            await self._sync(joint)
            await self._end(joint)
        except asyncio.CancelledError:
            with suppress(TsunamiError):
                await self._change(joint, status=RunStatus.INTERRUPTED, message=_STOPPED, **_counts(joint))
            raise
        except TsunamiError as error:
            await self._fail(joint, error)
        except Exception as error:  # the outermost handler of a run: whatever happens, its row says so
            log.debug("joint run %s crashed", joint.run.id, exc_info=True)
            await self._fail(joint, plugin_crashed(error))

    async def _sync(self, joint: _Joint) -> None:
        planning = asyncio.ensure_future(joint.plan())
        await self._watch(joint, {planning})
        if joint.cancelled:
            return
        joint.tables = [_Table(planned) for planned in planning.result()]
        await self._watch(joint, {asyncio.create_task(self._bring(joint, table)) for table in joint.tables})

    async def _watch(self, joint: _Joint, tasks: set[asyncio.Future[Any]]) -> None:
        """Beat until the tasks have ended; a cancelled joint run gives up those that have not begun."""
        pending = tasks
        try:
            while pending:
                _, pending = await asyncio.wait(pending, timeout=_BEAT_SECONDS)
                await self._beat(joint)
                if joint.cancelled and not any(table.active for table in joint.tables):
                    break
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _bring(self, joint: _Joint, table: _Table) -> None:
        async with self._turns.take(joint.run.tenant, joint.connection_id):
            table.active = not joint.cancelled
            if not table.active:
                return
            try:
                table.view = await sync_to_bronze(
                    self._app,
                    joint.caller,
                    joint.connection_id,
                    table.planned.name,
                    sync_mode=joint.run.mode,
                    on_progress=table.take_in,
                )
            except TsunamiError as error:
                table.problem = error.problem()
            finally:
                table.active = False

    async def _beat(self, joint: _Joint) -> None:
        with suppress(TsunamiError):  # the next beat may get through, well before the run is believed lost
            seen = await self._change(joint, heartbeat_at=datetime.now(UTC), **_counts(joint))
            if seen.cancel_requested or seen.status.is_final:
                joint.cancelled = True
                await self._cancel_tables(joint)

    async def _cancel_tables(self, joint: _Joint) -> None:
        for table in joint.having("queued", "running"):
            if table.view is not None:
                await self._app.records.request_cancel(joint.run.tenant, table.view.run_id)
                self._app.runs.cancel(table.view.run_id)

    async def _end(self, joint: _Joint) -> None:
        done = f"{len(joint.having('succeeded'))} of {len(joint.tables)} tables were brought up to date"
        unfinished = [table for table in joint.tables if table.status != "succeeded"]
        if joint.cancelled:
            message = f"The sync was cancelled; {done}."
            await self._change(joint, status=RunStatus.CANCELLED, message=message, **_counts(joint))
        elif unfinished:
            await self._fail(joint, _failed(done, unfinished))
        else:
            await self._change(joint, status=RunStatus.SUCCEEDED, message=f"{done}.", **_counts(joint))

    async def _fail(self, joint: _Joint, error: TsunamiError) -> None:
        if "schedule" in joint.run.details:
            log.warning("run %s of a schedule failed: %s", joint.run.id, error.message)
        problem = error.problem().model_dump(mode="json")
        with suppress(TsunamiError):  # once the records can be written again, the run is marked as interrupted
            await self._change(joint, status=RunStatus.FAILED, problem=problem, message=error.message, **_counts(joint))

    async def _change(self, joint: _Joint, **changes: Any) -> Run:
        changed = await self._app.records.change_run(joint.run.tenant, joint.run.id, **changes)
        self._app.events.tell(Event("run", joint.run.tenant, joint.run.id))
        return changed


def _failed(done: str, tables: Sequence[_Table]) -> TsunamiError:
    names = ", ".join(table.planned.name for table in tables[:5])
    more = f" and {len(tables) - 5} more" if len(tables) > 5 else ""
    return PermanentError(
        f"{done}, but not {names}{more}",
        code="tables_failed",
        fix="look at the runs of these tables for the reason, then sync them again",
    )


def _counts(joint: _Joint) -> Mapping[str, Any]:
    views = [table.view for table in joint.tables if table.view is not None]
    totals = [table.rows_total for table in joint.tables]
    return {
        "rows_total": None if None in totals else sum(total for total in totals if total is not None) or None,
        "rows_read": sum(view.rows_read for view in views),
        "rows_written": sum(view.rows for view in views),
        "rows_rescued": sum(view.rows_rescued for view in views),
        "bytes_read": sum(view.bytes_read for view in views),
        "details": {
            **joint.run.details,
            "tables": [table.told() for table in joint.tables],
            "notes": [table.note for table in joint.having("failed", "cancelled", "interrupted")],
        },
    }
