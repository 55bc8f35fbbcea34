"""Lists come a page at a time and end."""

from __future__ import annotations

import pytest

from servicetsunami.operations.models import TableView
from servicetsunami.operations.paging import MOST_BYTES, page, shortened, viewed_page
from servicetsunami.sdk import ConfigError


def test_pages_hold_every_item_once() -> None:
    items, cursor, seen = list(range(7)), None, list[int]()

    while True:
        shown, cursor = page(items, cursor, 3)
        seen += shown
        if cursor is None:
            break

    assert seen == items


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        page([1], "conn_abc", 3)

    assert refused.value.code == "bad_cursor"


def test_pages_end_before_they_are_too_long_and_lose_nothing() -> None:
    names = [f"table_{number:04}" for number in range(5_000)]
    seen: list[str] = []
    cursor = None

    while True:
        shown, cursor = viewed_page(names, cursor, 500, _table)
        seen += [one.table for one in shown]
        assert sum(len(one.model_dump_json()) for one in shown) <= MOST_BYTES
        if cursor is None:
            break

    assert seen == names


def test_an_item_too_long_for_a_page_is_a_page_of_its_own() -> None:
    assert viewed_page(["a", "b"], None, 5, _table, 10) == ((_table("a"),), "1")
    assert viewed_page(["a", "b"], "1", 5, _table, 10) == ((_table("b"),), None)


@pytest.mark.parametrize("cursor", ["9" * 5_000, "-1", "1.5", " 1", ""])
def test_what_is_no_number_of_ours_is_no_cursor(cursor: str) -> None:
    with pytest.raises(ConfigError) as refused:
        page([1], cursor, 3)

    assert refused.value.code == "bad_cursor"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert shortened("x" * 11, 10) == "x" * 9 + "\u2026"
    assert shortened("x" * 10, 10) == "x" * 10


def _table(name: str) -> TableView:
    return TableView(table=name, layer="bronze", comment="\u0436" * 500)
