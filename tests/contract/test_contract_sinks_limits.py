"""The sink contract's checks of query limits pass a good warehouse; each broken one fails the check it must."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from servicetsunami.sdk import (
    Cancelled,
    Commit,
    Config,
    Json,
    Load,
    NotFound,
    PermanentError,
    QueryLimits,
    Sink,
    TableDetails,
    TableName,
    TableSummary,
    Transaction,
    Warehouse,
)
from servicetsunami.sdk.sql import GuardedQuery
from servicetsunami.sdk.testing import SinkProbe, failing_checks
from servicetsunami.sdk.testing.sinklimits import SinkLimits


class ShelfConfig(Config):
    """A shelf has no settings."""


class Appending(Transaction):
    def __init__(self, shelf: Shelf, load: Load) -> None:
        self.shelf = shelf
        self.load = load

    def stage(self, batch: pa.RecordBatch) -> None:
        self.shelf.rows = pa.Table.from_batches([batch])

    def commit(self, seq: int, state: Json) -> None:
        self.shelf.last = Commit(seq, state)

    def abort(self) -> None:
        pass


class Shelf(Sink[ShelfConfig], Warehouse):
    """One table, as much as the checks of limits ask for."""

    name = "shelf"
    rows: pa.Table
    last = Commit()

    def check(self) -> None:
        pass

    def catalog(self) -> str:
        return f"tenant_{self.ctx.tenant}"

    def begin(self, load: Load) -> Transaction:
        return Appending(self, load)

    def committed(self, load: Load) -> Commit:
        return self.last if load.generation is None else Commit()

    def replace(self, load: Load, seq: int, state: Json) -> None:
        raise PermanentError(f"{load.table} cannot be replaced by {seq}: {state}")

    def discard(self, table: TableName, generation: str) -> None:
        raise PermanentError(f"{table} has no {generation}")

    def tables(self, layer: str | None = None) -> Sequence[TableSummary]:
        raise PermanentError(f"the tables of {layer} are not listed")

    def describe(self, table: TableName) -> TableDetails:
        raise NotFound(f"there is no {table}")

    def query(self, query: GuardedQuery, limits: QueryLimits) -> pa.RecordBatchReader:
        deadline = time.monotonic() + limits.timeout_seconds
        while "CROSS JOIN" in query.sql.upper():
            if self.ctx.cancelled():
                return self.cancelled()
            if time.monotonic() > deadline:
                return self.late()
        found = self.within(limits)
        return pa.RecordBatchReader.from_batches(found.schema, found.to_batches())

    def within(self, limits: QueryLimits) -> pa.Table:
        return self.rows.slice(0, min(limits.rows, limits.size_bytes // 8))

    def late(self) -> pa.RecordBatchReader:
        raise PermanentError("too late", code="query_timeout")

    def cancelled(self) -> pa.RecordBatchReader:
        raise Cancelled("nobody waits any more")


class TestShelfLimits(SinkLimits):
    sink: ClassVar[type[Sink[Any]]] = Shelf

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        return {}


class IgnoresTheRows(Shelf):
    def within(self, limits: QueryLimits) -> pa.Table:
        return super().within(replace(limits, rows=limits.rows and 10**9))


class IgnoresTheSize(Shelf):
    def within(self, limits: QueryLimits) -> pa.Table:
        return super().within(replace(limits, size_bytes=10**9))


class RefusesWhatIsLarge(Shelf):
    def within(self, limits: QueryLimits) -> pa.Table:
        if self.rows.nbytes > limits.size_bytes:
            raise PermanentError("too much")
        return super().within(limits)


class AnswersInPartWhenLate(Shelf):
    def late(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(pa.schema([]), [])


class CallsEveryTimeoutAFailure(Shelf):
    def late(self) -> pa.RecordBatchReader:
        raise PermanentError("the query failed", code="query_failed")


class AnswersInPartWhenCancelled(Shelf):
    def cancelled(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(pa.schema([]), [])


MUTANTS: dict[type[Shelf], str] = {
    IgnoresTheRows: "test_a_query_stops_at_its_rows",
    IgnoresTheSize: "test_a_query_stops_at_its_size",
    RefusesWhatIsLarge: "test_a_query_stops_at_its_size",
    AnswersInPartWhenLate: "test_a_query_stops_when_its_time_is_up",
    CallsEveryTimeoutAFailure: "test_a_query_stops_when_its_time_is_up",
    AnswersInPartWhenCancelled: "test_a_query_stops_when_it_is_cancelled",
}


@pytest.mark.parametrize("broken", MUTANTS, ids=lambda cls: cls.__name__)
def test_a_broken_warehouse_fails_the_check_that_names_its_fault(broken: type[Shelf], tmp_path: Path) -> None:
    failed = failing_checks(SinkLimits(), SinkProbe(broken, {}, tmp_path))

    assert failed == {MUTANTS[broken]}
