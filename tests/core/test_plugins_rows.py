"""Rows of any form become Arrow batches, and no cell is lost or changed on the way."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicetsunami.sdk import RESCUED, DataError
from servicetsunami.sdk.rows import to_batches

CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**20), max_value=10**20),
    st.binary(max_size=4),
    st.datetimes(timezones=st.just(UTC)),
    st.lists(st.integers(0, 3), max_size=2),
)
TARGETS = [
    pa.int64(),
    pa.int16(),
    pa.float64(),
    pa.bool_(),
    pa.string(),
    pa.decimal128(12, 2),
    pa.timestamp("us", "UTC"),
]


def one(rows: Any, schema: pa.Schema | None = None) -> pa.RecordBatch:
    (batch,) = to_batches(rows, schema)
    return batch


@given(st.lists(CELLS, min_size=1, max_size=12), st.sampled_from(TARGETS))
def test_every_cell_fits_its_column_or_is_rescued(values: list[Any], target: pa.DataType) -> None:
    schema = pa.schema([("v", target)])

    batch = one([{"v": value} for value in values], schema)

    kept = batch.column("v").to_pylist()
    texts = batch.column(RESCUED).to_pylist() if RESCUED in batch.schema.names else [None] * len(values)
    assert batch.column("v").type == target
    for value, cell, text in zip(values, kept, texts, strict=True):
        assert (cell is not None or text is not None) == (value is not None)
        assert text is None or (cell is None and list(json.loads(text)) == ["v"])


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1), st.sampled_from([pa.int8(), pa.int32(), pa.int64()]))
def test_whole_numbers_are_kept_exactly_or_rescued(values: list[int], target: pa.DataType) -> None:
    batch = one([{"v": value} for value in values], pa.schema([("v", target)]))

    texts = batch.column(RESCUED).to_pylist() if RESCUED in batch.schema.names else [None] * len(values)
    back = [
        int(json.loads(text)["v"]) if text else cell
        for cell, text in zip(batch.column("v").to_pylist(), texts, strict=True)
    ]
    assert back == values


@given(st.lists(st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False)), min_size=1))
def test_numbers_without_a_schema_lose_nothing(values: list[float]) -> None:
    batch = one([{"v": value} for value in values])

    back = batch.column("v").to_pylist()
    assert all(type(v)(b) == v for v, b in zip(values, back, strict=True))


@given(st.lists(st.dictionaries(st.sampled_from("abc"), CELLS, min_size=1), min_size=1))
def test_rows_without_a_schema_keep_every_cell(rows: list[dict[str, Any]]) -> None:
    batch = one(rows)

    back = batch.to_pylist()
    assert [{k for k, v in row.items() if v is not None} for row in rows] == [
        {k for k, v in row.items() if v is not None} for row in back
    ]


def test_a_batch_of_the_declared_schema_is_passed_on_untouched() -> None:
    batch = pa.record_batch({"a": [1, 2]})

    got = one(batch, batch.schema)

    assert got is batch


@pytest.mark.parametrize(
    "form", [lambda t: t, lambda t: t.to_batches()[0], lambda t: t.to_reader(), lambda t: t.to_pylist()]
)
def test_every_form_of_rows_gives_the_same_batch(form: Any) -> None:
    table = pa.table({"id": [1, 2], "name": ["a", None]})

    got = one(form(table), table.schema)

    assert got.to_pylist() == table.to_pylist()


@pytest.mark.parametrize(
    ("given_", "target"),
    [
        (pa.array([1.5, 2.0]), pa.int64()),
        (pa.array([2, 1]), pa.bool_()),
        (pa.array([0.123, 0.12]), pa.decimal128(10, 2)),
        (pa.array([datetime(2024, 1, 1, 5), datetime(2024, 1, 1)]), pa.date32()),
        (pa.array([0.1, 0.5]), pa.float32()),
        (pa.array(["x", "7"]), pa.int64()),
        (pa.array([300, 1]), pa.int8()),
        (pa.array([b"\xff", b"a"]), pa.string()),
        (pa.array([[1.5], [1.0]]), pa.list_(pa.int64())),
    ],
)
def test_a_cast_that_would_change_a_value_rescues_it(given_: pa.Array, target: pa.DataType) -> None:
    batch = one(pa.record_batch({"v": given_}), pa.schema([("v", target)]))

    assert batch.column("v").null_count == 1
    assert [text is None for text in batch.column(RESCUED).to_pylist()] == [False, True]


def test_numbers_written_as_text_fit() -> None:
    schema = pa.schema([("n", pa.int64()), ("at", pa.timestamp("us", "UTC")), ("price", pa.decimal128(10, 2))])

    batch = one([{"n": "7", "at": "2024-01-01T00:00:00Z", "price": "1.50"}], schema)

    assert batch.to_pylist() == [{"n": 7, "at": datetime(2024, 1, 1, tzinfo=UTC), "price": Decimal("1.50")}]


def test_unknown_columns_are_kept_and_missing_ones_are_null() -> None:
    batch = one([{"a": 1, "new": True}], pa.schema([("a", pa.int64()), ("b", pa.string())]))

    assert batch.to_pylist() == [{"a": 1, "b": None, "new": True}]


def test_a_rescue_the_batch_brings_is_merged_with_ours() -> None:
    rows = [{"a": "x", RESCUED: '{"old": "1"}'}, {"a": 1, RESCUED: None}, {"a": "y", RESCUED: "no json"}]

    batch = one(rows, pa.schema([("a", pa.int64())]))

    texts = batch.column(RESCUED).to_pylist()
    assert [json.loads(text) if text else None for text in texts] == [
        {"old": "1", "a": "x"},
        None,
        {RESCUED: "no json", "a": "y"},
    ]


def test_a_null_in_a_column_declared_without_nulls_makes_it_nullable() -> None:
    batch = one([{"a": "x"}], pa.schema([pa.field("a", pa.int64(), nullable=False)]))

    assert batch.schema.field("a").nullable


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2.5], pa.float64()),
        ([2**60 + 1, 0.5], pa.string()),
        ([2**70, 1], pa.decimal128(38, 0)),
        ([10**40, 1], pa.string()),
        ([True, 1], pa.string()),
        ([Decimal("1.50"), Decimal(10)], pa.decimal128(4, 2)),
        ([{"k": 1}, {"k": 2}], pa.struct([("k", pa.int64())])),
        ([{"k": 1}, {"j": "x"}], pa.string()),
        ([[1], [2, 3]], pa.list_(pa.int64())),
        ([[1], ["x"]], pa.string()),
        ([date(2024, 1, 1)], pa.date32()),
        ([datetime(2024, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        ([datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1)], pa.string()),
        ([Decimal("NaN"), Decimal(1)], pa.string()),
    ],
)
def test_a_type_is_found_that_holds_every_value(values: list[Any], expected: pa.DataType) -> None:
    batch = one([{"v": value} for value in values])

    assert batch.column("v").type == expected


def test_a_column_without_any_value_waits_for_its_type() -> None:
    batch = one([{"a": 1, "b": None}])

    assert batch.schema.names == ["a"]


@pytest.mark.parametrize("rows", [3, [3], [{1: 2}], [{}], {"a": 1}])
def test_what_is_not_rows_is_refused(rows: Any) -> None:
    with pytest.raises(DataError) as refused:
        list(to_batches(rows, None))

    assert refused.value.code == "not_rows"


def test_a_batch_with_one_name_twice_is_refused() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])

    with pytest.raises(DataError, match="two columns called 'a'"):
        list(to_batches(batch, None))
