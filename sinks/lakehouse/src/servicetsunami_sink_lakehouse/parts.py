"""Writes the Parquet files of a table, a row group at a time, and reads their statistics off their footers."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from servicetsunami_sink_lakehouse.disk import make_folder, sync_file
from servicetsunami_sink_lakehouse.footers import statistics_of

ROW_GROUP_ROWS = 262_144
_ROW_GROUP_BYTES = 32 * 1024 * 1024
_PART_ROWS = 4 * ROW_GROUP_ROWS
_SAMPLE_ROWS = 8_192
_FEW_VALUES = 400


@dataclass(frozen=True)
class Part:
    """A finished, synced Parquet file; `stats` is the JSON that the Delta log keeps of it."""

    path: Path
    rows: int
    size_bytes: int
    stats: str

    @property
    def name(self) -> str:
        """Return the file's name in the table's folder."""
        return self.path.name


class PartsWriter:
    """Writes batches into files of about a million rows, so that a merge rewrites only those it touches.

    It holds at most one row group of batches. A file has one schema; another schema begins another file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._open: _OpenPart | None = None
        self._finished: list[Part] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch in."""
        if not batch.num_rows:
            return
        if self._pending and not self._pending[0].schema.equals(batch.schema):
            self._close_part()
        self._pending.append(batch)
        self._pending_bytes += batch.nbytes
        if self._pending_bytes >= _ROW_GROUP_BYTES:
            self._write_pending()
        elif _rows(self._pending) >= ROW_GROUP_ROWS:
            self._write_full_groups()

    def finish(self) -> list[Part]:
        """Close the files and hand them over, in the order their rows came."""
        self._close_part()
        finished, self._finished = self._finished, []
        return finished

    def discard(self) -> None:
        """Delete what was written and not handed over."""
        self._pending, self._pending_bytes = [], 0
        if self._open is not None:
            self._open.discard()
            self._open = None
        for part in self._finished:
            part.path.unlink(missing_ok=True)
        self._finished = []

    def _write_full_groups(self) -> None:
        """Write whole row groups and keep the rest, which would make a small one."""
        held = pa.Table.from_batches(self._pending)
        full = held.num_rows - held.num_rows % ROW_GROUP_ROWS
        self._pending = held.slice(full).to_batches()
        self._pending_bytes = sum(batch.nbytes for batch in self._pending)
        self._write_row_group(held.slice(0, full))

    def _write_pending(self) -> None:
        if self._pending:
            held, self._pending, self._pending_bytes = pa.Table.from_batches(self._pending), [], 0
            self._write_row_group(held)

    def _write_row_group(self, table: pa.Table) -> None:
        if self._open is not None and not self._open.schema.equals(table.schema):
            self._close_file()
        if self._open is None:
            make_folder(self._folder)
            self._open = _OpenPart(self._folder / f"{uuid.uuid4().hex}.parquet", table)
        self._open.write(table)
        if self._open.rows >= _PART_ROWS:
            self._close_file()

    def _close_part(self) -> None:
        self._write_pending()
        self._close_file()

    def _close_file(self) -> None:
        if self._open is not None:
            self._finished.append(self._open.close())
            self._open = None


class _OpenPart:
    def __init__(self, path: Path, sample: pa.Table) -> None:
        self.schema = sample.schema
        self.rows = 0
        self._path = path
        self._file = pa.OSFile(str(path), "wb")
        try:
            self._writer = self._begun(sample)
        except BaseException:
            self._file.close()
            path.unlink(missing_ok=True)
            raise

    def _begun(self, sample: pa.Table) -> pq.ParquetWriter:
        """Write the first bytes."""
        return pq.ParquetWriter(
            self._file,
            sample.schema,
            compression="snappy",
            use_dictionary=_worth_a_dictionary(sample),
            store_schema=False,
        )

    def write(self, table: pa.Table) -> None:
        """Write one row group."""
        self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self.rows += table.num_rows

    def close(self) -> Part:
        """End the file and make it durable."""
        self._writer.close()
        self._file.close()
        sync_file(self._path)
        return part_of(self._path, self.schema)

    def discard(self) -> None:
        """Delete the unfinished file."""
        self._writer.is_open = False  # a writer that failed cannot be closed, and would try so when collected
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)


def _worth_a_dictionary(sample: pa.Table) -> list[str] | bool:
    """Name the columns with few distinct values; for others a dictionary only costs time (measured: a third)."""
    head = sample.slice(0, _SAMPLE_ROWS)
    names = [name for name in head.column_names if _has_few_values(head.column(name))]
    return names or False


def _has_few_values(column: pa.ChunkedArray) -> bool:
    if pa.types.is_nested(column.type) or pa.types.is_boolean(column.type):
        return False
    distinct: int = pc.count_distinct(column, mode="all").as_py()
    return distinct <= min(_FEW_VALUES, max(1, len(column) // 4))


def _rows(batches: list[pa.RecordBatch]) -> int:
    return sum(batch.num_rows for batch in batches)


def part_of(path: Path, schema: pa.Schema) -> Part:
    """Describe a file that was written before."""
    footer = pq.read_metadata(path)
    return Part(path, footer.num_rows, path.stat().st_size, statistics_of(footer, schema))
