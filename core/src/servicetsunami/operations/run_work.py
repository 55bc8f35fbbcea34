"""What a run carries out, apart from its keeping: a sync, or something else that writes one table."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from servicetsunami.operations.events import Event
from servicetsunami.records import Connection, Run
from servicetsunami.sync import Progress, SyncJob, SyncOutcome
from servicetsunami.sync.failpoints import reach

if TYPE_CHECKING:
    from servicetsunami.operations.app import App


class Work(Protocol):
    """One piece of work on one table."""

    def carry_out(self, app: App, run: Run, progress: Progress, cancel: threading.Event) -> SyncOutcome:
        """Do it, in a thread; raises what stopped it, having left the table as it was."""

    async def note_down(self, app: App, run: Run, outcome: SyncOutcome) -> None:
        """Note in the records what came of it. May be called again after it failed."""


@dataclass(frozen=True)
class SyncWork:
    """Syncs one stream of a connection."""

    job: SyncJob
    connection: Connection
    secrets: Mapping[str, str] = field(repr=False)

    def carry_out(self, app: App, run: Run, progress: Progress, cancel: threading.Event) -> SyncOutcome:
        """Bring the table up to date with its source."""
        from servicetsunami.sync.engine import Engine

        sink = app.open_sink(run.tenant, cancel)
        try:
            source = self.connection, self.secrets, cancel
            return Engine(self.job, lambda: app.open_source(*source), sink, progress, cancel).run()
        finally:
            sink.close()

    async def note_down(self, app: App, run: Run, outcome: SyncOutcome) -> None:
        """Note how far the stream came."""
        records, job = app.records, self.job
        reach("before_record")
        await records.record_sync(run.tenant, job.table, rows=outcome.rows_written, run_id=run.id)
        await records.save_sync_point(
            run.tenant, self.connection.id, job.stream.id, app=job.app, seq=outcome.seq, state=outcome.state
        )
        reach("after_record")
        is_first = job.recorded_seq is None
        app.events.tell(Event("table", run.tenant, str(job.table), listed=is_first))
