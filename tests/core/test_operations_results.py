"""Answers hold exactly what was asked, within their bounds."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from servicetsunami.operations.results import answer, cell, row_limit
from servicetsunami.sdk import ConfigError


def _reader(**columns: object) -> pa.RecordBatchReader:
    return pa.table(columns).to_reader()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (2**53, 2**53),
        (2**53 + 1, "9007199254740993"),
        (-(2**63), "-9223372036854775808"),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (Decimal("1E+2"), "100"),
        (Decimal("12345678901234567890.10"), "12345678901234567890.10"),
        (date(2026, 2, 28), "2026-02-28"),
        (datetime(2026, 2, 28, 1, 2, 3, tzinfo=UTC), "2026-02-28T01:02:03Z"),
        (datetime(2026, 2, 28, 1, 2, 3, 4), "2026-02-28T01:02:03.000004"),
        (b"\x00\xff", "00ff"),
        ([1, Decimal("0.10")], '[1, "0.10"]'),
        ({"a": None, "b": "ü"}, '{"a": null, "b": "ü"}'),
    ],
)
def test_a_cell_is_shown_as_json_holds_it_exactly(value: object, shown: object) -> None:
    assert cell(value) == shown


def test_more_rows_than_asked_for_are_cut_and_said_to_be() -> None:
    result = answer(_reader(n=list(range(10))), 3, time.perf_counter())

    assert result.rows == ((0,), (1,), (2,))
    assert result.truncated
    assert "more rows" in (result.notice or "")


def test_wide_rows_are_cut_by_characters() -> None:
    result = answer(_reader(t=["x" * 10_000] * 10), None, time.perf_counter())

    assert result.row_count == 3
    assert result.truncated


def test_a_single_cell_is_given_as_the_result_too() -> None:
    result = answer(_reader(n=pa.array([Decimal("3.50")], pa.decimal128(4, 2))), None, time.perf_counter())

    assert result.result == "3.50"
    assert result.columns[0].type == "decimal(4,2)"


def test_no_rows_still_have_columns() -> None:
    result = answer(_reader(n=pa.array([], pa.int64())), None, time.perf_counter())

    assert result.rows == ()
    assert [(column.name, column.type) for column in result.columns] == [("n", "bigint")]


@pytest.mark.parametrize("limit", [0, -1, 1_001])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(ConfigError) as refused:
        row_limit(limit)

    assert refused.value.code == "limit_out_of_range"
