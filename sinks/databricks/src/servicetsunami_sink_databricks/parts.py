"""Writes rows into Parquet files and uploads each as soon as it is full, while the next one is written."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from servicetsunami.sdk import TransientError
from servicetsunami_sink_databricks.stage import Stage

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_GROUP_BYTES = 32 * 1024 * 1024
"""Rows are buffered to this size before a row group of a file is written."""
_WAITING = 1
"""Files that may wait for their upload: with the one that is written, the most that lies on the disk."""


class Parts:
    """The files of one load, all with one schema."""

    def __init__(self, local: Path, folder: str, stage: Stage, part_bytes: int) -> None:
        self.folder = folder
        self.rows = 0
        self._local = local
        self._stage = stage
        self._part_bytes = part_bytes
        self._buffered: list[pa.RecordBatch] = []
        self._buffered_bytes = 0
        self._writer: pq.ParquetWriter | None = None
        self._file: Path | None = None
        self._count = 0
        self._uploads: deque[Future[None]] = deque()
        self._uploader = ThreadPoolExecutor(1, thread_name_prefix="upload")

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows; blocks while earlier files are uploaded."""
        self.rows += batch.num_rows
        self._buffered.append(batch)
        self._buffered_bytes += batch.nbytes
        if self._buffered_bytes >= _GROUP_BYTES:
            self._flush()

    def finish(self) -> None:
        """Wait until every file is in the stage; raises what an upload raised."""
        self._flush()
        self._end_file()
        while self._uploads:
            self._uploads.popleft().result()

    def close(self) -> None:
        """Let go of the thread and of the files on this disk."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._uploader.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._local, ignore_errors=True)

    def _flush(self) -> None:
        rows = [batch for batch in self._buffered if batch.num_rows]
        self._buffered, self._buffered_bytes = [], 0
        if not rows:
            return
        writer = self._writer or self._new_file(rows)
        writer.write_table(pa.Table.from_batches(rows), row_group_size=sum(batch.num_rows for batch in rows))
        if self._file is not None and self._file.stat().st_size >= self._part_bytes:
            self._end_file()

    def _new_file(self, rows: Sequence[pa.RecordBatch]) -> pq.ParquetWriter:
        import pyarrow.parquet as pq

        try:
            self._local.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = self._local / f"{self._count:05}.parquet"
            self._writer = pq.ParquetWriter(self._file, rows[0].schema, compression="zstd")
        except OSError as error:
            raise TransientError("rows could not be written to this disk", code="disk_error") from error
        self._count += 1
        return self._writer

    def _end_file(self) -> None:
        if self._writer is None or self._file is None:
            return
        self._writer.close()
        self._writer = None
        while len(self._uploads) > _WAITING:
            self._uploads.popleft().result()
        self._uploads.append(self._uploader.submit(self._upload, self._file))

    def _upload(self, file: Path) -> None:
        self._stage.upload(file, f"{self.folder}/{file.name}")
        file.unlink()
