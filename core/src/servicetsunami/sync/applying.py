"""Applying what a change feed tells to a table, or to a generation that is to become one."""

from __future__ import annotations

from servicetsunami.sdk import Json
from servicetsunami.sync.loading import Loader
from servicetsunami.sync.part import Part, PartWriter
from servicetsunami.sync.reading import FeedRead
from servicetsunami.sync.task import Task


def applier(task: Task, feed: Json, *, app: str = "", generation: str | None = None) -> PartWriter:
    """Return the writer of the changes after `feed`."""
    load = task.load(generation=generation, mode="apply", app=app)
    return PartWriter(task, Part(load, FeedRead(task.stream, feed), commits_at_checkpoints=False))


def apply_onto(task: Task, feed: Json, *, app: str, generation: str) -> Json:
    """Apply the changes after `feed` to a generation; returns the position reached."""
    writer = applier(task, feed, app=app, generation=generation)
    Loader(task, lambda part: task.state({"feed": part.source_state or feed})).load([writer])
    return writer.source_state or feed
