"""Names of columns: none empty, none twice, none that is ours."""

from __future__ import annotations

from collections.abc import Iterable

from servicetsunami.sdk import DELETED_AT, OP, RESCUED, UNCHANGED

SOURCE_FILE = "_source_file"
SOURCE_ROW = "_source_row"
SOURCE_MODIFIED = "_source_modified"
LINEAGE = (SOURCE_FILE, SOURCE_ROW, SOURCE_MODIFIED)
_OURS = frozenset((*LINEAGE, RESCUED, OP, UNCHANGED, DELETED_AT, "_seq", "_synced_at", "_sync_id"))


def distinct_names(found: Iterable[object]) -> list[str]:
    """Return a name for each column: `column_3` where there is none, `name_2` for a second one of that name."""
    taken = {name.casefold() for name in _OURS}
    names = []
    for number, cell in enumerate(found, 1):
        base = str(cell if cell is not None else "").strip() or f"column_{number}"
        name, count = base, 1
        while name.casefold() in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name.casefold())
        names.append(name)
    return names


def renamed(name: str) -> str:
    """Return another name for a field that is called as one of ours."""
    return f"{name}_2" if name.casefold() in _OURS else name or "column_1"
