"""Writing one part of a stream: stage its rows, commit them with how far the read came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import Commit, Json, Load, Read, Transaction
from servicetsunami.sync import cursor
from servicetsunami.sync.boundary import Boundary, Ties
from servicetsunami.sync.committing import commit_surely, superseded
from servicetsunami.sync.failpoints import reach
from servicetsunami.sync.lineage import count_rescued
from servicetsunami.sync.reach import Reach
from servicetsunami.sync.reading import FeedRead
from servicetsunami.sync.task import Task

_FUTURE = timedelta(days=1)
COMMIT_ROWS = 500_000
"""A checkpoint is committed once so many rows wait for it: each commit costs a file and some milliseconds."""


@dataclass(frozen=True)
class Part:
    """What to read and where to load it."""

    load: Load
    """`load.schema` is taken from the first batch where the stream declares none."""
    read: Read | FeedRead
    commits_at_checkpoints: bool
    """True where nobody sees the rows yet, so that a part may be committed bit by bit."""
    ties: Json | None = None
    """Rows at the mark that are in the table already, where no key merges them."""


@dataclass
class _Counts:
    rows: int = 0
    rescued: int = 0
    size_bytes: int = 0


class PartWriter:
    """Loads one part; `restart()` throws away what was not committed and says where to read on."""

    source_state: Json
    reach: Reach

    def __init__(self, task: Task, part: Part) -> None:
        self._task = task
        self._part = part
        self._transaction: Transaction | None = None
        self._pending = _Counts()
        self._boundary_kept = self._new_boundary()
        self.schema = part.load.schema
        self._before = task.sink.committed(part.load)
        self._recover()
        self.resumed_rows: int = self._committed.state.get("rows", 0) if part.commits_at_checkpoints else 0
        """How many rows an earlier run had committed."""

    def restart(self) -> Read | FeedRead:
        """Forget uncommitted rows and return the read that goes on after the committed ones."""
        self.abort()
        pending = self._pending
        self._task.progress.take_back(rows=pending.rows, rescued=pending.rescued, size_bytes=pending.size_bytes)
        self._pending = _Counts()
        self._recover()
        if isinstance(self._part.read, FeedRead):
            return self._part.read
        return replace(self._part.read, state=self.source_state)

    def follow(self, before: Commit) -> None:
        """Refuse to go on from `before` if somebody has committed since: what is read after it is there already."""
        if self._before.seq != before.seq:
            raise superseded(self._part.load)

    def stage(self, batch: pa.RecordBatch) -> None:
        """Take a batch in."""
        rows = self._task.shape.apply(batch)
        if self._cursor and isinstance(self._part.read, Read):
            rows = self._look_at(batch.column(self._cursor), rows)
        if not rows.num_rows:
            return
        rows = self._task.lineage.add(rows)
        reach("before_stage")
        self._open(rows.schema).stage(rows)
        reach("after_stage")
        self._count(rows)

    def checkpoint(self, state: Json) -> None:
        """Note that the source can go on after the rows so far; commit them if that is worth it."""
        self.source_state = state
        if self._part.commits_at_checkpoints and self._pending.rows >= COMMIT_ROWS:
            self._commit(self.progress_state())

    def settle(self, value: Any) -> None:
        """Note how far the cursor is settled."""
        self.reach = self.reach.told(value)

    def finish(self, state: Json, *, always: bool = False) -> None:
        """Commit the last rows together with `state`; without rows only if `always`."""
        if always:
            self._open(self._part.load.schema)
        self._commit(state)
        self.abort()

    def progress_state(self) -> Json:
        """Return how far the part came, as it is committed with its rows."""
        rows = self._committed.state.get("rows", 0) + self._pending.rows
        state: Json = {"source": self.source_state, "rows": rows}
        if self._cursor:
            state["reach"] = self.reach.to_json(self._cursor)
        return self._task.state(state)

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
    def is_done(self) -> bool:
        """True if all of the part is committed, be it that nobody heard so."""
        if self._part.commits_at_checkpoints:
            return bool(self._committed.state.get("done"))
        return self._committed.seq > self._before.seq

    @property
    def boundary(self) -> Boundary | None:
        """The rows at the end of the cursor, where no key merges them."""
        return self._boundary

    @property
    def _cursor(self) -> str | None:
        return self._part.read.stream.cursor

    def _new_boundary(self) -> Boundary | None:
        return Boundary(self._cursor) if self._cursor and not self._part.read.stream.key else None

    def _recover(self) -> None:
        """Take up what the sink has: it may hold more than was heard of, by this writer or by another one."""
        self._committed = self._task.sink.committed(self._part.load)
        state = self._committed.state
        if not self._part.commits_at_checkpoints and self.is_done and state.get("writer") != self._task.writer:
            raise superseded(self._part.load)
        bit_by_bit = self._part.commits_at_checkpoints
        # A read that is committed as a whole begins anew: the state at the end of the last one would skip new rows.
        self.source_state = state.get("source", {}) if bit_by_bit else {}
        self.reach = Reach.from_json(state.get("reach", {}) if bit_by_bit else {}, self._cursor or "")
        self._boundary = self._boundary_kept.copy() if self._boundary_kept else None
        self._ties = Ties(self._part.ties, self._cursor) if self._part.ties and self._cursor else None

    def _look_at(self, values: pa.Array, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Note how far the rows reach, and return those that the table does not have yet."""
        # Without a key rows after the mark would be appended at every sync, so there any moment can mark.
        latest = self._task.lineage.synced_at + _FUTURE if self._part.read.stream.key else None
        self.reach = self.reach.saw(cursor.highest(values, latest))
        if self._boundary is not None:
            self._boundary.take(values, rows)
        return self._ties.without(values, rows) if self._ties else rows

    def _open(self, schema: pa.Schema) -> Transaction:
        if self._transaction is None:
            self.schema = schema
            self._transaction = self._task.sink.begin(replace(self._part.load, schema=schema))
        return self._transaction

    def _count(self, rows: pa.RecordBatch) -> None:
        counts = _Counts(rows.num_rows, count_rescued(rows), rows.nbytes)
        self._pending.rows += counts.rows
        self._pending.rescued += counts.rescued
        self._pending.size_bytes += counts.size_bytes
        self._task.progress.add(rows=counts.rows, rescued=counts.rescued, size_bytes=counts.size_bytes)

    def _commit(self, state: Json) -> None:
        if self._transaction is not None:
            last = Commit(self._committed.seq + 1, state)
            commit_surely(self._task.sink, self._part.load, last, self._transaction.commit)
            self._committed = last
            self._task.progress.rows_written += self._pending.rows
            self._boundary_kept = self._boundary.copy() if self._boundary else None
        self._pending = _Counts()
