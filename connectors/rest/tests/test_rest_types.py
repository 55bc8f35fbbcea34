"""Values of JSON land exactly, whatever the page before them looked like."""

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import ConfigError, DataError

if TYPE_CHECKING:
    from conftest import Reader


def column(reader: "Reader", *cells: str, hint: str | None = None, nested: str = "json") -> pa.ChunkedArray:
    """Read cells, written as JSON, in one page."""
    body = "[" + ",".join(f'{{"id": {i}, "v": {cell}}}' for i, cell in enumerate(cells)) + "]"
    hints = {"types": {"v": hint}} if hint else {}
    return reader.table(reader.api.reply(body.encode()), nested=nested, **hints).column("v")


def pages(reader: "Reader", *pages: list[str], **settings: Any) -> list[dict[str, Any]]:
    """Read pages of cells, written as JSON."""

    def route(asked: Any) -> Any:
        number = int(asked.query["page"]) - 1
        cells = pages[number] if number < len(pages) else []
        records = ",".join(f'{{"id":{number * 100 + i},"v":{cell}}}' for i, cell in enumerate(cells))
        return reader.api.reply(f"[{records}]".encode())

    reader.api.routes["/t"] = route
    return reader.rows({"name": "t", "path": "/t", "paging": {"kind": "page"}, **settings})


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-2", "null"], pa.int64(), [1, -2, None]),
        ([str(2**63 - 1), str(-(2**63))], pa.int64(), [2**63 - 1, -(2**63)]),
        ([str(2**63)], pa.decimal128(38, 0), [Decimal(2**63)]),
        (["9" * 50], pa.string(), ["9" * 50]),
        (["0.1", "3", "1e-7"], pa.decimal128(38, 9), [Decimal("0.1"), Decimal(3), Decimal("1e-7")]),
        (["0.12345678901234567"], pa.decimal128(38, 18), [Decimal("0.12345678901234567")]),
        (["1e400", "1"], pa.string(), ["1e400", "1"]),
        (["12345678901234567890.123456789012345678901"], pa.string(), ["12345678901234567890.123456789012345678901"]),
        (["true", "false", "null"], pa.bool_(), [True, False, None]),
        (['"2026-01-01"', '"x"'], pa.string(), ["2026-01-01", "x"]),
        (['"2026-01-01T00:00:00Z"'], pa.string(), ["2026-01-01T00:00:00Z"]),
        (['"é😀\\u0041\\n\\""', '""'], pa.string(), ['é😀A\n"', ""]),
        (["1", '"a"', "true", "1.50"], pa.string(), ["1", "a", "true", "1.50"]),
        (['"null"', "null"], pa.string(), ["null", None]),
    ],
)
def test_the_first_page_settles_a_type_that_holds_every_digit(
    reader: "Reader", cells: list[str], kind: pa.DataType, values: list[Any]
) -> None:
    found = column(reader, *cells)

    assert found.type == kind
    assert found.to_pylist() == values


@pytest.mark.parametrize(
    ("hint", "cells", "values"),
    [
        ("text", ["1.50", '"a"', "null"], ["1.50", "a", None]),
        ("integer", ['"42"', "7"], [42, 7]),
        ("decimal", ['"1.10"', "2"], [Decimal("1.10"), Decimal(2)]),
        ("number", ["1", "2.5"], [1.0, 2.5]),
        ("boolean", ['"true"', "false"], [True, False]),
        ("json", ["1", '"a"', "[1, 2]"], ["1", '"a"', "[1, 2]"]),
    ],
)
def test_a_hint_settles_the_type(reader: "Reader", hint: str, cells: list[str], values: list[Any]) -> None:
    assert column(reader, *cells, hint=hint).to_pylist() == values


def test_dates_and_moments_are_taken_only_where_they_are_hinted(reader: "Reader") -> None:
    moments = column(reader, '"2026-01-01T10:00:00+02:00"', '"2026-01-01T08:00:00.123456Z"', hint="timestamp")
    dates = column(reader, '"2026-01-01"', "null", hint="date")

    assert [str(moment) for moment in moments.to_pylist()] == [
        "2026-01-01 08:00:00+00:00",
        "2026-01-01 08:00:00.123456+00:00",
    ]
    assert [str(day) for day in dates.to_pylist()] == ["2026-01-01", "None"]


