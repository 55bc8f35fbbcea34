"""Whatever a source gives and whatever landed before, nothing is lost and nothing hidden shows."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from servicetsunami.sdk import RESCUED, Json, Stream
from servicetsunami.sync.fitting import texts
from servicetsunami.sync.shaping import Shape

PEPPER = b"p" * 32
_DAY = st.dates(date(1950, 1, 1), date(2090, 1, 1))
_MOMENT = st.datetimes(datetime(1950, 1, 1), datetime(2090, 1, 1))
_MIDNIGHT = _DAY.map(lambda day: datetime(day.year, day.month, day.day))
_AWARE = _MOMENT.map(lambda moment: moment.replace(tzinfo=UTC))
_WORDS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.integers(-1000, 1000).map(str),
    st.sampled_from(["007", "+5", "1.50", "1e5", "-0", "true", "2024-02-30", "2024-02-03", "nan", " 1"]),
    _DAY.map(date.isoformat),
    _MOMENT.map(datetime.isoformat),
)
_SIZES = ((pa.int8(), 7), (pa.int16(), 15), (pa.int32(), 31), (pa.int64(), 63))
_FLOATS = st.one_of(st.floats(width=32), st.integers(-300, 300).map(float))
_VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    **{kind: st.one_of(st.integers(-(2**bits), 2**bits - 1), st.integers(-100, 100)) for kind, bits in _SIZES},
    pa.uint32(): st.integers(0, 2**32 - 1),
    pa.float32(): _FLOATS,
    pa.float64(): st.one_of(_FLOATS, st.floats()),
    pa.decimal128(10, 2): st.decimals(-99999999, 99999999, places=2),
    pa.decimal128(24, 4): st.one_of(st.integers(-99, 99).map(Decimal), st.decimals(-(10**19), 10**19, places=4)),
    pa.bool_(): st.booleans(),
    pa.string(): _WORDS,
    pa.binary(): st.binary(max_size=6),
    pa.date32(): _DAY,
    pa.timestamp("us"): st.one_of(_MOMENT, _MIDNIGHT),
    pa.timestamp("us", "UTC"): _AWARE,
    pa.list_(pa.int32()): st.lists(st.integers(-9, 9), max_size=3),
    pa.list_(pa.int64()): st.lists(st.integers(-(2**40), 2**40), max_size=3),
    pa.struct([("a", pa.int64())]): st.fixed_dictionaries({"a": st.integers(-9, 9)}),
    pa.struct([("a", pa.int64()), ("b", pa.string())]): st.fixed_dictionaries({"a": st.integers(-9, 9), "b": _WORDS}),
}
_KINDS = st.sampled_from(list(_VALUES))
_NAMES = ("a", "b", "c", "d")
_SETTINGS = st.fixed_dictionaries(
    {
        "rename": st.dictionaries(st.sampled_from(_NAMES), st.sampled_from(("x", "y", "z")), max_size=2).filter(
            lambda renames: len(set(renames.values())) == len(renames)
        )
    }
)


@st.composite
def batches(draw: st.DrawFn, *, rows: int = 5) -> pa.RecordBatch:
    names = draw(st.lists(st.sampled_from(_NAMES), min_size=1, unique=True))
    count = draw(st.integers(1, rows))
    columns = {}
    for name in names:
        kind = draw(_KINDS)
        cells = st.one_of(st.none(), _VALUES[kind])
        columns[name] = pa.array(draw(st.lists(cells, min_size=count, max_size=count)), kind)
    return pa.RecordBatch.from_pydict(columns)


@st.composite
def known_schemas(draw: st.DrawFn) -> pa.Schema | None:
    names = draw(st.lists(st.sampled_from(_NAMES), unique=True))
    return draw(st.none() | st.just(pa.schema([(name, draw(_KINDS)) for name in names])))


@settings(deadline=None)
@given(batch=batches(), known=known_schemas(), evolve=st.sampled_from(["add", "widen"]), chosen=_SETTINGS)
def test_every_cell_lands_equal_or_is_told_in_rescued(
    batch: pa.RecordBatch, known: pa.Schema | None, evolve: Any, chosen: Json
) -> None:
    shape = Shape.of(Stream("s", schema=batch.schema), chosen, known, evolve)

    landed = shape.apply(batch)

    assert_nothing_lost([batch], [landed], chosen["rename"])
    assert {*landed.schema.names} - {RESCUED} == {*shape.landed.names}


@settings(deadline=None)
@given(given_batches=st.lists(batches(), min_size=1, max_size=4), known=known_schemas())
def test_batches_that_differ_land_with_the_types_of_the_first(
    given_batches: list[pa.RecordBatch], known: pa.Schema | None
) -> None:
    shape = Shape.of(Stream("s"), {}, known)

    landed = [shape.apply(batch) for batch in given_batches]

    assert_nothing_lost(given_batches, landed, {})
    for batch in landed:
        for field in batch.drop_columns([RESCUED] if RESCUED in batch.schema.names else []).schema:
            ours = shape.landed.field(field.name).type
            assert field.type == ours or pa.types.is_nested(ours) or pa.types.is_uint32(field.type)


@settings(deadline=None)
@given(batch=batches(), order=st.permutations(_NAMES))
def test_renaming_forth_and_back_gives_the_same_rows(batch: pa.RecordBatch, order: list[str]) -> None:
    forth = dict(zip(_NAMES, order, strict=True))
    back = {new: old for old, new in forth.items()}

    renamed = Shape.of(Stream("s", schema=batch.schema), {"rename": forth}, None).apply(batch)
    again = Shape.of(Stream("s", schema=renamed.schema), {"rename": back}, None).apply(renamed)

    assert renamed.schema.names == [forth[name] for name in batch.schema.names]
    assert again.schema.equals(batch.schema)
    assert str(again.to_pylist()) == str(batch.to_pylist())


@settings(deadline=None)
@given(batch=batches(), known=known_schemas(), raw=st.dictionaries(st.sampled_from(_NAMES), _WORDS))
def test_an_excluded_column_appears_nowhere(batch: pa.RecordBatch, known: pa.Schema | None, raw: Json) -> None:
    brought = pa.array([json.dumps(raw)] * batch.num_rows)
    given_batch = batch.append_column(RESCUED, brought)
    shape = Shape.of(Stream("s", schema=batch.schema), {"exclude": ["a"]}, known)

    landed = shape.apply(given_batch)

    assert "a" not in landed.schema.names
    assert "a" not in shape.landed.names
    assert all("a" not in json.loads(text) for text in landed.column(RESCUED).to_pylist() if text)
    assert all(finding.column != "a" for finding in shape.drift)


@settings(deadline=None)
@given(values=st.lists(st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)), min_size=1))
def test_a_hash_is_the_same_for_the_same_value_of_any_type_and_differs_otherwise(values: list[int | None]) -> None:
    kinds = (pa.int32(), pa.int64(), pa.string(), pa.decimal128(12, 2))

    hashes = [hashed([str(value) if kind == pa.string() and value is not None else value for value in values], kind)
              for kind in kinds]  # fmt: skip

    assert hashes[0] == hashes[1] == hashes[2] == hashes[3]
    assert len({*hashes[0]}) == len({*values})
    assert all((value is None) == (digest is None) for value, digest in zip(values, hashes[0], strict=True))


@settings(deadline=None)
@given(
    value=st.text(st.characters(codec="utf-8"), min_size=1), mask=st.sampled_from(["redact", "last4", "email", "null"])
)
def test_a_masked_text_never_holds_the_value(value: str, mask: str) -> None:
    batch = pa.record_batch({"a": [value], RESCUED: [json.dumps({"a": value})]})
    shape = Shape.of(Stream("s"), {"mask": {"a": mask}}, None)

    landed = shape.apply(batch).to_pylist()[0]

    shown = landed["a"]
    assert shown is None or value not in shown or value in "***"
    assert landed[RESCUED] is None or json.loads(landed[RESCUED]) == {"a": shown}


def hashed(values: Sequence[Any], kind: pa.DataType) -> list[str | None]:
    shape = Shape.of(Stream("s"), {"hash": ["a"]}, None, pepper=PEPPER)
    result: list[str | None] = shape.apply(pa.record_batch({"a": pa.array(values, kind)})).column("a").to_pylist()
    return result


def assert_nothing_lost(
    given_batches: Sequence[pa.RecordBatch], landed: Sequence[pa.RecordBatch], renames: Json
) -> None:
    for before, after in zip(given_batches, landed, strict=True):
        rows = after.to_pylist()
        for name in before.schema.names:
            column, target = before.column(name), renames.get(name, name)
            written = zip(texts(column).to_pylist(), shown(after, target), strict=True)
            for row, cell, (text, now) in zip(rows, column.to_pylist(), written, strict=True):
                rescued = json.loads(row[RESCUED]) if row.get(RESCUED) else {}
                assert (target in rescued) == (cell is not None and row[target] is None)
                assert rescued.get(target) == text if target in rescued else same(cell, text, row[target], now)


def shown(batch: pa.RecordBatch, column: str) -> list[Any]:
    found: list[Any] = texts(batch.column(column)).to_pylist()
    return found


def same(given_cell: Any, text: str, landed: Any, now: str) -> bool:
    if given_cell is None or isinstance(landed, str):
        return bool(landed == (None if given_cell is None else text))
    if isinstance(given_cell, float) and math.isnan(given_cell):
        return bool(math.isnan(landed))
    if isinstance(landed, dict):
        return bool({key: landed.get(key) for key in given_cell} == given_cell)
    if isinstance(given_cell, date) or isinstance(landed, date):
        return moment(given_cell) == moment(landed)
    return bool(given_cell == landed) or number(text) == number(now)


def moment(value: Any) -> datetime:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)


def number(text: str) -> Decimal | None:
    """Read a number as it is written, a truth as 1 or 0."""
    try:
        return Decimal({"true": "1", "false": "0"}.get(text, text))
    except InvalidOperation:
        return None
