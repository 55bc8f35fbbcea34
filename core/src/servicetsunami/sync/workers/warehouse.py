"""A warehouse whose queries run in a worker: a query may use as much memory as a worker, and none of the host's."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from servicetsunami.sdk import DataError, PermanentError, QueryLimits, TsunamiError
from servicetsunami.sync.workers import wire
from servicetsunami.sync.workers.frames import Frame, Kind
from servicetsunami.sync.workers.opening import Spec
from servicetsunami.sync.workers.pool import WorkerPool

if TYPE_CHECKING:
    from servicetsunami.sdk.sql import GuardedQuery

LARGEST_ROW = 4 * 1024 * 1024
"""How many bytes a row may have; more would not fit any answer."""
_LARGEST_BATCH = 4 * LARGEST_ROW
_OUT_OF_MEMORY = frozenset({"worker_died", "worker_memory", "plugin_crashed"})


class WorkerWarehouse:
    """Asks the warehouse in a worker, one query at a time; whoever opened it closes it."""

    def __init__(self, pool: WorkerPool, spec: Spec, cancel: threading.Event) -> None:
        self._pool = pool
        self._spec = spec
        self._worker = pool.open(spec, cancel)
        self._frames: Generator[Frame, None, None] | None = None

    def query(
        self, query: GuardedQuery, catalog: str, layers: Sequence[str], limits: QueryLimits
    ) -> pa.RecordBatchReader:
        """Run a guarded query and stream its rows; the worker guards it once more.

        Raises what the warehouse raises, `DataError` (`row_too_large`), and `PermanentError` (`query_too_large`).
        """
        self._stop()
        args = {
            "sql": query.sql,
            "catalog": catalog,
            "layers": list(layers),
            "limits": wire.encode_limits(limits),
        }
        self._frames = self._worker.items("ask", args, frozenset({Kind.SCHEMA, Kind.BATCH}))
        bodies = _bodies(self._frames)
        return pa.RecordBatchReader.from_batches(wire.decode_schema(next(bodies)), bodies)

    def close(self) -> None:
        """End the query that is not finished, and give the worker back."""
        self._stop()
        self._worker.close_source()
        self._pool.give_back(self._spec, self._worker)

    def _stop(self) -> None:
        if self._frames is not None:
            self._frames.close()
            self._frames = None


def small_batches(reader: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows in batches that the host can take in; raises `DataError` for a row that it cannot."""
    for batch in reader:
        yield from _parts(batch)


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if batch.num_rows > 1 and batch.nbytes > _LARGEST_BATCH:
        middle = batch.num_rows // 2
        yield from _parts(batch.slice(0, middle))
        yield from _parts(batch.slice(middle))
    elif batch.num_rows == 1 and batch.nbytes > LARGEST_ROW:
        raise DataError(
            f"a row of the answer has more than {LARGEST_ROW >> 20} MiB, so it is not shown",
            code="row_too_large",
            fix="select fewer or shorter columns, or cut them with left() or slice()",
        )
    else:
        yield batch


def _bodies(frames: Generator[Frame, None, None]) -> Iterator[pa.RecordBatch]:
    try:
        for frame in frames:
            yield frame.body
    except TsunamiError as error:
        if error.code not in _OUT_OF_MEMORY:
            raise
        raise PermanentError(
            "the query needed more memory than one may use, so it was ended",
            code="query_too_large",
            fix="filter or aggregate earlier, and select fewer and shorter columns",
        ) from error
