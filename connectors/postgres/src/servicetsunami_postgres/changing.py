"""Changes as batches: the log's texts become the same values that a read of the table gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from servicetsunami.sdk import OP, RESCUED, UNCHANGED
from servicetsunami_postgres import pgoutput
from servicetsunami_postgres.catalog import Column
from servicetsunami_postgres.feedfailures import lost
from servicetsunami_postgres.parsing import Misfits, bytes_of_hex, fitting

_NAMES = pa.list_(pa.string())


class Asks(Protocol):
    """What only the server can tell of changes."""

    def render(self, followed: Followed, column: Column, texts: Sequence[str | None]) -> list[str | None]:
        """Return texts as a read gives them: arrays, composite types, money; None for what is not understood."""

    def look_up(self, followed: Followed, rows: Sequence[Row], columns: Sequence[Column]) -> list[Sequence[str | None]]:
        """Return what each row has in these columns now, as the log would print it; None where it is gone."""


@dataclass(frozen=True)
class Followed:
    """A table of a feed, as it was when the changes that follow were made."""

    stream: str
    path: str
    """The quoted name it has now."""
    columns: tuple[Column | None, ...]
    """In the order of the log's cells, None for one that the role may not read; behind them what the log never tells:
    generated columns."""
    written: int
    """How many of the columns the log tells."""
    key: tuple[int, ...]
    """Which cells are the key."""
    casts: dict[str, str] = field(default_factory=dict)
    """By column, the type that only the server can render."""

    def key_columns(self) -> list[Column]:
        """Return the columns of the key."""
        return [column for number in self.key if (column := self.columns[number]) is not None]


@dataclass(frozen=True)
class Row:
    """One change as it lands."""

    op: str
    cells: pgoutput.Cells


def rows_of(change: pgoutput.Change, followed: Followed) -> Iterator[Row]:
    """Yield the change; an update of the key as a delete of the old row and a new one."""
    untold = len(followed.columns) - followed.written
    old = change.old and (*change.old, *(None,) * untold)
    if change.new is None:
        yield _deleted(old or (), followed)
        return
    new: pgoutput.Cells = (*change.new, *(pgoutput.UNCHANGED,) * untold)
    if old:
        new = tuple(_known(cell, old[i], i, followed) for i, cell in enumerate(new))
        if any(old[i] != new[i] for i in followed.key):
            yield _deleted(old, followed)
            yield Row("c", new)
            return
    yield Row(change.op, new)


def _deleted(old: pgoutput.Cells, followed: Followed) -> Row:
    if not old or any(old[number] is None for number in followed.key):
        raise lost(f"the log names a deleted row of {followed.stream} by other columns than its key")
    return Row("d", old)


def _known(cell: pgoutput.Cell, old: pgoutput.Cell, number: int, followed: Followed) -> pgoutput.Cell:
    # Where the replica identity is full the old row holds what the new one leaves out; a key is always told.
    return old if cell is pgoutput.UNCHANGED and (old is not None or number in followed.key) else cell


def completed(rows: Sequence[Row], followed: Followed, asks: Asks) -> list[Row]:
    """Look up at the source what a row needs and the log does not tell.

    That are generated columns, and what a row that got another key took along from the one that is gone. What is found
    is what the row has now: where that came later, the change that made it comes later too.
    """
    lacking = {at: numbers for at, row in enumerate(rows) if (numbers := _lacks(row, followed))}
    if not lacking:
        return list(rows)
    numbers = sorted({number for found in lacking.values() for number in found})
    columns = [column for number in numbers if (column := followed.columns[number]) is not None]
    found = asks.look_up(followed, [rows[at] for at in lacking], columns)
    completed = list(rows)
    for at, texts in zip(lacking, found, strict=True):
        completed[at] = _filled(rows[at], dict(zip(numbers, texts, strict=True)), lacking[at])
    return completed


def _lacks(row: Row, followed: Followed) -> list[int]:
    if pgoutput.UNCHANGED not in row.cells:
        return []
    return [
        number
        for number, cell in enumerate(row.cells)
        if cell is pgoutput.UNCHANGED
        and (row.op == "c" or number >= followed.written)
        and followed.columns[number] is not None
    ]


def _filled(row: Row, texts: dict[int, str | None], numbers: Sequence[int]) -> Row:
    cells = list(row.cells)
    for number in numbers:
        text = texts[number]
        cells[number] = None if text is None else text.encode()
    return Row(row.op, tuple(cells))


def change_batch(followed: Followed, told: Sequence[Row], asks: Asks) -> pa.RecordBatch:
    """Return the rows in their order: the table's columns, `_op`, and `_unchanged` and `_rescued` where needed."""
    rows = completed(told, followed, asks)
    misfits = Misfits(len(rows))
    unchanged = [_unchanged(row, followed) for row in rows]
    fields, arrays = [], []
    for column, cells in zip(followed.columns, _by_column(rows, followed, holed=any(unchanged)), strict=True):
        if column is not None:
            fields.append(column.field)
            arrays.append(_array(cells, column, _Landing(followed, misfits, asks)))
    fields.append(pa.field(OP, pa.string()))
    arrays.append(pa.array([row.op for row in rows], pa.string()))
    if any(unchanged):
        fields.append(pa.field(UNCHANGED, _NAMES))
        arrays.append(pa.array(unchanged, _NAMES))
    if misfits.cells:
        fields.append(pa.field(RESCUED, pa.string()))
        arrays.append(misfits.column())
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


@dataclass(frozen=True)
class _Landing:
    followed: Followed
    misfits: Misfits
    asks: Asks


def _array(cells: Sequence[bytes | None], column: Column, to: _Landing) -> pa.Array:
    texts = _texts(cells, column, to.misfits)
    if column.landing.is_hex:
        # The server prints \x before the digits.
        return bytes_of_hex(pa.array([text and text[2:] for text in texts.to_pylist()], pa.string()))
    if column.name in to.followed.casts:
        texts = _asked(texts.to_pylist(), column, to)
    if pa.types.is_string(column.landing.type):
        return texts
    return fitting(texts, column, to.misfits)


def _asked(texts: list[str | None], column: Column, to: _Landing) -> pa.Array:
    answers = to.asks.render(to.followed, column, texts)
    for row, (text, answer) in enumerate(zip(texts, answers, strict=True)):
        if answer is None and text is not None:
            to.misfits.add(row, column.name, text)
    return pa.array(answers, pa.string())


def _texts(cells: Sequence[bytes | None], column: Column, misfits: Misfits) -> pa.Array:
    raw = pa.array(cells, pa.binary())
    try:
        return raw.cast(pa.string())
    except pa.ArrowInvalid:
        return fitting(raw, column, misfits)


def _by_column(rows: Sequence[Row], followed: Followed, *, holed: bool) -> Iterator[Sequence[bytes | None]]:
    """Yield the cells of each column; `holed` where a cell may be one that the log does not repeat."""
    blank = (None,) * len(followed.columns)
    for cells in zip(*(row.cells or blank for row in rows), strict=True):
        yield [None if cell is pgoutput.UNCHANGED else cell for cell in cells] if holed else cells


def _unchanged(row: Row, followed: Followed) -> list[str]:
    if pgoutput.UNCHANGED not in row.cells:
        return []
    pairs = zip(row.cells, followed.columns, strict=True)
    return [column.name for cell, column in pairs if column is not None and cell is pgoutput.UNCHANGED]
