"""Changes as batches: the log's texts become the same values that a read of the table gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from servicetsunami.sdk import OP, RESCUED, UNCHANGED
from servicetsunami_postgres import pgoutput
from servicetsunami_postgres.catalog import Column
from servicetsunami_postgres.parsing import Misfits, bytes_of_hex, fitting

_NAMES = pa.list_(pa.string())


class Asks(Protocol):
    """What only the server can turn into the text that a read gives: arrays, composite types, money."""

    def __call__(self, followed: Followed, column: Column, texts: Sequence[str | None]) -> list[str | None]:
        """Return the texts as a read gives them; `None` also for one that the server does not understand any more."""


@dataclass(frozen=True)
class Followed:
    """A table of a feed, as it was when the changes that follow were made."""

    stream: str
    columns: tuple[Column | None, ...]
    """In the order of the log's cells; None for one that the role may not read."""
    key: tuple[int, ...]
    """Which cells are the key."""
    casts: dict[str, str] = field(default_factory=dict)
    """By column, the type that only the server can render."""


@dataclass(frozen=True)
class Row:
    """One change as it lands."""

    op: str
    cells: pgoutput.Cells


def rows_of(change: pgoutput.Change, followed: Followed) -> Iterator[Row]:
    """Yield the change; an update of the key as a delete of the old row and a new one."""
    if change.new is None:
        yield Row("d", change.old or ())
        return
    new = change.new
    if change.old is not None:
        # A key that the log does not repeat is the one it was.
        new = tuple(_known(cell, change.old[i], i, followed) for i, cell in enumerate(new))
        if any(change.old[i] != new[i] for i in followed.key):
            yield Row("d", change.old)
            yield Row("c", new)
            return
    yield Row(change.op, new)


def _known(cell: pgoutput.Cell, old: pgoutput.Cell, number: int, followed: Followed) -> pgoutput.Cell:
    # Where the replica identity is full the old row holds what the new one leaves out.
    return old if cell is pgoutput.UNCHANGED and (old is not None or number in followed.key) else cell


def change_batch(followed: Followed, rows: Sequence[Row], ask: Asks) -> pa.RecordBatch:
    """Return the rows in their order: the table's columns, `_op`, and `_unchanged` and `_rescued` where needed."""
    misfits = Misfits(len(rows))
    fields, arrays = [], []
    for number, column in enumerate(followed.columns):
        if column is not None:
            fields.append(column.field)
            arrays.append(_array([_value(row, number) for row in rows], column, _Landing(followed, misfits, ask)))
    fields.append(pa.field(OP, pa.string()))
    arrays.append(pa.array([row.op for row in rows], pa.string()))
    unchanged = [_unchanged(row, followed) for row in rows]
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
    ask: Asks


def _array(cells: list[bytes | None], column: Column, to: _Landing) -> pa.Array:
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
    answers = to.ask(to.followed, column, texts)
    for row, (text, answer) in enumerate(zip(texts, answers, strict=True)):
        if answer is None and text is not None:
            to.misfits.add(row, column.name, text)
    return pa.array(answers, pa.string())


def _texts(cells: list[bytes | None], column: Column, misfits: Misfits) -> pa.Array:
    raw = pa.array(cells, pa.binary())
    try:
        return raw.cast(pa.string())
    except pa.ArrowInvalid:
        return fitting(raw, column, misfits)


def _value(row: Row, number: int) -> bytes | None:
    cell = row.cells[number] if row.cells else None
    return None if cell is pgoutput.UNCHANGED else cell


def _unchanged(row: Row, followed: Followed) -> list[str]:
    if pgoutput.UNCHANGED not in row.cells:
        return []
    pairs = zip(row.cells, followed.columns, strict=True)
    return [column.name for cell, column in pairs if column is not None and cell is pgoutput.UNCHANGED]
