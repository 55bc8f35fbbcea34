"""One sync, from stream to table.

A full sync loads a generation aside, split by split, and swaps it in when all of it is there. An incremental sync
reads from the high-water mark of the last one, inclusively, and commits once at its end: merged by key, or appended
where there is no key. Either way readers of the table see all of a sync or nothing of it, and the sink's own commits
are what says how far the syncs came.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import (
    Commit,
    Json,
    Load,
    Read,
    Sink,
    Source,
    Split,
    Splittable,
    TransientError,
    TsunamiError,
    WriteMode,
)
from servicetsunami.sync import cursor
from servicetsunami.sync.job import Progress, SyncJob, SyncOutcome
from servicetsunami.sync.lineage import Lineage
from servicetsunami.sync.loading import Loader
from servicetsunami.sync.part import Part, PartWriter
from servicetsunami.sync.reading import OpenSource

_SPLITS_PER_READER = 4
_GENERATIONS = 2


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
        self._job = job
        self._open_source = open_source
        self._sink = sink
        self._progress = progress
        self._cancel = cancel
        self._lineage = Lineage(job.run_id, now())

    def run(self) -> SyncOutcome:
        """Bring the table up to date; raises what stopped it, having left the table as it was."""
        self._progress.rows_total = self._job.stream.rows
        before = self._sink.committed(self._load())
        since = self._since(before)
        if self._job.mode == "full" or since is None:
            return self._full(before)
        return self._incremental(before, since)

    def _since(self, before: Commit) -> Any:
        column = self._job.stream.cursor
        if column is None or before.state.get("identity", "") != self._job.identity:
            return None
        return cursor.decode(before.state.get("cursor", {}), column)

    def _full(self, before: Commit) -> SyncOutcome:
        for attempt in range(1, _GENERATIONS + 1):
            generation = f"{self._job.run_id}_{attempt}"
            try:
                return self._load_generation(generation, before)
            except TransientError:
                if attempt == _GENERATIONS:
                    raise
        raise AssertionError("the last generation returns or raises")

    def _load_generation(self, generation: str, before: Commit) -> SyncOutcome:
        self._progress.restart()
        try:
            with self._planned_splits() as splits:
                writers = [self._writer(self._generation_part(generation, split)) for split in splits]
                Loader(self._job, self._open_source, self._cancel).load(writers, {"done": True})
            return self._swap_in(generation, writers, before)
        except BaseException:
            with suppress(TsunamiError):  # what stopped the load is the error to tell
                self._sink.discard(self._job.table, generation)
            raise

    def _swap_in(self, generation: str, writers: Sequence[PartWriter], before: Commit) -> SyncOutcome:
        mark = None
        for writer in writers:
            mark = cursor.later(mark, writer.mark)
        seq, state = before.seq + 1, self._state(mark)
        schema = next((writer.schema for writer in writers if writer.seq), writers[0].schema)
        self._sink.replace(replace(self._load(generation), schema=schema), seq, state)
        return self._outcome(seq, state)

    def _incremental(self, before: Commit, since: Any) -> SyncOutcome:
        mode: WriteMode = "merge" if self._job.stream.key else "append"
        load = replace(self._load(), mode=mode)
        writer = self._writer(Part(load, Read(self._job.stream, since=since), commits_at_checkpoints=False))
        Loader(self._job, self._open_source, self._cancel).load([writer], self._run_state())
        mark = cursor.later(since, writer.mark)
        notes = () if self._job.stream.key else (_NO_KEY,)
        return self._outcome(max(writer.seq, before.seq), self._state(mark), notes)

    def _writer(self, part: Part) -> PartWriter:
        return PartWriter(self._sink, part, self._lineage, self._progress)

    def _generation_part(self, generation: str, split: Split | None) -> Part:
        app = f"{self._job.app}/{split.id}" if split else self._job.app
        load = replace(self._load(generation), app=app)
        return Part(load, Read(self._job.stream, split=split), commits_at_checkpoints=True)

    @contextmanager
    def _planned_splits(self) -> Iterator[Sequence[Split | None]]:
        """Yield the splits while the instance that planned them stays open; [None] for the whole stream."""
        source = self._open_source()
        try:
            yield self._plan(source) or [None]
        finally:
            source.close()

    def _plan(self, source: Source[Any]) -> Sequence[Split]:
        if self._job.parallel < 2 or not isinstance(source, Splittable):
            return ()
        return source.splits(Read(self._job.stream), self._job.parallel * _SPLITS_PER_READER)

    def _load(self, generation: str | None = None) -> Load:
        stream = self._job.stream
        return Load(
            self._job.table,
            self._lineage.schema(stream.schema or pa.schema([])),
            app=self._job.app,
            key=stream.key,
            evolve=self._job.evolve,
            generation=generation,
            comment=stream.description,
        )

    def _state(self, mark: Any) -> Json:
        column = self._job.stream.cursor
        state = self._run_state()
        if column and mark is not None:
            state["cursor"] = cursor.encode(column, mark)
        return state

    def _run_state(self) -> Json:
        return {"run": self._job.run_id, "identity": self._job.identity}

    def _outcome(self, seq: int, state: Json, notes: tuple[str, ...] = ()) -> SyncOutcome:
        progress = self._progress
        return SyncOutcome(progress.rows_written, progress.rows_rescued, seq, state, notes)


_NO_KEY = (
    "The stream has no key, so rows are appended: a row changed at the source comes again as a new row, and rows at "
    "the boundary of two syncs may come twice; one without a cursor value comes with a full sync only. Name a key in "
    "the connection's stream settings to merge instead."
)
