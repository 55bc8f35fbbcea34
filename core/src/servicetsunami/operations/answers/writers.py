"""Writing a whole result as a file, a batch at a time.

A text cell of a CSV that a spreadsheet would take for a formula gets a quote before it (OWASP ASVS 5.0, 1.2.10). The
other formats hold every value as it is.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

from servicetsunami.operations.models import Cell
from servicetsunami.operations.results import cell, rows_of

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["csv", "parquet", "jsonl", "arrow"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/jsonl",
    "arrow": "application/vnd.apache.arrow.file",
}
_FORMULA = "=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20"
_ROWS_OF_A_GROUP = 65_536


def write(kind: Format, file: IO[bytes], schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write batches as a file of this kind; columns of the same name get a number."""
    import pyarrow as pa

    named = pa.schema([field.with_name(name) for field, name in zip(schema, _unique(schema.names), strict=True)])
    _WRITERS[kind](file, named, (pa.RecordBatch.from_arrays(batch.columns, schema=named) for batch in batches))


def csv_text(schema: pa.Schema, rows: Iterable[Sequence[Cell]]) -> str:
    """Return rows of an answer as CSV, guarded as files are."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_guarded(name) for name in schema.names)
    ways = [_guarded if _is_text(field.type) else _plain for field in schema]
    for row in rows:
        writer.writerow(way(value) for way, value in zip(ways, row, strict=True))
    return file.getvalue()


def _write_csv(file: IO[bytes], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    from pyarrow.csv import CSVWriter, WriteOptions

    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(_guarded(name) for name in schema.names)
    file.write(header.getvalue().encode())
    first = next(batches, None)
    if first is None:
        return
    written = _csv_batch(first)
    with CSVWriter(file, written.schema, write_options=WriteOptions(include_header=False)) as writer:
        writer.write_batch(written)
        for batch in batches:
            writer.write_batch(_csv_batch(batch))


def _csv_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([_csv_column(column) for column in batch.columns], names=batch.schema.names)


def _csv_column(column: pa.Array[Any]) -> pa.Array[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if _is_text(kind):
        risky = pc.match_substring_regex(column, f"^[{_FORMULA.replace('-', chr(92) + '-')}]")
        return pc.if_else(risky, pc.binary_join_element_wise(pa.scalar("'", kind), column, pa.scalar("", kind)), column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_date32(kind):
        return column
    texts = (cell(value) for value in column.to_pylist())
    return pa.array([None if text is None else str(text) for text in texts], pa.string())


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _guarded(value: Cell) -> Cell:
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple(_FORMULA) else value


def _plain(value: Cell) -> Cell:
    return str(value).lower() if isinstance(value, bool) else value


def _write_jsonl(file: IO[bytes], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    for row in rows_of(batches):
        line = json.dumps(dict(zip(schema.names, row, strict=True)), ensure_ascii=False, separators=(",", ":"))
        file.write(line.encode() + b"\n")


def _write_parquet(file: IO[bytes], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    with ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _grouped(batches):
            writer.write_table(pa.Table.from_batches(group, schema))


def _write_arrow(file: IO[bytes], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    import pyarrow as pa

    with pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _grouped(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    for batch in batches:
        group.append(batch)
        if sum(one.num_rows for one in group) >= _ROWS_OF_A_GROUP:
            yield group
            group = []
    if group:
        yield group


def _unique(names: Sequence[str]) -> list[str]:
    taken: dict[str, None] = {}
    for name in names:
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        taken[free] = None
    return list(taken)


_WRITERS: Mapping[Format, Callable[[IO[bytes], pa.Schema, Iterator[pa.RecordBatch]], None]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
    "jsonl": _write_jsonl,
    "arrow": _write_arrow,
}
