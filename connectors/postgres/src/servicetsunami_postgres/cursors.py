"""Which columns tell that a row has changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from servicetsunami_postgres.catalog import Column

_CHANGED = re.compile(
    r"(^|_)(last_)?(updat(e|ed)|modif(y|ied)|chang(e|ed))(_?(at|on|time|date|ts|timestamp|utc|datetime))*$"
)
_CREATED = re.compile(r"(^|_)(creat(e|ed)|insert(ed)?|added)(_|$)")


def default_cursor(columns: Sequence[Column], key: tuple[str, ...]) -> str | None:
    """Return the timestamp that by its name is set whenever a row changes; one that is never null comes first.

    Without a key, one that may be null does not count: rows without a value would never come again.
    """
    changed = [
        column
        for column in columns
        if _is_timestamp(column) and _CHANGED.search(_snake(column.name)) and (key or column.required)
    ]
    return min(changed, key=lambda column: not column.required).name if changed else None


def cursor_candidates(columns: Sequence[Column], key: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that may serve as cursor, the likeliest first."""
    chosen = default_cursor(columns, key)
    ranked = [(rank, column) for column in columns if (rank := _rank(column, key)) is not None]
    ranked.sort(key=lambda item: (item[1].name != chosen, item[0], not item[1].required))
    return tuple(column.name for _, column in ranked)


def _rank(column: Column, key: tuple[str, ...]) -> int | None:
    if _is_timestamp(column):
        return 1 if _CREATED.search(_snake(column.name)) else 0
    if pa.types.is_date(column.landing.type):
        return 2
    # Keys that count up find new rows, though not changed ones.
    if pa.types.is_integer(column.landing.type) and key == (column.name,):
        return 3
    return None


def _is_timestamp(column: Column) -> bool:
    return bool(pa.types.is_timestamp(column.landing.type))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
