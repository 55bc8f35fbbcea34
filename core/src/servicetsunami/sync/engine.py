"""One sync, from stream to table: chooses how, and begins again where another writer came first.

`full.py` loads a generation aside and swaps it in; `incremental.py` reads from the mark of the last sync; `feed.py`
applies the source's own changes. Either way readers of the table see all of a sync or nothing of it, and the sink's
own commits are what says how far the syncs came.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from servicetsunami.sdk import Cancelled, Commit, Sink, TransientError
from servicetsunami.sync.feed import FeedSync, release_feed
from servicetsunami.sync.full import FullSync
from servicetsunami.sync.generation import Generations
from servicetsunami.sync.incremental import IncrementalSync
from servicetsunami.sync.job import Progress, SyncJob, SyncOutcome
from servicetsunami.sync.lineage import Lineage
from servicetsunami.sync.reading import OpenSource
from servicetsunami.sync.task import Task


class Engine:
    """Executes one `SyncJob`; synchronous, to be run in a thread."""

    def __init__(
        self,
        job: SyncJob,
        open_source: OpenSource,
        sink: Sink[Any],
        progress: Progress,
        cancel: threading.Event,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        lineage = Lineage(job.run_id, now())
        self._task = Task(job, open_source, sink, progress=progress, cancel=cancel, lineage=lineage)

    def run(self) -> SyncOutcome:
        """Bring the table up to date; raises what stopped it, having left the table as it was."""
        job = self._task.job
        self._task.progress.rows_total = job.stream.rows
        for attempt in range(1, job.attempts + 1):
            try:
                return self._sync()
            except TransientError as error:
                if error.code != "superseded" or attempt == job.attempts:
                    raise
            if self._task.cancel.wait(job.backoff_seconds * 2 ** (attempt - 1)):
                break
        raise Cancelled("the sync was cancelled; nothing of it is visible")

    def _sync(self) -> SyncOutcome:
        task = self._task
        task.stop_if_cancelled()
        before = task.sink.committed(task.load())
        self._compare_with_record(before)
        generations = Generations(task)
        generations.clear(before.seq)
        if task.job.mode == "changes":
            return FeedSync(task).run(before)
        if "feed" in before.state or generations.hold_feed():
            release_feed(task)
        incremental = IncrementalSync(task)
        since = None if task.job.mode == "full" else incremental.since(before)
        return FullSync(task).run(before) if since is None else incremental.run(before, since)

    def _compare_with_record(self, before: Commit) -> None:
        """Tell where record and table differ, as after one of them was restored; the table is believed."""
        recorded, state = self._task.job.recorded_seq, before.state
        if before.seq > (recorded or 0) and state.get("writer") != self._task.writer and "run" in state:
            self._task.note(f"Run {state['run']} had committed, though its end was not recorded; it counts.")
        if recorded is not None and before.seq < recorded:
            self._task.note(_OLDER_TABLE)


_OLDER_TABLE = (
    "The table is older than the record of its syncs, as after a restore. The sync went on from what the table holds."
)
