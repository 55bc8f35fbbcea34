"""A query of a model can use up the memory of its own process, and none of the server's."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest
from answers_lab import ANN, fill, numbers, opened

from servicetsunami.operations.app import App
from servicetsunami.operations.tables import describe_table, query_sql
from servicetsunami.sdk import DataError, TsunamiError
from servicetsunami.sync.workers.warehouse import LARGEST_ROW, small_batches

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with opened(tmp_path, worker_memory_mb="1024") as app:
        yield app


@pytest.mark.parametrize(
    "sql",
    [
        "select repeat('x', 200000000)",
        "select sequence(1, 10000000)",
        "select sequence(1, 1000000000)",
        "select repeat(repeat('x', 1000000), 10000)",
    ],
)
async def test_a_cell_of_any_size_is_refused_and_the_server_does_not_grow(app: App, sql: str) -> None:
    await query_sql(app, ANN, "select 1")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(TsunamiError) as refused:
        await query_sql(app, ANN, sql)

    assert refused.value.code in ("row_too_large", "query_too_large", "query_failed")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert (await query_sql(app, ANN, "select 1")).result == 1


async def test_pages_previews_and_errors_are_those_of_the_warehouse(app: App) -> None:
    fill(app, "counts", numbers(1_000))

    first = await query_sql(app, ANN, "select n from bronze.counts order by n")
    second = await query_sql(app, ANN, "select n from bronze.counts order by n", cursor=first.next_cursor)
    seen = await describe_table(app, ANN, "bronze.counts", preview=True)
    with pytest.raises(TsunamiError) as refused:
        await query_sql(app, ANN, "select no_such_column from bronze.counts")

    assert [first.rows[0], second.rows[0]] == [(0,), (200,)]
    assert seen.profiled_rows == 1_000
    assert refused.value.code not in ("internal", "query_too_large")


def test_rows_are_cut_into_batches_and_one_that_is_too_large_is_an_error() -> None:
    wide = pa.RecordBatch.from_pydict({"text": ["x" * (LARGEST_ROW // 2)] * 20})
    giant = pa.RecordBatch.from_pydict({"text": ["x" * (LARGEST_ROW + 1)]})

    batches = list(small_batches(iter([wide])))

    assert sum(batch.num_rows for batch in batches) == 20
    assert max(batch.nbytes for batch in batches) <= 5 * LARGEST_ROW
    with pytest.raises(DataError) as refused:
        list(small_batches(iter([giant])))
    assert refused.value.code == "row_too_large"