@pytest.mark.parametrize("cell", ['"soon"', '"2026-01-01T00:00:00"', "17", '{"at": 1}'])
def test_a_cell_that_is_no_moment_is_rescued(reader: "Reader", cell: str) -> None:
    body = f'[{{"v": "2026-01-01T00:00:00Z"}}, {{"v": {cell}}}]'.encode()

    rows = reader.table(reader.api.reply(body), types={"v": "timestamp"}).to_pylist()

    assert [row["v"] is None for row in rows] == [False, True]
    assert json.loads(rows[1]["_rescued"])["v"] in (json.loads(cell), cell)


@pytest.mark.parametrize(
    ("first", "later", "rescued"),
    [
        ("1", "1.5", "1.5"),
        ("1", '"one"', "one"),
        ("1", str(2**63), str(2**63)),
        ("1", "true", "true"),
        ("1.5", '"dear"', "dear"),
        ("1.5", "0.1234567890123", "0.1234567890123"),
        ("1.5", "1e300", "1E+300"),
        ("true", "2", "2"),
        ("1", '{"a": 1}', '{"a": 1}'),
        ("1", "[1]", "[1]"),
    ],
)
def test_what_a_later_page_brings_and_does_not_fit_is_rescued(
    reader: "Reader", first: str, later: str, rescued: str
) -> None:
    rows = pages(reader, [first, first], [first, later], [first])

    odd = [row for row in rows if row["v"] is None]
    assert len(rows) == 5
    assert [json.loads(row["_rescued"]) for row in odd] == [{"v": rescued}]


def test_text_takes_anything_that_comes_later(reader: "Reader") -> None:
    rows = pages(reader, ['"a"'], ["1.50"], ['{"b": [1, 2.50]}'], ["true"])

    assert [row["v"] for row in rows] == ["a", "1.50", '{"b": [1, 2.50]}', "true"]


def test_a_column_that_begins_with_nulls_gets_its_type_later(reader: "Reader") -> None:
    rows = pages(reader, ["null"], ["null", "null"], ["7"], ["8"])

    assert [row.get("v") for row in rows] == [None, None, None, 7, 8]


def test_a_page_of_nulls_only_is_rows_all_the_same(reader: "Reader") -> None:
    reader.api.routes["/t"] = [{"a": None}, {"a": None, "b": None}]

    assert reader.rows({"name": "t", "path": "/t"}) == [{"a": None, "b": None}] * 2


