"""What becomes of the columns of a batch: the table of decisions, one row after the other."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import OP, RESCUED, UNCHANGED, ConfigError, DataError, Evolve, Stream
from servicetsunami.sync.drift import describe
from servicetsunami.sync.shaping import Shape, decode_schema, encode_schema, settings_identity

_ID = pa.field("id", pa.int64())


def test_a_batch_with_nothing_to_change_is_returned_as_it_is() -> None:
    batch = pa.record_batch({"id": [1, 2], "n": [1.5, None]})

    shape = Shape.of(Stream("s", schema=batch.schema), {}, batch.schema)

    assert shape.apply(batch) is batch
    assert shape.drift == ()
    assert shape.columns is None


def test_key_cursor_and_columns_are_named_on_both_sides() -> None:
    schema = pa.schema([("id", pa.int64()), ("at", pa.int64()), ("secret", pa.string())])
    stream = Stream("s", schema=schema, key=("id",), cursor="at")

    shape = Shape.of(stream, {"rename": {"id": "number", "at": "changed"}, "exclude": ["secret"]}, None)

    assert (shape.stream.key, shape.stream.cursor) == (("number",), "changed")
    assert shape.columns == ("id", "at")
    assert shape.landed.names == ["number", "changed"]


@pytest.mark.parametrize("evolve", ["add", "widen"])
def test_a_new_column_is_added_and_told_once(evolve: Evolve) -> None:
    first = shaped({"id": [1], "new": ["x"]}, pa.schema([_ID]), evolve)

    again = shaped({"id": [2], "new": ["y"]}, first.landed, evolve)

    assert first.landed.names == ["id", "new"]
    assert describe(first.drift) == ["Column 'new' is new (string)."]
    assert again.drift == ()


def test_a_column_that_is_gone_stays_and_is_null_and_is_told_once() -> None:
    known = pa.schema([_ID, pa.field("old", pa.string())])

    first = shaped({"id": [1]}, known, "add")
    again = shaped({"id": [2]}, decode_schema(encode_schema(first.landed)), "add")
    back = shaped({"id": [3], "old": ["x"]}, decode_schema(encode_schema(again.landed)), "add")

    assert kinds(first) == [("removed", "old")]
    assert again.drift == ()
    assert kinds(back) == [("added", "old")]
    assert first.landed.names == again.landed.names == back.landed.names == ["id", "old"]


def test_a_missing_column_is_null_in_the_rows() -> None:
    known = pa.schema([_ID, pa.field("old", pa.string())])
    batch = pa.record_batch({"id": [1]})

    landed = Shape.of(Stream("s", schema=batch.schema), {}, known).apply(batch)

    assert landed.to_pylist() == [{"id": 1, "old": None}]


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (pa.int8(), pa.int16()),
        (pa.int32(), pa.int64()),
        (pa.float32(), pa.float64()),
        (pa.decimal128(10, 2), pa.decimal128(12, 4)),
        (pa.list_(pa.int32()), pa.list_(pa.int64())),
        (pa.struct([("a", pa.int32())]), pa.struct([("a", pa.int64())])),
        (pa.map_(pa.string(), pa.int32()), pa.map_(pa.string(), pa.int64())),
    ],
)
def test_a_wider_type_widens_the_table_only_where_it_may(narrow: pa.DataType, wide: pa.DataType) -> None:
    source = Stream("s", schema=pa.schema([("c", wide)]))
    known = pa.schema([("c", narrow)])

    widened, kept = Shape.of(source, {}, known, "widen"), Shape.of(source, {}, known, "add")

    assert widened.landed.field("c").type == wide
    assert kept.landed.field("c").type == narrow
    assert kinds(widened) == kinds(kept) == [("widened", "c")]
    with pytest.raises(ConfigError, match="frozen") as caught:
        Shape.of(source, {}, known, "freeze")
    assert (caught.value.code, caught.value.field) == ("schema_frozen", "streams.s")


def test_values_of_a_wider_type_that_fit_are_cast_and_others_are_rescued() -> None:
    batch = pa.record_batch({"id": pa.array([1, 2**40], pa.int64())})
    shape = Shape.of(Stream("s", schema=batch.schema), {}, pa.schema([("id", pa.int32())]))

    landed = shape.apply(batch)

    assert landed.to_pylist() == [{"id": 1, RESCUED: None}, {"id": None, RESCUED: '{"id": "1099511627776"}'}]
    assert landed.schema.field("id").type == pa.int32()
    assert kinds(shape) == [("widened", "id"), ("rescued", "id")]


def test_a_narrower_type_is_cast_under_every_setting() -> None:
    batch = pa.record_batch({"id": pa.array([1, -1], pa.int16())})

    for evolve in ("add", "widen", "freeze"):
        landed = Shape.of(Stream("s", schema=batch.schema), {}, pa.schema([_ID]), evolve).apply(batch)

        assert landed.schema.equals(pa.schema([_ID]))


def test_a_struct_gets_the_fields_the_source_adds() -> None:
    batch = pa.record_batch({"s": [{"a": 1, "b": "x"}]})
    known = pa.schema([("s", pa.struct([("a", pa.int64()), ("old", pa.int64())]))])

    landed = Shape.of(Stream("s", schema=batch.schema), {}, known).apply(batch)

    assert landed.to_pylist() == [{"s": {"a": 1, "old": None, "b": "x"}}]


@pytest.mark.parametrize(
    ("known", "cells", "landing", "rescued"),
    [
        (pa.int64(), ["5", "007", "x"], [5, None, None], [None, "007", "x"]),
        (pa.int64(), [5.0, 5.5, float("nan")], [5, None, None], [None, "5.5", "nan"]),
        (pa.string(), [1, None], ["1", None], [None, None]),
        (pa.string(), [{"a": 1}, None], ['{"a": 1}', None], [None, None]),
        (pa.struct([("a", pa.int64())]), ['{"a": 1}'], [None], ['{"a": 1}']),
        (pa.date32(), [datetime(2024, 1, 1)], [date(2024, 1, 1)], [None]),
        (pa.date32(), [datetime(2024, 1, 1, 5)], [None], ["2024-01-01 05:00:00.000000"]),
        (pa.timestamp("us"), ["2024-01-01T05:00:00", "soon"], [datetime(2024, 1, 1, 5), None], [None, "soon"]),
        (pa.timestamp("us"), [datetime(2024, 1, 1, tzinfo=UTC)], [None], ["2024-01-01 00:00:00.000000Z"]),
        (pa.timestamp("us"), [5], [None], ["5"]),
        (pa.bool_(), ["true", "1"], [True, None], [None, "1"]),
        (pa.float32(), [Decimal("0.43"), Decimal("0.1234567")], [pytest.approx(0.43), None], [None, "0.1234567"]),
        (pa.decimal128(5, 2), [0.25, 0.125, 1e30], [Decimal("0.25"), None, None], [None, "0.125", "1e+30"]),
        (pa.struct([("a", pa.timestamp("us"))]), [{"a": 1}], [None], ['{"a": 1}']),
        (pa.list_(pa.int64()), [[1.5], [2.0]], [None, [2]], ["[1.5]", None]),
    ],
)  # fmt: skip
def test_any_other_type_is_cast_where_exact_and_rescued_where_not(
    known: pa.DataType, cells: list[Any], landing: list[Any], rescued: list[str | None]
) -> None:
    batch = pa.record_batch({"c": pa.array(cells)})
    shape = Shape.of(Stream("s", schema=batch.schema), {}, pa.schema([("c", known)]), "widen")

    rows = shape.apply(batch).to_pylist()

    assert [row["c"] for row in rows] == landing
    told = [json.loads(row[RESCUED])["c"] if row.get(RESCUED) else None for row in rows]
    assert told == rescued
    assert shape.landed.field("c").type == known
    assert kinds(shape)[0] == ("retyped", "c")


def test_a_key_that_does_not_fit_stops_the_sync() -> None:
    batch = pa.record_batch({"id": ["x"], "n": [1]})
    shape = Shape.of(Stream("s", schema=batch.schema, key=("id",)), {}, pa.schema([_ID]))

    with pytest.raises(DataError) as caught:
        shape.apply(batch)

    assert caught.value.code == "key_conflict"
    assert "x" not in str(caught.value).replace("next", "")


def test_a_frozen_table_names_every_column_that_changed() -> None:
    schema = pa.schema([("id", pa.string()), ("b", pa.int64()), ("a", pa.int64())])

    with pytest.raises(ConfigError, match=r"new: b, a; of another type: id"):
        Shape.of(Stream("s", schema=schema), {"evolve": "freeze"}, pa.schema([_ID]), "add")


def test_the_first_rows_fix_the_types_of_a_stream_without_a_schema() -> None:
    shape = Shape.of(Stream("s"), {}, None)

    rows = [
        row
        for cells in ([1, 2], ["3", "x"], [4.5])
        for row in shape.apply(pa.record_batch({"c": pa.array(cells)})).to_pylist()
    ]

    assert [row["c"] for row in rows] == [1, 2, 3, None, None]
    assert [row.get(RESCUED) for row in rows[3:]] == ['{"c": "x"}', '{"c": "4.5"}']
    assert shape.landed.equals(pa.schema([("c", pa.int64())]))


def test_a_column_of_nulls_takes_the_first_type_it_shows() -> None:
    shape = Shape.of(Stream("s"), {}, None)

    first = shape.apply(pa.record_batch({"id": [1], "c": pa.nulls(1)}))
    second = shape.apply(pa.record_batch({"id": [2], "c": ["x"]}))

    assert first.schema.names == ["id"]
    assert second.to_pylist() == [{"id": 2, "c": "x"}]


def test_an_empty_list_lands_as_one_of_text_until_its_type_is_known() -> None:
    shape = Shape.of(Stream("s"), {}, None)

    first = shape.apply(pa.record_batch({"c": pa.array([[]])}))
    second = shape.apply(pa.record_batch({"c": [[1, 2]]}))

    assert first.schema.field("c").type == second.schema.field("c").type == pa.list_(pa.string())
    assert [first.to_pylist(), second.to_pylist()] == [[{"c": []}], [{"c": ["1", "2"]}]]


def test_what_a_connector_rescued_is_merged_and_named_as_the_columns_are() -> None:
    batch = pa.record_batch({"a": ["x"], "b": [1], RESCUED: ['{"b": "raw", "other": [1]}']})
    settings = {"rename": {"a": "first", "b": "second"}}
    shape = Shape.of(Stream("s"), settings, pa.schema([("first", pa.int64())]))

    landed = shape.apply(batch).to_pylist()[0]

    assert json.loads(landed[RESCUED]) == {"second": "raw", "other": [1], "first": "x"}


def test_an_unreadable_rescued_text_is_kept_unless_it_may_tell_what_is_hidden() -> None:
    batch = pa.record_batch({"a": ["x"], "b": [1], RESCUED: ["plain words"]})

    kept = Shape.of(Stream("s"), {"rename": {"a": "c"}}, None).apply(batch).to_pylist()[0]
    hidden = Shape.of(Stream("s"), {"exclude": ["b"]}, None).apply(batch).to_pylist()[0]

    assert json.loads(kept[RESCUED]) == {RESCUED: "plain words"}
    assert hidden[RESCUED] is None


def test_changes_keep_their_operation_and_name_unchanged_columns_as_they_land() -> None:
    batch = pa.record_batch(
        {
            "id": [1, 2],
            "body": ["x", None],
            "secret": ["s", None],
            OP: ["c", "u"],
            UNCHANGED: pa.array([None, ["body", "secret"]], pa.list_(pa.string())),
        }
    )
    schema = pa.schema([batch.schema.field(name) for name in ("id", "body", "secret")])
    shape = Shape.of(Stream("s", schema=schema), {"rename": {"body": "text"}, "exclude": ["secret"]}, None)

    landed = shape.apply(batch)

    assert landed.schema.names == ["id", "text", OP, UNCHANGED]
    assert landed.column(UNCHANGED).to_pylist() == [None, ["text"]]
    assert shape.landed.names == ["id", "text"]


def test_a_delete_needs_only_the_key() -> None:
    schema = pa.schema([_ID, pa.field("body", pa.string(), nullable=False)])
    shape = Shape.of(Stream("s", schema=schema, key=("id",)), {}, schema)

    landed = shape.apply(pa.record_batch({"id": [1], OP: ["d"]}))

    assert landed.to_pylist() == [{"id": 1, "body": None, OP: "d"}]


@pytest.mark.parametrize("name", ["_synced_at", "_sync_id", "_deleted_at"])
def test_a_column_of_a_name_the_host_keeps_is_refused_unless_it_is_renamed(name: str) -> None:
    stream = Stream("s", schema=pa.schema([(name, pa.string())]))

    renamed = Shape.of(stream, {"rename": {name: "at_source"}}, None)

    assert renamed.landed.names == ["at_source"]
    with pytest.raises(DataError) as caught:
        Shape.of(stream, {}, None)
    assert caught.value.code == "reserved_column"


def test_two_columns_cannot_land_under_one_name() -> None:
    with pytest.raises(DataError) as caught:
        Shape.of(Stream("s"), {"rename": {"a": "b"}}, None).apply(pa.record_batch({"a": [1], "b": [2]}))

    assert caught.value.code == "duplicate_column"


def test_a_sync_begins_anew_when_the_settings_or_the_key_for_hashes_change() -> None:
    settings = {"hash": ["a"], "lag": 5}

    plain = settings_identity({"lag": 5, "evolve": "add"}, b"k")
    first, rotated = settings_identity(settings, b"k" * 32), settings_identity(settings, b"l" * 32)

    assert plain == ""
    assert len({plain, first, rotated}) == 3
    assert first == settings_identity({"hash": ["a"], "deletes": "soft"}, b"k" * 32)


@pytest.mark.parametrize(
    "kind",
    [
        pa.int8(),
        pa.uint64(),
        pa.float16(),
        pa.decimal128(10, -2),
        pa.decimal256(40, 2),
        pa.timestamp("ns"),
        pa.timestamp("us", "Europe/Berlin"),
        pa.time64("us"),
        pa.duration("s"),
        pa.date64(),
        pa.list_(pa.field("e", pa.int8(), nullable=False)),
        pa.struct([("a", pa.list_(pa.string())), ("b", pa.timestamp("us", "UTC"))]),
        pa.map_(pa.string(), pa.decimal128(5, 1)),
        pa.binary(4),
        pa.dictionary(pa.int8(), pa.string()),
        pa.large_list(pa.int8()),
        pa.list_(pa.int8(), 3),
        pa.string_view(),
        pa.null(),
    ],
)
def test_a_schema_comes_back_from_json_as_it_was(kind: pa.DataType) -> None:
    schema = pa.schema([pa.field("c", kind), _ID.with_nullable(False)])

    text = json.dumps(encode_schema(schema))

    assert decode_schema(json.loads(text)) == schema


def shaped(columns: dict[str, list[Any]], known: pa.Schema, evolve: Evolve) -> Shape:
    batch = pa.record_batch(columns)
    shape = Shape.of(Stream("s", schema=batch.schema), {}, known, evolve)
    shape.apply(batch)
    return shape


def kinds(shape: Shape) -> list[tuple[str, str]]:
    return [(finding.kind, finding.column) for finding in shape.drift]
