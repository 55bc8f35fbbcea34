"""Paging of lists: the cursor is the number of items that came before, signed by nothing and trusted for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from servicetsunami.sdk import ConfigError

T = TypeVar("T")


def page(items: Sequence[T], cursor: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """Return the page that begins at `cursor`, and the next page's cursor; None at the end."""
    if limit < 1:
        raise ConfigError("a page has at least one item", code="limit_out_of_range", field="limit")
    if cursor is not None and not cursor.isdecimal():
        raise ConfigError(
            "this cursor does not belong to this list",
            code="bad_cursor",
            field="cursor",
            fix="use the next_cursor of the answer before, or leave it out to begin anew",
        )
    begin = int(cursor or 0)
    end = begin + limit
    return items[begin:end], str(end) if end < len(items) else None
