"""What a sheet holds is what comes: types, gaps, errors, ranges; and nothing is lost in silence."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from typing import Any

import pytest

from servicetsunami.sdk import NotFound, Read, Stream, TransientError

Desk = Any
"""The fixture `desk`; its class is in conftest.py, which tests cannot import."""


def read(desk: Desk, name: str = "T", *, limit: int | None = None, columns: Any = None, **settings: Any) -> list[Any]:
    source = desk.source(**settings)
    stream = next(stream for stream in source.streams() if stream.id == name)
    return [row for item in source.read(Read(stream, limit=limit, columns=columns)) for row in item]


def test_every_kind_of_cell_keeps_its_value(desk: Desk) -> None:
    desk.sheet(
        ["n", "f", "t", "b", "d", "dt", "tm", "pct", "cur", "dur"],
        [
            1,
            1.5,
            "007",
            True,
            desk.day(date(2024, 2, 29)),
            desk.formatted(45351.5, "DATE_TIME"),
            desk.formatted(0.75, "TIME"),
            desk.formatted(0.25, "PERCENT"),
            desk.formatted(12.5, "CURRENCY"),
            desk.formatted(1.5, "TIME"),
        ],
    )

    (row,) = read(desk)

    assert row == {
        "_source_row": 2,
        "n": 1,
        "f": 1.5,
        "t": "007",
        "b": True,
        "d": date(2024, 2, 29),
        "dt": datetime(2024, 2, 29, 12),
        "tm": time(18),
        "pct": 0.25,
        "cur": 12.5,
        "dur": 1.5,
    }
    assert isinstance(row["n"], int)


def test_a_formula_that_went_wrong_is_null_and_told(desk: Desk) -> None:
    desk.sheet(["a", "b"], [1, desk.wrong("N_A")], [desk.wrong("DIVIDE_BY_ZERO"), 2])

    first, second = read(desk)

    assert (first["b"], json.loads(first["_rescued"])) == (None, {"b": "#N/A"})
    assert (second["a"], json.loads(second["_rescued"])) == (None, {"a": "#DIV/0!"})


def test_an_empty_first_row_and_gaps_lose_no_column(desk: Desk) -> None:
    desk.sheet(
        [], ["", "id", None, "name", "name", ""], [None, 1, "x", None, "Zoë"], [], [None, None, None, "Ada", None, 9]
    )

    rows = read(desk)

    assert rows == [
        {"_source_row": 3, "id": 1, "column_3": "x", "name_2": "Zoë"},
        {"_source_row": 5, "name": "Ada", "column_6": 9},
    ]


def test_a_title_above_the_header_is_not_taken_for_it(desk: Desk) -> None:
    desk.sheet(["Orders of 2024"], [], ["id", "customer", "amount"], [1, "Ada", 2.5])

    assert read(desk) == [{"_source_row": 4, "id": 1, "customer": "Ada", "amount": 2.5}]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"header_row": 2}, [{"_source_row": 3, "1": 3, "x": "y"}]),
        (
            {"has_header": False},
            [
                {"_source_row": 1, "column_1": "a", "column_2": "b"},
                {"_source_row": 2, "column_1": 1, "column_2": "x"},
                {"_source_row": 3, "column_1": 3, "column_2": "y"},
            ],
        ),
    ],
)
def test_the_header_is_where_the_settings_say(desk: Desk, settings: dict[str, Any], expected: list[Any]) -> None:
    desk.sheet(["a", "b"], [1, "x"], [3, "y"])

    assert read(desk, **settings) == expected


@pytest.mark.parametrize("rows", [[], [[]], [["only", "a header"]]])
def test_a_sheet_without_rows_is_empty_and_no_error(desk: Desk, rows: list[list[Any]]) -> None:
    desk.sheet(*rows)

    assert read(desk) == []
    desk.source().check()


def test_a_column_called_as_one_of_ours_gets_another_name(desk: Desk) -> None:
    desk.sheet(["_rescued", "_source_row"], ["x", "y"])

    assert read(desk) == [{"_source_row": 2, "_rescued_2": "x", "_source_row_2": "y"}]


def test_a_large_sheet_comes_in_blocks_and_whole(desk: Desk) -> None:
    desk.sheet(["id", "text"], *([number, f"row {number}"] for number in range(12_000)))

    rows = read(desk)

    assert [row["id"] for row in rows] == list(range(12_000))
    assert sum("includeGridData" in request for request in desk.google.requests) >= 3


def test_a_preview_asks_for_no_more_than_it_shows(desk: Desk) -> None:
    desk.sheet(["id", "text"], *([number, "x"] for number in range(12_000)))

    rows = read(desk, limit=3, columns=("id",))

    assert rows == [{"id": number} for number in range(3)]
    assert sum("includeGridData" in request for request in desk.google.requests) == 1


def test_worksheets_and_named_ranges_are_streams_and_hidden_ones_are_not(desk: Desk) -> None:
    sheets = [
        desk.worksheet("It's 2024", [["a", "b", "c"], [1, 2, 3], [4, 5, 6]]),
        desk.worksheet("secret", [["x"]], hidden=True),
        desk.worksheet("chart", [], kind="OBJECT"),
    ]
    desk.book("Budget", sheets, {"totals": (0, 0, 2, 1, 3)})

    names = [(stream.id, stream.kind) for stream in desk.source().streams()]
    hidden = [stream.id for stream in desk.source(include_hidden=True).streams()]

    assert names == [("It's 2024", "sheet"), ("totals", "named range")]
    assert hidden == ["It's 2024", "secret", "totals"]
    assert read(desk, "totals") == [{"_source_row": 2, "b": 2, "c": 3}]
    assert [row["a"] for row in read(desk, "It's 2024")] == [1, 4]


def test_several_spreadsheets_are_told_apart_by_their_titles(desk: Desk) -> None:
    other = "1AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    desk.book("Plan", [desk.worksheet("Orders", [["id"], [9]])], number=other)
    both: Any = {"spreadsheets": [f"https://docs.google.com/spreadsheets/d/{desk.number}/edit#gid=0", other]}

    names = [stream.id for stream in desk.source(**both).streams()]

    assert names == ["Budget.Orders", "Plan.Orders"]
    assert read(desk, "Plan.Orders", **both) == [{"_source_row": 2, "id": 9}]


def test_a_sheet_that_changes_while_it_is_read_does_not_count(desk: Desk) -> None:
    desk.sheet(["id", "text"], *([number, "x"] for number in range(12_000)))
    source = desk.source()
    (stream,) = source.streams()
    items = source.read(Read(stream))

    next(items)
    desk.google.books[next(iter(desk.google.books))].sheets[0].rows.insert(1, [0, "new"])

    with pytest.raises(TransientError) as changed:
        list(items)
    assert changed.value.code == "sheet_changed"


def test_a_stream_that_is_gone_is_named_with_near_ones(desk: Desk) -> None:
    with pytest.raises(NotFound) as gone:
        list(desk.source().read(Read(Stream("Order"))))

    assert (gone.value.code, gone.value.did_you_mean) == ("stream_not_found", ("Orders",))
