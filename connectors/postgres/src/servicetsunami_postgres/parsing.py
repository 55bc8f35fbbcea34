"""COPY's CSV becomes Arrow, a chunk at a time: at once where every value fits, cell by cell where one does not."""

from __future__ import annotations

import binascii
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from servicetsunami.sdk import RESCUED
from servicetsunami_postgres.catalog import Column

_RESCUED_FIELD = pa.field(RESCUED, pa.string())


class Parser:
    """Turns chunks of whole CSV records into batches of these columns."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._schema = pa.schema([column.field for column in columns])
        self._exact = {str(i): _csv_type(column) for i, column in enumerate(columns)}
        # What some cell may hold and its column cannot, read as text; and text that may be no UTF-8, read as bytes.
        misfits = {name: pa.string() for name in self._exact if self._column(name).landing.fits}
        texts = {name: pa.binary() for name, kind in self._exact.items() if pa.types.is_string(kind)}
        self._doubts: tuple[Mapping[str, pa.DataType], ...] = ({}, misfits, {**misfits, **texts})

    def parse(self, chunk: bytes | bytearray) -> pa.RecordBatch:
        """Return the rows of one chunk; with a column `_rescued` if a cell did not fit."""
        *doubts, last = self._doubts
        for doubtful in doubts:
            # A doubted column costs time, so no more of them are than the chunk asks for.
            with suppress(pa.ArrowInvalid):
                return self._parse(chunk, doubtful)
        return self._parse(chunk, last)

    def _parse(self, chunk: bytes | bytearray, doubtful: Mapping[str, pa.DataType]) -> pa.RecordBatch:
        table = _read(chunk, {**self._exact, **doubtful})
        columns, misfits = _columns_of(table), Misfits(table.num_rows)
        for name in doubtful:
            columns[int(name)] = fitting(columns[int(name)], self._column(name), misfits)
        return self._batch(columns, misfits)

    def _column(self, name: str) -> Column:
        return self._columns[int(name)]

    def _batch(self, columns: list[pa.Array], misfits: Misfits) -> pa.RecordBatch:
        for i, column in enumerate(self._columns):
            if column.landing.is_hex:
                columns[i] = bytes_of_hex(columns[i])
        if not misfits.cells:
            return pa.RecordBatch.from_arrays(columns, schema=self._schema)
        return pa.RecordBatch.from_arrays([*columns, misfits.column()], schema=self._schema.append(_RESCUED_FIELD))


class Misfits:
    """The cells that did not fit their column, by row."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.cells: dict[int, dict[str, str]] = {}

    def add(self, row: int, column: str, text: str) -> None:
        """Keep the text of one cell."""
        self.cells.setdefault(row, {})[column] = text

    def column(self) -> pa.Array:
        """Return the column `_rescued`."""
        texts: list[str | None] = [None] * self._rows
        for row, cells in self.cells.items():
            texts[row] = json.dumps(cells, ensure_ascii=False)
        return pa.array(texts, pa.string())


def fitting(texts: pa.Array, column: Column, misfits: Misfits) -> pa.Array:
    """Return `texts` as the column's type; what does not fit becomes null and goes to `misfits`."""
    if pa.types.is_binary(texts.type):
        return _readable(texts, column, misfits)
    if column.landing.fits is None:
        return typed(texts, column.landing.type)
    fits = pc.match_substring_regex(texts, column.landing.fits)
    for row in pc.indices_nonzero(pc.invert(fits)).to_pylist():
        misfits.add(row, column.name, texts[row].as_py())
    return typed(pc.if_else(fits, texts, pa.scalar(None, texts.type)), column.landing.type)


def typed(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Convert texts as the CSV reader does; casts know neither times nor PostgreSQL's booleans."""
    if not len(texts):
        return pa.array([], kind)
    buffer = io.BytesIO()
    csv.write_csv(pa.table([texts], names=["0"]), buffer, csv.WriteOptions(include_header=False))
    return _columns_of(_read(buffer.getvalue(), {"0": kind}))[0]


def _readable(raw: pa.Array, column: Column, misfits: Misfits) -> pa.Array:
    """Return bytes as text; a database without an encoding may hold what is no UTF-8."""
    texts: list[str | None] = []
    for row, value in enumerate(raw.to_pylist()):
        try:
            texts.append(None if value is None else value.decode())
        except UnicodeDecodeError:
            texts.append(None)
            misfits.add(row, column.name, value.decode(errors="backslashreplace"))
    return pa.array(texts, pa.string())


def _csv_type(column: Column) -> pa.DataType:
    return pa.string() if column.landing.is_hex else column.landing.type


def _read(chunk: bytes | bytearray, types: dict[str, pa.DataType]) -> pa.Table:
    return csv.read_csv(
        pa.BufferReader(pa.py_buffer(chunk)),
        # One block: the chunk is cut at records already.
        read_options=csv.ReadOptions(column_names=list(types), block_size=len(chunk) + 1, use_threads=False),
        # An empty line is a row whose only column is null.
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )


def _columns_of(table: pa.Table) -> list[pa.Array]:
    return [column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns]


def bytes_of_hex(texts: pa.Array) -> pa.Array:
    """Decode a whole column in one call: its values lie one behind the other in one buffer."""
    _, offsets, data = texts.buffers()
    ends = pa.Array.from_buffers(pa.int32(), len(texts) + 1, [None, offsets], offset=texts.offset)
    first, last = ends[0].as_py(), ends[-1].as_py()
    raw = binascii.unhexlify(memoryview(data)[first:last]) if data is not None else b""
    halved = pc.shift_right(pc.subtract(ends, pa.scalar(first, pa.int32())), pa.scalar(1, pa.int32()))
    return pa.Array.from_buffers(
        pa.binary(), len(texts), [_validity(texts), halved.buffers()[1], pa.py_buffer(raw)], texts.null_count
    )


def _validity(texts: pa.Array) -> pa.Buffer | None:
    return pc.is_valid(texts).buffers()[1] if texts.null_count else None
