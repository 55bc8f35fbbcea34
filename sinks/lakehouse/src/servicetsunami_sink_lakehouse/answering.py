"""Runs one statement within its limits and streams what comes of it."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from servicetsunami.sdk import Cancelled, ConfigError, PermanentError, QueryLimits, TsunamiError
from servicetsunami_sink_lakehouse.failures import query_failed
from servicetsunami_sink_lakehouse.results import databricks_batch, databricks_schema

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_BATCH_ROWS = 4_096
_POLL_SECONDS = 0.05


class Watch:
    """Interrupts a connection when time is up or somebody cancels; `reason` is then the error to raise."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, limits: QueryLimits, cancelled: Callable[[], bool]
    ) -> None:
        self.reason: TsunamiError | None = None
        self._connection = connection
        self._limits = limits
        self._cancelled = cancelled
        self._deadline = time.monotonic() + limits.timeout_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="query limits", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop watching; the connection may be closed afterwards."""
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        """Raise the reason to stop, if there is one."""
        if self.reason is None:
            self.reason = self._found()
        if self.reason is not None:
            raise self.reason

    def _watch(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            self.reason = self.reason or self._found()
            if self.reason is not None:
                self._connection.interrupt()  # again and again: an interrupt between two statements is lost

    def _found(self) -> TsunamiError | None:
        if self._cancelled():
            return Cancelled("the query was cancelled")
        if time.monotonic() >= self._deadline:
            return PermanentError(
                f"the query took longer than {self._limits.timeout_seconds:g} seconds and was stopped",
                code="query_timeout",
                fix="read fewer rows with WHERE, or aggregate before joining",
            )
        return None


def stream(
    connection: duckdb.DuckDBPyConnection, statement: str, limits: QueryLimits, cancelled: Callable[[], bool]
) -> pa.RecordBatchReader:
    """Run a SELECT and return its rows, at most as many as the limits allow; owns the connection."""
    import pyarrow as pa

    watch = Watch(connection, limits, cancelled)
    try:
        with _explained(watch):
            refuse_other_statements(connection, statement)
            rows: pa.RecordBatchReader = connection.sql(statement).to_arrow_reader(_BATCH_ROWS)
            schema = databricks_schema(rows.schema)
    except BaseException:
        _close(connection, watch)
        raise
    return pa.RecordBatchReader.from_batches(schema, _Answer(connection, watch, rows, schema, limits))


def refuse_other_statements(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Raise `ConfigError` unless this is one SELECT: the second lock behind the guard."""
    import duckdb

    found = connection.extract_statements(statement)
    if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
        raise ConfigError("only one SELECT may run here", code="sql_refused")


class _Answer:
    """The batches of a result; lets go of the connection at its end, on an error, or when nobody holds it any more."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        watch: Watch,
        rows: pa.RecordBatchReader,
        schema: pa.Schema,
        limits: QueryLimits,
    ) -> None:
        self._watch = watch
        self._rows = rows
        self._schema = schema
        self._rows_left = limits.rows
        self._bytes_left = limits.size_bytes
        self._release = weakref.finalize(self, _close, connection, watch)
        self._release.atexit = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        try:
            return self._next()
        except BaseException:
            self._release()
            raise

    def _next(self) -> pa.RecordBatch:
        if self._rows_left <= 0 or self._bytes_left <= 0:
            raise StopIteration
        with _explained(self._watch):
            self._watch.check()
            batch = next(self._rows)
        shown = databricks_batch(batch.slice(0, self._rows_left), self._schema)
        self._rows_left -= shown.num_rows
        self._bytes_left -= shown.nbytes
        return shown


@contextmanager
def _explained(watch: Watch) -> Iterator[None]:
    import duckdb
    import pyarrow as pa

    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise watch.reason or query_failed(error) from error


def _close(connection: duckdb.DuckDBPyConnection, watch: Watch) -> None:
    watch.end()
    connection.close()
