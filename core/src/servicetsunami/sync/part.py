"""Writing one part of a stream: stage its rows, commit them with how far the read came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import Json, Load, Read, Sink, Transaction
from servicetsunami.sync import cursor
from servicetsunami.sync.job import Progress
from servicetsunami.sync.lineage import Lineage, count_rescued

_FUTURE = timedelta(days=1)
COMMIT_ROWS = 500_000
"""A checkpoint is committed once so many rows wait for it: each commit costs a file and some milliseconds."""


@dataclass(frozen=True)
class Part:
    """What to read and where to load it."""

    load: Load
    """`load.schema` is taken from the first batch where the stream declares none."""
    read: Read
    commits_at_checkpoints: bool
    """True where nobody sees the rows yet, so that a part may be committed bit by bit."""


@dataclass
class _Counts:
    rows: int = 0
    rescued: int = 0
    size_bytes: int = 0


class PartWriter:
    """Loads one part; `restart()` throws away what was not committed and says where to read on."""

    def __init__(self, sink: Sink[Any], part: Part, lineage: Lineage, progress: Progress) -> None:
        self._sink = sink
        self._part = part
        self._lineage = lineage
        self._progress = progress
        self._committed = sink.committed(part.load)
        self._transaction: Transaction | None = None
        self._pending = _Counts()
        self._source_state = self._resumed_state()
        # Without a key rows after the mark would be appended at every sync, so there any moment can mark.
        self._latest = lineage.synced_at + _FUTURE if part.read.stream.key else None
        self.schema = part.load.schema
        self.mark: Any = self._committed_mark()

    def restart(self) -> Read:
        """Forget uncommitted rows and return the read that goes on after the committed ones."""
        self.abort()
        pending = self._pending
        self._progress.take_back(rows=pending.rows, rescued=pending.rescued, size_bytes=pending.size_bytes)
        self._pending = _Counts()
        self._source_state = self._resumed_state()
        self.mark = self._committed_mark()
        return replace(self._part.read, state=self._source_state)

    def stage(self, batch: pa.RecordBatch) -> None:
        """Take a batch in."""
        if self._cursor and batch.num_rows:
            self.mark = cursor.later(self.mark, cursor.highest(batch, self._cursor, self._latest))
        rows = self._lineage.add(batch)
        self._open(rows.schema).stage(rows)
        self._count(rows)

    def checkpoint(self, state: Json) -> None:
        """Note that the source can go on after the rows so far; commit them if that is worth it."""
        self._source_state = state
        if self._part.commits_at_checkpoints and self._pending.rows >= COMMIT_ROWS:
            self._commit({"source": state, **self._mark_state()})

    def finish(self, state: Json) -> None:
        """Commit the last rows together with `state`."""
        source = {"source": self._source_state} if self._part.commits_at_checkpoints else {}
        self._commit({**source, **self._mark_state(), **state})

    def abort(self) -> None:
        """Throw away what was staged and not committed."""
        if self._transaction is not None:
            self._transaction.abort()
            self._transaction = None

    @property
    def seq(self) -> int:
        """The number of the last commit."""
        return self._committed.seq

    @property
    def _cursor(self) -> str | None:
        return self._part.read.stream.cursor

    def _resumed_state(self) -> Json:
        # A read that is committed as a whole begins anew: the state at the end of the last one would skip new rows.
        state: Json = self._committed.state.get("source", {}) if self._part.commits_at_checkpoints else {}
        return state

    def _committed_mark(self) -> Any:
        if self._cursor is None:
            return None
        return cursor.decode(self._committed.state.get("cursor", {}), self._cursor)

    def _mark_state(self) -> Json:
        if self._cursor is None or self.mark is None:
            return {}
        return {"cursor": cursor.encode(self._cursor, self.mark)}

    def _open(self, schema: pa.Schema) -> Transaction:
        if self._transaction is None:
            self.schema = schema
            self._transaction = self._sink.begin(replace(self._part.load, schema=schema))
        return self._transaction

    def _count(self, rows: pa.RecordBatch) -> None:
        counts = _Counts(rows.num_rows, count_rescued(rows), rows.nbytes)
        self._pending.rows += counts.rows
        self._pending.rescued += counts.rescued
        self._pending.size_bytes += counts.size_bytes
        self._progress.add(rows=counts.rows, rescued=counts.rescued, size_bytes=counts.size_bytes)

    def _commit(self, state: Json) -> None:
        if self._transaction is not None:
            self._transaction.commit(self._committed.seq + 1, state)
            self._progress.rows_written += self._pending.rows
            self._committed = replace(self._committed, seq=self._committed.seq + 1, state=state)
        self._pending = _Counts()
