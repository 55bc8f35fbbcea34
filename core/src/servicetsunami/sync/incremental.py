"""An incremental sync: what has a cursor value at or after the last mark is merged, or appended without a key.

It is committed once, at its end, with the next mark, so that readers see all of it or nothing.
"""

from __future__ import annotations

from typing import Any

from servicetsunami.sdk import Commit, Json
from servicetsunami.sync import cursor
from servicetsunami.sync.job import SyncOutcome
from servicetsunami.sync.loading import Loader
from servicetsunami.sync.part import Part, PartWriter
from servicetsunami.sync.task import Task


class IncrementalSync:
    """Brings what changed since the last sync."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def since(self, before: Commit) -> Any:
        """Return the mark to read from; None where only a full sync can tell what is missing."""
        task, column, state = self._task, self._task.stream.cursor, before.state
        if column is None or not task.knows(before) or "cursor" not in state:
            return None
        if not task.key and "ties" not in state:
            return None
        if self._changed_kind(state["cursor"], column):
            task.note(_OTHER_CURSOR.format(column=column))
            return None
        return cursor.decode(state["cursor"], column)

    def run(self, before: Commit, since: Any) -> SyncOutcome:
        """Read from `since` on and commit."""
        task = self._task
        task.progress.restart()
        task.shape_for(before, anew=False)
        load = task.load(mode="merge" if task.key else "append")
        part = Part(load, task.read(since=since), commits_at_checkpoints=False, ties=before.state.get("ties"))
        writer = PartWriter(task, part)
        writer.follow(before)
        Loader(task, lambda part: self._state(part, since)).load([writer])
        if not task.key:
            task.note(_NO_KEY)
        if writer.seq == before.seq:
            return task.outcome(before.seq, before.state)
        return task.outcome(writer.seq, self._state(writer, since))

    def _state(self, part: PartWriter, since: Any) -> Json:
        task = self._task
        return task.state({**task.marked(part.reach.mark(since, task.lag), part.boundary), **task.landed()})

    def _changed_kind(self, mark: Json, column: str) -> bool:
        schema = self._task.stream.schema
        if schema is None or mark.get("column") != column:
            return False
        return cursor.kind_of(schema.field(column).type) != str(mark["kind"])


_OTHER_CURSOR = (
    "The column '{column}' changed its type at the source, so its last value says nothing of how far the table came: "
    "it was synced in full."
)
_NO_KEY = (
    "The stream has no key, so rows are appended: a row changed at the source comes again as a new row; one without a "
    "cursor value comes with a full sync only. Name a key in the connection's stream settings to merge instead."
)