def test_columns_that_come_later_or_go_are_kept_and_null(reader: "Reader") -> None:
    one = [{"id": 1, "old": "x"}, {"id": 2}]
    two = [{"id": 3, "new": 5, "old": None}, {"id": 4}]
    three = [{"id": 5}, {"id": 6, "new": 6}]
    reader.api.routes["/t"] = lambda asked: dict(enumerate([one, two, three], 1)).get(int(asked.query["page"]), [])

    rows = reader.rows({"name": "t", "path": "/t", "paging": {"kind": "page"}})

    assert [row["id"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row.get("new") for row in rows] == [None, None, 5, None, None, 6]
    assert [row.get("old") for row in rows] == ["x", None, None, None, None, None]


@pytest.mark.parametrize("text", ['{"a":1.10,"b":[1,2]}', "[]", "{}", '{"x":{"y":"\\u00e9"}}'])
def test_nested_values_are_json_text_as_it_was_sent(reader: "Reader", text: str) -> None:
    rows = pages(reader, [text, "null"], [text, "null"], nested="json")

    assert [row["v"] for row in rows] == [text, None, text, None]


def test_nested_values_are_typed_where_the_settings_say_so(reader: "Reader") -> None:
    cell = '{"city":"Rom","lines":["a",null],"tax":0.10}'

    rows = pages(reader, [cell, "null"], [cell, '{"city":"Oslo"}'], nested="struct")

    full = {"city": "Rom", "lines": ["a", None], "tax": Decimal("0.10")}
    assert [row["v"] for row in rows] == [full, None, full, {"city": "Oslo", "lines": None, "tax": None}]


@pytest.mark.parametrize("odd", ['{"city":7}', '{"city":"x","more":1}', '"text"', "[1]"])
def test_a_nested_value_of_another_shape_is_rescued(reader: "Reader", odd: str) -> None:
    rows = pages(reader, ['{"city":"Rom"}'], [odd], nested="struct")

    assert rows[1]["v"] is None
    assert "v" in json.loads(rows[1]["_rescued"])


@pytest.mark.parametrize("first", ['{"a":1}', '"x"'])
def test_a_name_that_comes_twice_is_an_error_on_every_page(reader: "Reader", first: str) -> None:
    twice = '2,"v":3'

    with pytest.raises(DataError) as caught:
        pages(reader, ["1", first], ["1", twice])

    assert caught.value.code == "bad_json"


def test_a_list_that_comes_twice_is_an_error(reader: "Reader") -> None:
    reader.api.routes["/t"] = reader.api.reply(b'{"items": [{"a": 1}], "items": [{"a": 1}]}')

    with pytest.raises(DataError) as caught:
        reader.rows({"name": "t", "path": "/t", "records": "items"})

    assert caught.value.code == "bad_json"


def test_half_a_surrogate_pair_is_an_error(reader: "Reader") -> None:
    with pytest.raises(DataError) as caught:
        column(reader, '"\\ud800"')

    assert caught.value.code == "bad_json"


def test_text_that_looks_like_names_is_text(reader: "Reader") -> None:
    tricky = json.dumps('{"v": 1, "v": 2}')

    rows = pages(reader, [tricky], [tricky])

    assert [row["v"] for row in rows] == ['{"v": 1, "v": 2}'] * 2


@pytest.mark.parametrize("record", ["7", '"x"', "null", "[1]"])
def test_a_record_that_is_no_object_is_an_error(reader: "Reader", record: str) -> None:
    for cells in ([record], ['{"id": 1}', record]):
        with pytest.raises(ConfigError) as caught:
            reader.table(reader.api.reply(f"[{','.join(cells)}]".encode()))

        assert caught.value.code == "records_not_found"


def test_records_without_any_field_are_not_dropped_in_silence(reader: "Reader") -> None:
    with pytest.raises(DataError):
        reader.table([{}, {}])


@pytest.mark.parametrize("name", ["first-name", "class", "c0", "_id", "é", "a b", "a.b", "__len__"])
def test_any_name_may_be_a_column(reader: "Reader", name: str) -> None:
    reader.api.routes["/t"] = lambda asked: [{name: 1, "z": 2}] if int(asked.query["page"]) < 4 else []
    settings = {"name": "t", "path": "/t", "paging": {"kind": "cursor", "param": "page", "last_field": "z"}}
    reader.api.routes["/t"] = lambda asked: (
        [{name: 1, "z": n}] if (n := int(asked.query.get("page", 0)) + 1) < 4 else []
    )

    assert [row[name] for row in reader.rows(settings)] == [1, 1, 1]


def test_pretty_printed_and_compact_pages_give_the_same_rows(reader: "Reader") -> None:
    records = [{"id": i, "v": {"a": [i]}, "s": 'q":x', "d": 1.5} for i in range(3)]
    layouts = [None, 2]
    reader.api.routes["/t"] = lambda asked: reader.api.reply(
        json.dumps(
            [{**one, "p": asked.query["page"]} for one in records],
            indent=layouts[int(asked.query["page"]) % 2],
            separators=(" , ", " : "),
        ).encode()
        if int(asked.query["page"]) < 5
        else b"[ ]"
    )

    rows = reader.rows({"name": "t", "path": "/t", "paging": {"kind": "page"}})

    assert [row["id"] for row in rows] == [0, 1, 2] * 4
    assert [json.loads(row["v"]) for row in rows] == [{"a": [i]} for i in range(3)] * 4
    assert {str(row["d"]) for row in rows} == {"1.500000000"}
