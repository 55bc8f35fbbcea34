"""Paging of lists: the cursor is the number of items that came before, signed by nothing and trusted for nothing.

A page ends where its limit is reached or the answer would become too long for a model to be given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from servicetsunami.operations.models import Result
from servicetsunami.sdk import ConfigError

T = TypeVar("T")
R = TypeVar("R", bound=Result)

MOST_BYTES = 64 * 1024
"""How long a page may be as JSON; its first item is given in any case."""
_LONGEST_CURSOR = 18


def page(items: Sequence[T], cursor: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """Return the page that begins at `cursor`, and the next page's cursor; None at the end."""
    if limit < 1:
        raise ConfigError("a page has at least one item", code="limit_out_of_range", field="limit")
    begin = _begin(cursor)
    end = begin + limit
    return items[begin:end], str(end) if end < len(items) else None


def viewed_page(
    items: Sequence[T], cursor: str | None, limit: int, view: Callable[[T], R], most_bytes: int = MOST_BYTES
) -> tuple[tuple[R, ...], str | None]:
    """Return the page that begins at `cursor`, each item as `view` shows it, and the next page's cursor."""
    wanted, next_cursor = page(items, cursor, limit)
    shown: list[R] = []
    for item in wanted:
        one = view(item)
        most_bytes -= len(one.model_dump_json(exclude_none=True).encode())
        if shown and most_bytes < 0:
            break
        shown.append(one)
    if len(shown) < len(wanted):
        next_cursor = str(_begin(cursor) + len(shown))
    return tuple(shown), next_cursor


def shortened(text: str, most: int = 500) -> str:
    """Return a text in at most so many characters; one that is cut ends in an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def bad_cursor() -> ConfigError:
    """Return the error for a cursor that is none of this list's."""
    return ConfigError(
        "this cursor does not belong to this list",
        code="bad_cursor",
        field="cursor",
        fix="use the next_cursor of the answer before, or leave it out to begin anew",
    )


def _begin(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isdecimal() or len(cursor) > _LONGEST_CURSOR:
        raise bad_cursor()
    return int(cursor)
