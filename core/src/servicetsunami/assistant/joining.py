"""Finds where a table seems to lead: columns named after another table's, or after its key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from servicetsunami.assistant.models import JoinHint
from servicetsunami.sdk import ColumnDetails, TableDetails


def joins(table: TableDetails, others: Iterable[TableDetails]) -> tuple[JoinHint, ...]:
    """Return the joins that names and types suggest, each column once per table."""
    return tuple(hint for other in others for hint in _to(table, other))


def _to(table: TableDetails, other: TableDetails) -> list[JoinHint]:
    name = other.summary.table
    known = {column.name.casefold(): column for column in other.columns}
    found = []
    for column in table.columns:
        target = _target(column, name.name, known, other.key)
        if target is not None and _alike(column, target):
            why = "named after the table" if target.name.casefold() != column.name.casefold() else "the other's key"
            found.append(JoinHint(column=column.name, to_table=str(name), to_column=target.name, why=why))
    return found


def _target(
    column: ColumnDetails, table: str, known: dict[str, ColumnDetails], key: Sequence[str]
) -> ColumnDetails | None:
    """Return the column of the other table that this one seems to hold a value of."""
    spelled = column.name.casefold()
    stem, mark, rest = spelled.rpartition("_")
    if mark and rest in ("id", "key", "code", "no", "number") and table in _plurals(stem) and rest in known:
        return known[rest]
    if len(key) == 1 and spelled == key[0].casefold() and spelled not in ("id", "key", "name"):
        return known.get(spelled)
    return None


def _plurals(stem: str) -> tuple[str, ...]:
    return (stem, f"{stem}s", f"{stem}es", f"{stem[:-1]}ies" if stem.endswith("y") else stem)


def _alike(one: ColumnDetails, other: ColumnDetails) -> bool:
    numbers = ("tinyint", "smallint", "int", "bigint")
    kinds = [column.type.casefold() for column in (one, other)]
    return kinds[0] == kinds[1] or all(kind in numbers for kind in kinds)
