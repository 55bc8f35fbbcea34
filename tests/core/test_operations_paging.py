"""Lists come a page at a time and end."""

from __future__ import annotations

import pytest

from servicetsunami.operations.paging import page
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
