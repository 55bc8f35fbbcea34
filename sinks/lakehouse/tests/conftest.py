"""A lakehouse in a temporary folder, and the small steps that tests of it repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Json, Load, QueryLimits, TableName
from servicetsunami.sdk.sql import guard_databricks
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink

ORDERS = TableName("bronze", "orders")
LAYERS = ("bronze", "silver", "gold")


@dataclass(frozen=True)
class Lakehouse:
    """A sink with the steps of a test."""

    sink: LakehouseSink
    ctx: LocalContext

    def load(self, rows: pa.Table, seq: int, state: Json | None = None, **load: Any) -> None:
        """Stage and commit some rows."""
        description = {"app": "app", **load}
        transaction = self.sink.begin(Load(description.pop("table", ORDERS), rows.schema, **description))
        for batch in rows.to_batches():
            transaction.stage(batch)
        transaction.commit(seq, state or {})
        transaction.abort()

    def query(self, sql: str, limits: QueryLimits | None = None) -> pa.Table:
        """Answer a query, through the guard."""
        guarded = guard_databricks(sql, catalog=self.sink.catalog(), layers=LAYERS)
        return self.sink.query(guarded, limits or QueryLimits(1_000)).read_all()

    def rows(self, sql: str = "SELECT * FROM bronze.orders ORDER BY id") -> list[tuple[Any, ...]]:
        """Answer a query with Python tuples."""
        answer = self.query(sql)
        columns: Sequence[list[Any]] = [column.to_pylist() for column in answer.columns]
        return list(zip(*columns, strict=True))


@pytest.fixture
def lakehouse(tmp_path: Path) -> Iterator[Lakehouse]:
    """A lakehouse of tenant `acme` with nothing in it."""
    ctx = LocalContext(data_dir=tmp_path / "data", tenant="acme")
    sink = LakehouseSink(LakehouseConfig(), ctx)
    yield Lakehouse(sink, ctx)
    sink.close()
