"""Reading rows: page by page along the key, all pages of one moment; or as one stream where there is no key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Float, Select, column, func, literal_column, select, table, tuple_
from sqlalchemy import types as sql

from servicetsunami.sdk import Read, Split
from servicetsunami.sdk.infer import natural
from servicetsunami_sqlalchemy.config import MYSQL
from servicetsunami_sqlalchemy.tables import Found
from servicetsunami_sqlalchemy.types import converter

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_ROWS = 20_000
_SINGLE = frozenset({"FLOAT"})
Row = Sequence[Any]
Rows = Sequence[Row]


class Pages:
    """The rows of one read, as Arrow batches."""

    def __init__(self, connection: Connection, found: Found, read: Read) -> None:
        self._connection = connection
        self._found = found
        self._read = read
        wanted = read.columns or tuple(found.kinds)
        extra = [name for name in (*found.key, *self._cursor()) if name not in wanted]
        self._names = [*(name for name in found.kinds if name in wanted), *extra]
        self._kept = len(self._names) - len(extra)
        self._from = table(found.name, *(column(name) for name in found.kinds), schema=found.schema)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        left = self._read.limit
        for rows in self._pages():
            some = rows if left is None else rows[:left]
            if some:
                yield from self._batch(some)
            left = None if left is None else left - len(some)
            if left == 0:
                return

    def _pages(self) -> Iterator[Rows]:
        size = min(self._read.batch_rows, _MOST_ROWS, self._read.limit or _MOST_ROWS)
        if not self._found.key:
            with self._connection.execution_options(stream_results=True, yield_per=size).execute(
                self._query()
            ) as found:
                yield from found.partitions(size)
            return
        after: tuple[Any, ...] | None = None
        while True:
            rows = self._connection.execute(self._query(after).limit(size)).all()
            if rows:
                yield rows
            if len(rows) < size:
                return
            after = tuple(rows[-1][self._names.index(name)] for name in self._found.key)

    def _query(self, after: tuple[Any, ...] | None = None) -> Select[Any]:
        query = select(*(self._selected(name) for name in self._names)).select_from(self._from)
        query = query.where(*self._bounds())
        if not self._found.key:
            return query
        keys = [self._from.c[name] for name in self._found.key]
        if after is not None:
            query = query.where(_beyond(keys, after))
        return query.order_by(*keys)

    def _selected(self, name: str) -> ColumnElement[Any]:
        """Select a column as the driver gives it, but for a single-precision float: MySQL shows six digits of it."""
        found = self._from.c[name]
        if self._connection.dialect.name in MYSQL and type(self._found.kinds[name]).__name__ in _SINGLE:
            return (found * literal_column("1e0", Float)).label(name)
        return found

    def _bounds(self) -> Iterator[ColumnElement[bool]]:
        for name in self._cursor():
            yield self._from.c[name] >= self._since()
        split = self._read.split
        if split is not None:
            key = self._from.c[self._found.key[0]]
            if split.params["from"] is not None:
                yield key >= split.params["from"]
            if split.params["to"] is not None:
                yield key < split.params["to"]

    def _cursor(self) -> tuple[str, ...]:
        cursor = self._read.stream.cursor
        return (cursor,) if cursor and self._read.since is not None else ()

    def _since(self) -> Any:
        """Return the bound as the database keeps it: SQLite has moments as text, with and without a fraction."""
        since = self._read.since
        if isinstance(since, datetime):
            since = since.replace(tzinfo=None)
            return str(since) if self._connection.dialect.name == "sqlite" else since
        return str(since) if self._connection.dialect.name == "sqlite" and hasattr(since, "isoformat") else since

    def _batch(self, rows: Rows) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        schema = self._found.arrow
        columns: dict[str, list[Any]] = {}
        for name, cells in zip(self._names, zip(*rows, strict=True), strict=True):
            convert = converter(self._found.kinds[name], schema.field(name).type)
            columns[name] = [None if cell is None else convert(cell) for cell in cells] if convert else list(cells)
        kept = self._after_since(columns, len(rows))
        names = self._names[: self._kept]
        if kept:
            yield pa.RecordBatch.from_pydict({name: natural([columns[name][row] for row in kept]) for name in names})

    def _after_since(self, columns: dict[str, list[Any]], count: int) -> list[int]:
        """Leave out what a comparison of texts let through."""
        since = self._read.since
        for name in self._cursor():
            cells = columns[name]
            return [row for row in range(count) if type(cells[row]) is not type(since) or cells[row] >= since]
        return list(range(count))


def _beyond(keys: Sequence[ColumnElement[Any]], after: tuple[Any, ...]) -> ColumnElement[bool]:
    bound: ColumnElement[bool] = keys[0] > after[0] if len(keys) == 1 else tuple_(*keys) > tuple_(*after)
    return bound


def plan(connection: Connection, found: Found, target: int) -> list[Split]:
    """Return parts of the table by ranges of its key, if that is one whole number."""
    if len(found.key) != 1 or not isinstance(found.kinds[found.key[0]], sql.Integer) or target < 2:
        return []
    key: ColumnElement[Any] = column(found.key[0])
    rows = table(found.name, schema=found.schema)
    low, high = connection.execute(select(func.min(key), func.max(key)).select_from(rows)).one()
    if low is None or high - low < target:
        return []
    edges = [None, *(low + (high - low) * part // target for part in range(1, target)), None]
    return [Split(f"{number}", {"from": edges[number], "to": edges[number + 1]}) for number in range(target)]
