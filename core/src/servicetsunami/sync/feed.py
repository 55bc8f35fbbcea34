"""A sync by the source's own log of changes: a full one first, then inserts, updates and deletes as they happened.

The log's position is taken before the first row is read, so that what happens meanwhile is told by the feed. Each
later sync applies the changes in one commit, with the position reached; only then does the source learn that it may
forget them. A run that dies between the two is healed by the next one, which tells the source again.
"""

from __future__ import annotations

from servicetsunami.sdk import Commit, ConfigError, Json, TsunamiError
from servicetsunami.sync.abilities import feed_of
from servicetsunami.sync.applying import applier
from servicetsunami.sync.failpoints import reach
from servicetsunami.sync.full import FEED_LOST, FullSync
from servicetsunami.sync.job import SyncOutcome
from servicetsunami.sync.keyless import no_key
from servicetsunami.sync.loading import Loader
from servicetsunami.sync.part import PartWriter
from servicetsunami.sync.task import Task


class FeedSync:
    """Keeps a table equal to its stream by the stream's changes."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def run(self, before: Commit) -> SyncOutcome:
        """Apply what changed; fill the table first where nothing can be gone on from."""
        self._check()
        feed = before.state.get("feed") if self._task.knows(before) else None
        if feed is None:
            return self._begin(before)
        try:
            return self._apply(before, feed)
        except TsunamiError as error:
            if error.code != FEED_LOST:
                raise
            self._task.note(_LOST_NOTE)
            return self._begin(before)

    def _check(self) -> None:
        task = self._task
        if not task.key:
            raise no_key(task.stream)
        if "apply" not in task.sink.write_modes:
            raise ConfigError(
                f"the sink '{task.sink.name}' cannot apply changes",
                code="sink_cannot_apply",
                field="sync_mode",
                fix="sync incrementally or in full",
            )

    def _begin(self, before: Commit) -> SyncOutcome:
        outcome = FullSync(self._task, with_feed=True).run(before)
        if "feed" in before.state and self._task.load().deletes == "soft":
            self._task.note(_MARKED_LOST_NOTE)
        self._acknowledge(outcome.state["feed"])
        return self._task.outcome(outcome.seq, outcome.state)

    def _apply(self, before: Commit, feed: Json) -> SyncOutcome:
        task = self._task
        task.progress.restart()
        task.shape_for(before, anew=False)
        # The run before may have died between its commit and this.
        self._acknowledge(feed)
        writer = applier(task, feed)
        writer.follow(before)
        loader = Loader(task, lambda part: self._state(part, feed), commits=lambda part: _moved(part, feed))
        loader.load([writer])
        if writer.seq == before.seq:
            return task.outcome(before.seq, before.state)
        state = self._state(writer, feed)
        self._acknowledge(state["feed"])
        return task.outcome(writer.seq, state)

    def _state(self, part: PartWriter, feed: Json) -> Json:
        return self._task.state({"feed": part.source_state or feed, **self._task.landed()})

    def _acknowledge(self, feed: Json) -> None:
        """Let the source forget what is committed; failing that is no failure, since the next sync says it again."""
        task = self._task
        reach("before_ack")
        try:
            with task.opened() as source:
                log = feed_of(source)
                log.ack(feed)
                task.details["lag_bytes"] = log.lag_bytes([task.stream])
        except TsunamiError as error:
            if error.code == FEED_LOST:
                raise
            task.note(f"The source was not told that its log may be forgotten ({error.code}); the next sync tells it.")
        reach("after_ack")


def _moved(part: PartWriter, feed: Json) -> bool:
    """Tell whether the log went on, be it without changes: the source may then forget what lies before."""
    return part.source_state not in ({}, feed)


def release_feed(task: Task) -> None:
    """Remove what holds the source's log for a stream that is not synced by its changes any more."""
    try:
        with task.opened() as source:
            feed_of(source).release([task.stream])
    except TsunamiError as error:
        task.note(f"The source may still keep its log for this table: it could not be told to stop ({error.code}).")
    else:
        task.note("The table is not synced by its changes any more, so the source's log is released.")


_LOST_NOTE = (
    "The source's log does not reach back to the last sync any more, so the table was filled anew from a full read."
)
_MARKED_LOST_NOTE = "Rows that the source had deleted, and that were kept with `_deleted_at`, are not in the new table."
