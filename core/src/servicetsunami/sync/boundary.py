"""The rows at the boundary of two syncs, where no key tells which of them came before.

An incremental read begins at its mark inclusively, so it gives the rows at and after the mark again. Without a key they
cannot be merged; instead the digests of those that are in the table already are kept with the mark, and what comes
again is dropped, as often as it came before.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from servicetsunami.sdk import Json
from servicetsunami.sync import cursor

MOST_ROWS = 20_000
"""So many rows may lie at a boundary; their digests are part of each of the table's commits."""
_MOST_BYTES = 64 * 1024 * 1024
_DIGEST_BYTES = 16


class Boundary:
    """Keeps the rows of a read with the greatest cursor values, to tell later which lie at and after the mark."""

    def __init__(self, column: str, most: int = MOST_ROWS) -> None:
        self._column = column
        self._most = most
        self._kept: list[tuple[pa.Array, pa.RecordBatch]] = []
        self._forgotten: Any = None

    def take(self, values: pa.Array, rows: pa.RecordBatch) -> None:
        """Look at rows and the values of their cursor."""
        wanted = pc.is_valid(values)
        if self._forgotten is not None:
            wanted = pc.and_(wanted, pc.greater(values, pa.scalar(self._forgotten, values.type)))
        self._kept.append((values.filter(wanted), rows.filter(wanted)))
        if self._size_rows > 2 * self._most or self._size_bytes > 2 * _MOST_BYTES:
            self._shrink()

    def copy(self) -> Boundary:
        """Return a boundary that goes on from here, so that this one can be gone back to."""
        twin = Boundary(self._column, self._most)
        twin._kept, twin._forgotten = list(self._kept), self._forgotten
        return twin

    def joined(self, other: Boundary) -> Boundary:
        """Return the boundary of two parts of one read."""
        both = self.copy()
        both._forgotten = cursor.later(self._forgotten, other._forgotten)
        for values, rows in other._kept:
            both.take(values, rows)
        return both

    def from_mark(self, mark: Any) -> Json | None:
        """Return what is known of the rows at and after `mark`, as JSON; None if they are too many."""
        if self._forgotten is not None and mark <= self._forgotten:
            return None
        found: list[bytes] = []
        upto = mark
        for values, rows in self._kept:
            wanted = pc.greater_equal(values, pa.scalar(mark, values.type))
            found += _digests(rows.filter(wanted))
            upto = cursor.later(upto, pc.max(values.filter(wanted)).as_py())
        if len(found) > self._most:
            return None
        return {"upto": cursor.encode(self._column, upto), "rows": b64encode(b"".join(sorted(found))).decode("ascii")}

    @property
    def _size_rows(self) -> int:
        return sum(len(values) for values, _ in self._kept)

    @property
    def _size_bytes(self) -> int:
        return sum(rows.nbytes for _, rows in self._kept)

    def _shrink(self) -> None:
        """Forget the rows with the least values; those of one value are forgotten together."""
        values = pa.concat_arrays([values for values, _ in self._kept])
        fits = max(1, int(len(values) * min(1.0, _MOST_BYTES / max(1, self._size_bytes))))
        count = min(self._most, fits, len(values) - 1)
        order = pc.sort_indices(values, sort_keys=[("", "descending")])
        self._forgotten = values[order[count].as_py()].as_py()
        kept, self._kept = self._kept, []
        for some, rows in kept:
            wanted = pc.greater(some, pa.scalar(self._forgotten, some.type))
            # A copy: a slice would keep the whole batch in memory.
            self._kept.append((some.filter(wanted), rows.filter(wanted)))


class Ties:
    """The rows that a sync has appended at and after its mark: the next one drops them once each."""

    def __init__(self, known: Json, column: str) -> None:
        self._upto = cursor.decode(known["upto"], column)
        joined = b64decode(known["rows"])
        self._left = Counter(joined[at : at + _DIGEST_BYTES] for at in range(0, len(joined), _DIGEST_BYTES))

    def without(self, values: pa.Array, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows that are not in the table yet."""
        if not self._left.total():
            return rows
        near = pc.fill_null(pc.less_equal(values, pa.scalar(self._upto, values.type)), False)
        digests = iter(_digests(rows.filter(near)))
        keep = [not is_near or self._is_new(next(digests)) for is_near in near.to_pylist()]
        return rows if all(keep) else rows.filter(pa.array(keep))

    def _is_new(self, digest: bytes) -> bool:
        if self._left[digest] == 0:
            return True
        self._left[digest] -= 1
        return False


def _digests(rows: pa.RecordBatch) -> Sequence[bytes]:
    """Digest each row by its cells that are not null, so that a column added later changes none."""
    names = sorted(rows.schema.names)
    columns = [rows.column(name).to_pylist() for name in names]
    found = []
    for cells in zip(*columns, strict=True):
        text = repr([(name, cell) for name, cell in zip(names, cells, strict=True) if cell is not None])
        found.append(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest())
    return found
