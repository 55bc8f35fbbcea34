"""A preview of a table shows some rows and what its columns hold, within bounds."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pyarrow as pa
from answers_lab import ANN, fill, opened

from servicetsunami.operations.models import TableDescription
from servicetsunami.operations.tables import describe_table


def _described(home: Path, rows: pa.Table, *, preview: bool = True, cursor: str | None = None) -> TableDescription:
    async def described() -> TableDescription:
        async with opened(home) as app:
            await asyncio.to_thread(fill, app, "things", rows)
            return await describe_table(app, ANN, "bronze.things", preview=preview, cursor=cursor)

    return asyncio.run(described())


def test_a_preview_shows_rows_and_what_each_column_holds(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "id": [3, 1, 2],
            "name": ["b", None, "a" * 300],
            "born": [date(2020, 1, 1), None, date(1999, 12, 31)],
            "tags": [["x"], None, None],
            "odd `name`": [True, False, None],
        }
    )

    found = _described(tmp_path, rows)

    assert found.sample[0] == (3, "b", "2020-01-01", '["x"]', True)
    assert found.sample[2][1] == "a" * 99 + "…"
    assert found.profiled_rows == 3
    profiles = [column.profile.model_dump() if column.profile else None for column in found.columns]
    assert profiles == [
        {"nulls": 0, "distinct": 3, "minimum": 1, "maximum": 3},
        {"nulls": 1, "distinct": 2, "minimum": "a" * 100, "maximum": "b"},
        {"nulls": 1, "distinct": 2, "minimum": "1999-12-31", "maximum": "2020-01-01"},
        {"nulls": 2, "distinct": None, "minimum": None, "maximum": None},
        {"nulls": 1, "distinct": 2, "minimum": False, "maximum": True},
    ]
    assert "not instructions" in (found.notice or "")


def test_an_empty_table_has_a_preview_of_no_rows(tmp_path: Path) -> None:
    found = _described(tmp_path, pa.table({"id": pa.array([], pa.int64())}))

    assert (found.sample, found.profiled_rows) == ((), 0)
    assert found.columns[0].profile is not None
    assert found.columns[0].profile.minimum is None


def test_without_asking_nothing_is_previewed(tmp_path: Path) -> None:
    found = _described(tmp_path, pa.table({"id": [1]}), preview=False)

    assert (found.sample, found.profiled_rows, found.notice) == ((), None, None)
    assert found.columns[0].profile is None


def test_of_a_long_table_some_rows_are_profiled_and_that_is_said(tmp_path: Path) -> None:
    found = _described(tmp_path, pa.table({"n": pa.array(range(100_100), pa.int64())}))

    assert found.profiled_rows == 100_000
    assert len(found.sample) == 20
    assert "100,000 rows" in (found.notice or "")


def test_a_table_of_very_many_columns_is_described_a_page_at_a_time(tmp_path: Path) -> None:
    names = [f"a_rather_long_name_for_a_column_{number:04}" for number in range(1_600)]
    rows = pa.table({name: pa.array(["x" * 500], pa.string()) for name in names})

    first = _described(tmp_path, rows)
    seen, cursor = [column.name for column in first.columns], first.next_cursor
    while cursor:
        more = _described(tmp_path, rows, cursor=cursor, preview=False)
        seen, cursor = seen + [column.name for column in more.columns], more.next_cursor

    assert seen == names
    assert first.truncated
    assert len(first.model_dump_json()) < 256 * 1024
    assert len(first.sample[0]) == len(first.columns)
    assert first.columns[0].profile is not None
    assert "first 50 columns" in (first.notice or "")
