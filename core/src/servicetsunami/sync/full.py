"""A full sync: a generation is loaded aside, part by part, and swapped in when all of it is there.

A run that died leaves its generation. The next one goes on with it where that gives what one read would have given:
where the source says that a read can go on later (`Stream.resumable`) and rows have a key, so that what changed between
the two moments of reading can be laid over it, from the change feed or, in the first load of a table that is synced by
its cursor, from the earliest moment. Everything else is begun anew, and what was left is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from servicetsunami.sdk import Commit, Json, Read, Split, TransientError, TsunamiError
from servicetsunami.sync import cursor
from servicetsunami.sync.applying import apply_onto
from servicetsunami.sync.boundary import Boundary
from servicetsunami.sync.committing import commit_surely
from servicetsunami.sync.generation import Generation, Generations
from servicetsunami.sync.job import SyncOutcome
from servicetsunami.sync.loading import Loader
from servicetsunami.sync.part import Part, PartWriter
from servicetsunami.sync.task import Task

FEED_LOST = "feed_lost"
"""Code of the error by which a source says that its log does not reach back to the position asked for."""
_GENERATIONS = 2


class FullSync:
    """Fills a table anew; `with_feed` also takes the position from which a change feed goes on."""

    def __init__(self, task: Task, *, with_feed: bool = False) -> None:
        self._task = task
        self._with_feed = with_feed
        self._generations = Generations(task)

    def run(self, before: Commit) -> SyncOutcome:
        """Load and swap in; a generation that cannot be completed is begun once more."""
        self._task.shape_for(before, anew=True)
        for attempt in range(1, _GENERATIONS + 1):
            try:
                return self._load(before)
            except TsunamiError as error:
                if attempt == _GENERATIONS or not (_is_passing(error) or error.code == FEED_LOST):
                    raise
        raise AssertionError("the last generation returns or raises")

    def _load(self, before: Commit) -> SyncOutcome:
        task = self._task
        task.progress.restart()
        with task.opened() as source:  # it may hold a snapshot for the parts
            generation = self._generations.begin(source, before.seq, with_feed=self._with_feed)
            try:
                writers = [PartWriter(task, self._part(generation, split)) for split in generation.parts]
                self._tell_resumed(generation, writers)
                Loader(task, lambda part: {**part.progress_state(), "done": True}).load(writers)
                more = self._completed(generation, writers)
            except BaseException as error:
                self._give_up(generation, error)
                raise
        return self._swap_in(generation, writers, before, more)

    def _part(self, generation: Generation, split: Split | None) -> Part:
        app = f"/{split.id}" if split else ""
        load = self._task.load(generation=generation.name, app=app)
        return Part(load, self._task.read(split=split), commits_at_checkpoints=True)

    def _tell_resumed(self, generation: Generation, writers: Sequence[PartWriter]) -> None:
        rows = sum(writer.resumed_rows for writer in writers)
        if generation.is_resumed and rows:
            self._task.progress.rows_written += rows
            self._task.note(f"{rows:,} rows that run {generation.run} had loaded before it ended were gone on with.")

    def _give_up(self, generation: Generation, error: BaseException) -> None:
        if not generation.resumable:
            self._generations.give_up(generation)
        elif isinstance(error, TsunamiError) and error.code == FEED_LOST:
            self._generations.abandon(generation)

    def _completed(self, generation: Generation, writers: Sequence[PartWriter]) -> Json:
        """Bring a generation of several moments to one moment; returns what its state says of where to go on."""
        task = self._task
        written = [
            self._merge(generation, task.read(split=split), app=f"#written/{split.id}") for split in generation.written
        ]
        if generation.feed is not None:
            feed = generation.feed
            if generation.is_resumed:
                feed = apply_onto(task, feed, app="#changes", generation=generation.name)
            return {"feed": feed}
        if not generation.is_resumed:
            return self._marked(writers)
        task.note(_DELETED_MEANWHILE)
        return self._marked_at_last(writers, written) if written else self._caught_up(generation, writers)

    def _marked_at_last(self, writers: Sequence[PartWriter], written: Sequence[PartWriter]) -> Json:
        """Mark a table that is as the source was when `written` was read, whatever the source said before."""
        reach = reduce(lambda left, right: left.joined(right), [writer.reach for writer in written])
        reach = reduce(lambda left, right: left.saw(right.reach.greatest), writers, reach)
        return self._task.marked(reach.mark(None, self._task.lag), None)

    def _caught_up(self, generation: Generation, writers: Sequence[PartWriter]) -> Json:
        """Merge what changed since the earliest moment; without one the next sync is a full one."""
        task = self._task
        mark = _earliest([writer.reach.mark(None, task.lag) for writer in writers])
        if mark is None:
            return {}
        caught_up = self._merge(generation, task.read(since=mark), app="#catch-up")
        return task.marked(caught_up.reach.mark(mark, task.lag), None)

    def _merge(self, generation: Generation, read: Read, *, app: str) -> PartWriter:
        task = self._task
        load = task.load(generation=generation.name, mode="merge", app=app)
        writer = PartWriter(task, Part(load, read, commits_at_checkpoints=False))
        Loader(task, _plain_state(task)).load([writer])
        return writer

    def _marked(self, writers: Sequence[PartWriter]) -> Json:
        reach = reduce(lambda left, right: left.joined(right), [writer.reach for writer in writers])
        mark = reach.mark(None, self._task.lag)
        return self._task.marked(mark, _joined_boundary(writers))

    def _swap_in(
        self, generation: Generation, writers: Sequence[PartWriter], before: Commit, more: Json
    ) -> SyncOutcome:
        task = self._task
        schema = next((writer.schema for writer in writers if writer.seq), writers[0].schema)
        load = replace(task.load(generation=generation.name), schema=schema)
        last = Commit(before.seq + 1, task.state({**more, **task.landed()}))
        commit_surely(task.sink, task.load(), last, lambda seq, state: task.sink.replace(load, seq, state), "replace")
        self._generations.forget(generation)
        return task.outcome(last.seq, last.state)


def _is_passing(error: TsunamiError) -> bool:
    return isinstance(error, TransientError) and error.code != "superseded"


def _plain_state(task: Task) -> Callable[[PartWriter], Json]:
    return lambda _: task.state()


def _joined_boundary(writers: Sequence[PartWriter]) -> Boundary | None:
    boundaries = [writer.boundary for writer in writers if writer.boundary is not None]
    return reduce(lambda left, right: left.joined(right), boundaries) if boundaries else None


def _earliest(marks: Sequence[Any]) -> Any:
    return (
        None
        if None in marks
        else reduce(lambda left, right: right if cursor.later(left, right) == left else left, marks)
    )


_DELETED_MEANWHILE = (
    "The rows were read at several moments, since an earlier run ended before its end. What was added or changed "
    "between them is in the table; a row that was deleted between them may still be, until the next full sync."
)
