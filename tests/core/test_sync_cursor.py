"""The high-water mark survives JSON exactly."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicetsunami.sdk import ConfigError
from servicetsunami.sync import cursor

MARKS = st.one_of(
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.floats(allow_nan=False),
)


@given(MARKS)
def test_a_mark_read_back_from_json_equals_the_mark_written(mark: object) -> None:
    stored = json.loads(json.dumps(cursor.encode("c", mark)))

    assert cursor.decode(stored, "c") == mark


def test_a_mark_in_another_zone_is_the_same_moment_in_utc() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    stored = cursor.encode("c", moment)

    assert stored["value"] == "2026-03-01T06:30:00.123456+00:00"
    assert cursor.decode(stored, "c") == moment


def test_a_mark_of_another_column_counts_for_nothing() -> None:
    stored = cursor.encode("updated_at", date(2026, 1, 1))

    assert cursor.decode(stored, "id") is None


def test_the_highest_value_of_a_batch_ignores_nulls() -> None:
    batch = pa.record_batch({"n": pa.array([Decimal("1.50"), None, Decimal("9.25")], pa.decimal128(6, 2))})

    assert cursor.highest(batch.column("n")) == Decimal("9.25")


def test_a_batch_of_nulls_has_no_mark_and_keeps_the_one_before() -> None:
    batch = pa.record_batch({"n": pa.nulls(3, pa.int64())})

    assert cursor.later(7, cursor.highest(batch.column("n"))) == 7


def test_a_cursor_that_cannot_be_a_mark_is_refused_by_name() -> None:
    with pytest.raises(ConfigError) as refused:
        cursor.encode("c", [1])

    assert refused.value.code == "cursor_type"
