"""Types that Delta has not: what becomes of their values, compared after a round trip."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Load, TableName

ORDERS = TableName("bronze", "orders")


def make_uuid() -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(range(16)), None], pa.binary(16)))


CASES: list[tuple[str, Any, list[Any], str]] = [
    ("time64", lambda: pa.array([time(12, 34, 56, 789000), None], pa.time64("us")), ["12:34:56.789000"], "STRING"),
    ("time32", lambda: pa.array([time(1, 2, 3), None], pa.time32("s")), ["01:02:03"], "STRING"),
    ("uint64", lambda: pa.array([2**64 - 1, None], pa.uint64()), [Decimal(2**64 - 1)], "DECIMAL(20,0)"),
    ("uint32", lambda: pa.array([2**32 - 1, None], pa.uint32()), [2**32 - 1], "BIGINT"),
    ("uint8", lambda: pa.array([255, None], pa.uint8()), [255], "SMALLINT"),
    (
        "decimal256",
        lambda: pa.array([Decimal("1" * 50 + ".5"), None], pa.decimal256(60, 1)),
        ["1" * 50 + ".5"],
        "STRING",
    ),
    ("duration", lambda: pa.array([timedelta(hours=-1, milliseconds=-1500), None]), ["PT-1H-1.5S"], "STRING"),
    ("interval", lambda: pa.array([pa.MonthDayNano([14, -3, 1]), None]), ["P1Y2M-3DT0.000000001S"], "STRING"),
    ("uuid", make_uuid, ["00010203-0405-0607-0809-0a0b0c0d0e0f"], "STRING"),
    ("dictionary", lambda: pa.array(["x", None]).dictionary_encode(), ["x"], "STRING"),
    ("large text", lambda: pa.array(["x", None], pa.large_string()), ["x"], "STRING"),
    ("text view", lambda: pa.array(["x", None], pa.string_view()), ["x"], "STRING"),
    ("fixed binary", lambda: pa.array([b"ab", None], pa.binary(2)), [b"ab"], "BINARY"),
    ("nulls", lambda: pa.nulls(2), [None], "STRING"),
    ("empty struct", lambda: pa.array([{}, None], pa.struct([])), ["{}"], "STRING"),
    ("seconds", lambda: pa.array([1, None], pa.timestamp("s")), [datetime(1970, 1, 1, 0, 0, 1)], "TIMESTAMP_NTZ"),
    (
        "other zone",
        lambda: pa.array([1_000_000_000, None], pa.timestamp("ns", tz="Europe/Vienna")),
        [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)],
        "TIMESTAMP",
    ),
    (
        "list of times",
        lambda: pa.array([[time(1), None], None], pa.list_(pa.time64("us"))),
        [["01:00:00.000000", None]],
        "ARRAY<STRING>",
    ),
    (
        "struct of unsigned",
        lambda: pa.array([{"n": 5}, None], pa.struct([("n", pa.uint64())])),
        [{"n": Decimal(5)}],
        "STRUCT<n: DECIMAL(20,0)>",
    ),
    ("map", lambda: pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.uint16())), [[("k", 1)]], "MAP<STRING, INT>"),
    ("json", lambda: pa.array(['{"a":1}', None], pa.json_()), ['{"a":1}'], "STRING"),
]


@pytest.mark.parametrize(("make", "values", "described"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_type_delta_lacks_comes_back_with_its_value(
    lakehouse: Any, make: Callable[[], pa.Array], values: list[Any], described: str
) -> None:
    column = make()
    rows = pa.table({"id": pa.array([1, 2], pa.int64()), "value": column})

    lakehouse.load(rows, 1)

    details = lakehouse.sink.describe(ORDERS).columns[1]
    assert lakehouse.rows("SELECT value FROM bronze.orders ORDER BY id") == [(values[0],), (None,)]
    assert details.type == described
    assert details.source_type == str(column.type)


def test_a_slice_of_nested_values_is_lowered_like_the_whole(lakehouse: Any) -> None:
    times = pa.array([[time(hour)] for hour in range(5)], pa.list_(pa.time64("us")))
    rows = pa.table({"id": pa.array(range(5), pa.int64()), "value": times}).slice(2, 2)

    lakehouse.load(rows, 1)

    assert lakehouse.rows() == [(2, ["02:00:00.000000"]), (3, ["03:00:00.000000"])]


def test_a_column_of_nulls_takes_the_type_that_comes_later_in_the_load(lakehouse: Any) -> None:
    first = pa.record_batch({"id": pa.array([1], pa.int64()), "value": pa.nulls(1)})
    later = pa.record_batch({"id": pa.array([2], pa.int64()), "value": pa.array([7], pa.int64())})
    transaction = lakehouse.sink.begin(Load(ORDERS, first.schema, app="app"))

    transaction.stage(first)
    transaction.stage(later)
    transaction.commit(1, {})

    assert lakehouse.rows() == [(1, None), (2, 7)]
    assert lakehouse.sink.describe(ORDERS).columns[1].type == "BIGINT"


def test_nulls_fit_a_column_of_any_type(lakehouse: Any) -> None:
    lakehouse.load(pa.table({"id": pa.array([1], pa.int64())}), 1)

    lakehouse.load(pa.table({"id": pa.nulls(1)}), 2)

    assert lakehouse.rows() == [(None,), (1,)]


def test_comments_and_source_types_are_kept(lakehouse: Any) -> None:
    field = pa.field("id", pa.int64(), nullable=False, metadata={"comment": "the key", "source_type": "serial"})

    lakehouse.load(pa.table({"id": [1]}, schema=pa.schema([field])), 1, comment="All orders.", key=("id",))
    lakehouse.load(pa.table({"id": [2]}), 2)

    details = lakehouse.sink.describe(ORDERS)
    assert details.summary.comment == "All orders."
    assert details.key == ("id",)
    assert (details.columns[0].comment, details.columns[0].source_type) == ("the key", "serial")
