"""The row that names the columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from servicetsunami.sdk import DELETED_AT, OP, RESCUED, UNCHANGED

SOURCE_ROW = "_source_row"
LOOK = 25
"""Rows among which the header is looked for."""
_OURS = frozenset((SOURCE_ROW, RESCUED, OP, UNCHANGED, DELETED_AT, "_seq", "_synced_at", "_sync_id"))
Row = tuple[int, list[Any]]
"""Number of a row in its sheet, and its cells."""


def find_header(rows: Sequence[Row]) -> int | None:
    """Return where the header is: the first row about as wide as the widest with nothing but text, else the first."""
    widths = [sum(cell is not None for cell in cells) for _, cells in rows]
    for at, (_, cells) in enumerate(rows):
        only_text = all(isinstance(cell, str) for cell in cells if cell is not None)
        if only_text and widths[at] * 2 > max(widths):
            return at
    return 0 if rows else None


def column_names(cells: Sequence[Any]) -> list[str]:
    """Return a name for each column: `column_3` where there is none, `name_2` for a second one of that name."""
    taken = {name.casefold() for name in _OURS}
    names = []
    for number, cell in enumerate(cells, 1):
        base = ("" if cell is None else str(cell)).strip() or f"column_{number}"
        name, count = base, 1
        while name.casefold() in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name.casefold())
        names.append(name)
    return names
