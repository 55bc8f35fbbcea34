"""A look-alike of a workspace for a module of tests, and the sink over it with the small steps tests repeat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Load, QueryLimits, TableName
from servicetsunami.sdk.sql import guard_databricks
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_lookalike import Lookalike
from servicetsunami_sink_databricks import DatabricksConfig, DatabricksSink

LAYERS = ("bronze", "silver", "gold")


@pytest.fixture(scope="module")
def lookalike() -> Iterator[Lookalike]:
    with Lookalike() as server:
        yield server


@dataclass(frozen=True)
class Catalog:
    """A sink with the steps of a test."""

    sink: DatabricksSink
    ctx: LocalContext

    def load(self, table: TableName, *batches: pa.RecordBatch, seq: int = 1, **parts: Any) -> None:
        """Stage and commit some batches."""
        transaction = self.sink.begin(Load(table, batches[0].schema, **{"app": "app", **parts}))
        for batch in batches:
            transaction.stage(batch)
        transaction.commit(seq, {"seq": seq})
        transaction.abort()

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Answer a query, through the guard."""
        query = guard_databricks(sql, catalog=self.sink.catalog(), layers=LAYERS)
        found: list[dict[str, Any]] = self.sink.query(query, QueryLimits(1_000)).read_all().to_pylist()
        return found


@pytest.fixture
def settings(lookalike: Lookalike) -> dict[str, Any]:
    return {"host": lookalike.host, "token": lookalike.token, "warehouse_id": lookalike.warehouse_id}


@pytest.fixture
def catalog(settings: dict[str, Any], lookalike: Lookalike, tmp_path: Path) -> Iterator[Catalog]:
    lookalike.faults.clear()
    ctx = LocalContext(data_dir=tmp_path, tenant="acme")
    sink = DatabricksSink(DatabricksConfig.model_validate(settings), ctx)
    yield Catalog(sink, ctx)
    sink.close()
