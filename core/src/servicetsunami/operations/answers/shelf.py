"""Whole results, kept in files for a while, so that their pages agree and the query runs once.

A file is an Arrow IPC file below `home/results/{tenant}`; its last batch has no rows and says whether the result is
complete. Whoever keeps a result makes room for it: what is old goes, and of a tenant with too much the oldest.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING

from servicetsunami.sdk import NotFound

if TYPE_CHECKING:
    import pyarrow as pa

LASTS = timedelta(hours=1)
"""How long a result can be read after it was kept."""
_ID = re.compile(r"res_[0-9a-f]{32}")
_COMPLETE = b"complete"
_KEPT, _DOWNLOAD, _UNFINISHED = ".arrow", ".download", ".part"


@dataclass(frozen=True)
class Bounds:
    """How much is kept: of one result, and of all results of a tenant."""

    rows: int = 1_000_000
    size_bytes: int = 256 * 1024 * 1024
    tenant_bytes: int = 1024 * 1024 * 1024
    tenant_results: int = 100


@dataclass(frozen=True)
class KeptResult:
    """A result that is kept, as far as it was."""

    id: str
    rows: int
    complete: bool
    """False if the result is longer than may be kept."""
    schema: pa.Schema
    size_bytes: int
    expires_at: datetime
    batches: tuple[pa.RecordBatch, ...]
    """Lie in the file until they are read."""

    def from_row(self, offset: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows from `offset` on."""
        for batch in self.batches:
            if offset < batch.num_rows:
                yield batch.slice(offset)
            offset = max(0, offset - batch.num_rows)


class Shelf:
    """The kept results of one tenant."""

    def __init__(self, home: Path, tenant: str, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self._folder = home / "results" / tenant

    def keep(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> str:
        """Write a result to a file as it comes, as far as the bounds allow; returns its id. Raises `OSError`."""
        self.make_room()
        with self.writing(new_id(), _KEPT) as (result_id, file):
            _write(file, schema, batches, self.bounds)
        self.make_room()
        return result_id

    def open(self, result_id: str) -> KeptResult:
        """Open a result; raises `NotFound` with code `result_expired` if it is not there (any more)."""
        import pyarrow as pa

        try:
            path = self.path(result_id, _KEPT)
            made = path.stat().st_mtime
            if made + LASTS.total_seconds() < time.time():
                raise expired()
            with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
                return _opened(result_id, path, made, reader)
        except (OSError, pa.ArrowInvalid) as error:
            raise expired() from error

    def ids(self) -> list[str]:
        """Return the ids of the results that can be read, the newest first."""
        found = sorted(self._files(), key=lambda one: -one[1])
        return [path.stem for path, made, _ in found if path.suffix == _KEPT and not _is_old(made)]

    def make_room(self) -> None:
        """Remove what is old, and the oldest of what is too much."""
        left_bytes, left_results = self.bounds.tenant_bytes, self.bounds.tenant_results
        for path, made, size in sorted(self._files(), key=lambda one: -one[1]):
            left_bytes -= size
            left_results -= 1
            if _is_old(made) or left_bytes < 0 or left_results < 0:
                with suppress(OSError):
                    path.unlink()

    @contextmanager
    def writing(self, result_id: str, suffix: str) -> Iterator[tuple[str, IO[bytes]]]:
        """Give a file to write, for nobody else to read; it appears under its name once it is whole."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = self._folder / f"{result_id}{_UNFINISHED}"
        try:
            with new_file(unfinished) as file:
                yield result_id, file
            unfinished.rename(self.path(result_id, suffix))
        finally:
            unfinished.unlink(missing_ok=True)

    def path(self, result_id: str, suffix: str) -> Path:
        """Return where a result lies; raises for what is no id."""
        if not _ID.fullmatch(result_id):
            raise expired()
        return self._folder / f"{result_id}{suffix}"

    def _files(self) -> Iterator[tuple[Path, float, int]]:
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                with suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    yield Path(entry.path), found.st_mtime, found.st_size


def new_id() -> str:
    """Make an id that nobody can guess."""
    return f"res_{secrets.token_hex(16)}"


def new_file(path: Path) -> IO[bytes]:
    """Make a file that only its owner may read; raises `FileExistsError`."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def sweep(home: Path) -> None:
    """Remove the old results of all tenants."""
    with suppress(FileNotFoundError):
        for folder in os.scandir(home / "results"):
            Shelf(home, folder.name).make_room()


def expired() -> NotFound:
    """Return the error for a result that is not there, in the same words whether or not it ever was."""
    return NotFound(
        "this result is not kept (any more): results stay for an hour, and the oldest go first when there are many",
        code="result_expired",
        field="cursor",
        fix="run the query again without a cursor",
    )


def _is_old(made: float) -> bool:
    return made + LASTS.total_seconds() < time.time()


def _write(file: IO[bytes], schema: pa.Schema, batches: Iterable[pa.RecordBatch], bounds: Bounds) -> None:
    import pyarrow as pa

    rows, size = bounds.rows, bounds.size_bytes
    with pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.slice(0, rows))
            rows, size = rows - batch.num_rows, size - batch.nbytes
            if rows < 0 or size < 0:
                break
        complete = b"yes" if rows >= 0 and size >= 0 else b"no"
        writer.write_batch(pa.RecordBatch.from_pylist([], schema=schema), custom_metadata={_COMPLETE: complete})


def _opened(result_id: str, path: Path, made: float, reader: pa.ipc.RecordBatchFileReader) -> KeptResult:
    last = reader.num_record_batches - 1
    _, said = reader.get_batch_with_custom_metadata(last)
    batches = tuple(reader.get_batch(index) for index in range(last))
    return KeptResult(
        id=result_id,
        rows=sum(batch.num_rows for batch in batches),
        complete=said[_COMPLETE] == b"yes",
        schema=reader.schema,
        size_bytes=path.stat().st_size,
        expires_at=datetime.fromtimestamp(made, UTC) + LASTS,
        batches=batches,
    )
