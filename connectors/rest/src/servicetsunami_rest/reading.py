"""One read: which requests it takes, and what is left of their rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from servicetsunami.sdk import RESCUED, Checkpoint, DataError, Item, Json, NotFound, Read
from servicetsunami_rest.config import StreamSettings, filled
from servicetsunami_rest.places import Places, segment
from servicetsunami_rest.session import Session
from servicetsunami_rest.shaping import Shape
from servicetsunami_rest.since import written
from servicetsunami_rest.walking import EXPIRED, Step, Walk


class Reading:
    """Reads one stream of the settings."""

    def __init__(self, session: Session, stream: StreamSettings, read: Read, *, at_once: int) -> None:
        self._session = session
        self._stream = stream
        self._read = read
        self._at_once = 1 if read.limit is not None else at_once
        self._shape = Shape(stream, self._columns)
        self._left = read.limit

    def items(self) -> Iterator[Item]:
        """Yield batches, and checkpoints where a later read could go on."""
        for step in self._resumed():
            for batch in self._shape.batches(step.page):
                yield self._kept(batch)
            if self._left == 0:
                return
            if step.then and self._stream.key and not self._session.hides(json.dumps(step.then)):
                yield Checkpoint({"then": step.then, "since": repr(self._read.since)})

    def children(self, parent: StreamSettings) -> Iterator[Item]:
        """Yield the batches of every record of `parent`, with the fields that lead there as columns."""
        fields = self._stream.parent.fields if self._stream.parent else {}
        for values in Places(self._session, parent, fields, self._at_once):
            path = filled(self._stream.path, {name: segment(value, name) for name, value in values.items()})
            for step in self._steps(path, {}):
                for batch in self._shape.batches(step.page):
                    yield self._kept(self._placed(batch, values))
                if self._left == 0:
                    return

    @property
    def _columns(self) -> tuple[str, ...] | None:
        """Name what to read: the columns asked for, and the cursor by which rows are chosen."""
        asked, since = self._read.columns, self._read.since
        return asked if asked is None or since is None else (*asked, self._stream.cursor or "")

    @property
    def _params(self) -> Mapping[str, Any]:
        stream, since = self._stream, self._read.since
        asked = {} if since is None or not stream.cursor_param else {stream.cursor_param: written(since, stream)}
        return {**stream.params, **asked}

    def _resumed(self) -> Iterator[Step]:
        """Go on where the state says; where the server has forgotten that place, begin anew: rows merge by key."""
        state = self._read.state
        place = state.get("then", {}) if state.get("since") == repr(self._read.since) else {}
        steps = self._steps(self._stream.path, place)
        try:
            first = next(steps, None)
        except EXPIRED:
            if not place:
                raise
            yield from self._steps(self._stream.path, {})
            return
        if first is not None:
            yield first
            yield from steps

    def _steps(self, path: str, place: Json) -> Iterator[Step]:
        walk = Walk(self._session, self._stream, path, self._params, self._at_once, place)
        try:
            yield from walk.steps()
        except NotFound as error:
            raise _not_there(error, self._stream) from error

    def _placed(self, batch: pa.RecordBatch, values: Mapping[str, Any]) -> pa.RecordBatch:
        """Add the parent's fields where the record does not have them itself."""
        asked = self._read.columns
        for name, value in values.items():
            if name in batch.schema.names and pa.types.is_null(batch.schema.field(name).type):
                batch = batch.drop_columns([name])
            if name not in batch.schema.names and (asked is None or name in asked):
                batch = batch.append_column(name, pa.repeat(value, batch.num_rows))
        return batch

    def _kept(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self._read.since is not None:
            batch = _since(batch, self._stream.cursor or "", self._read.since)
        if self._read.columns is not None:
            wanted = {*self._read.columns, RESCUED}
            batch = batch.select([name for name in batch.schema.names if name in wanted])
        if self._left is not None:
            batch = batch.slice(0, self._left)
            self._left -= batch.num_rows
        return _typed(batch)


def _typed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Leave out columns that have no type yet; where no other is left they are text."""
    typed = [field.name for field in batch.schema if not pa.types.is_null(field.type)]
    if typed:
        return batch.select(typed)
    return batch.cast(pa.schema([pa.field(name, pa.string()) for name in batch.schema.names]))


def _since(batch: pa.RecordBatch, cursor: str, since: Any) -> pa.RecordBatch:
    """Keep the rows at or after a cursor value, and those whose cursor could not be read."""
    if cursor not in batch.schema.names:
        return batch.slice(0, 0)
    column = batch.column(cursor)
    try:
        chosen = pc.greater_equal(column, pa.scalar(since).cast(column.type))
    except pa.ArrowException as error:
        raise DataError(
            f"the cursor '{cursor}' is {column.type} now, and was of another type when it was last read",
            code="cursor_changed",
            field="types",
            fix=f"give '{cursor}' a type hint, or sync the stream in full",
        ) from error
    chosen = pc.fill_null(chosen, False)
    if RESCUED in batch.schema.names:
        chosen = pc.or_(chosen, pc.and_(column.is_null(), batch.column(RESCUED).is_valid()))
    return batch.filter(chosen)


def _not_there(error: NotFound, stream: StreamSettings) -> NotFound:
    return NotFound(
        f"stream '{stream.name}': {error.message}",
        code=error.code,
        field="streams",
        fix=f"check base_url and the stream's path '{stream.path}' against the API's documentation",
    )
