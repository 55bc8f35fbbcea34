"""Whole results as files: in a folder of the tenant, at a path a person names, or behind a link that serves once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from servicetsunami.operations.answers.shelf import new_file
from servicetsunami.operations.answers.writers import FORMATS, Format, write
from servicetsunami.operations.models import ExportedFile
from servicetsunami.sdk import ConfigError, PermanentError, nearest

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER_BYTES = 16 * 1024**3
"""How much the exported files of a tenant may take."""


@dataclass(frozen=True)
class Target:
    """Where a file is written, how far, and how it is reached then."""

    kind: Format
    open: Callable[[], AbstractContextManager[tuple[IO[bytes], Path]]]
    """Gives the file; it is gone if the writing fails."""
    url: str | None = None
    most_rows: int = 10_000_000
    most_bytes: int = 4 * 1024**3
    """Of the rows in memory; the file is mostly smaller."""

    def export(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> ExportedFile:
        """Write the rows as they come; raises `PermanentError` with code `export_failed` if the disk cannot take it."""
        metered = _Metered(batches, self.most_rows, self.most_bytes)
        try:
            with self.open() as (file, path):
                write(self.kind, file, schema, metered)
                file.flush()
                size = file.tell()
        except OSError as error:
            raise _failed(error) from error
        return ExportedFile(
            format=self.kind,
            path=None if self.url else str(path),
            url=self.url,
            rows=metered.rows,
            size_bytes=size,
            truncated=metered.truncated,
        )


class _Metered:
    """Passes rows on up to a limit and counts them."""

    def __init__(self, batches: Iterable[pa.RecordBatch], most_rows: int, most_bytes: int) -> None:
        self.rows = 0
        self.truncated = False
        self._batches = batches
        self._most_rows = most_rows
        self._bytes_left = most_bytes

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            some = batch.slice(0, self._most_rows - self.rows)
            self.rows += some.num_rows
            self._bytes_left -= some.nbytes
            yield some
            if some.num_rows < batch.num_rows or self._bytes_left < 0:
                self.truncated = True
                return


def in_folder(home: Path, tenant: str, kind: Format) -> Target:
    """Return a new file in the tenant's folder of exports; raises `PermanentError` (`exports_full`) when it is full."""
    folder = home / "exports" / tenant
    name = f"query-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}.{kind}"

    @contextmanager
    def opened() -> Iterator[tuple[IO[bytes], Path]]:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_room(folder)
        with _appearing(folder / name) as file:
            yield file, folder / name

    return Target(kind, opened)


def at_path(path: Path) -> Target:
    """Return the file a person named, by its ending; raises `ConfigError` if it is there already or of no kind."""
    ending = path.suffix.removeprefix(".").casefold()
    if ending not in FORMATS:
        raise ConfigError(
            f"'{path.name}' ends in nothing that a result can be written as",
            code="unknown_format",
            field="output",
            fix=f"end it in one of: {', '.join(f'.{one}' for one in FORMATS)}",
            did_you_mean=nearest(ending, FORMATS),
        )
    if path.exists() or path.is_symlink():
        raise _exists(path)

    @contextmanager
    def opened() -> Iterator[tuple[IO[bytes], Path]]:
        try:
            with _appearing(path) as file:
                yield file, path.absolute()
        except FileExistsError as error:
            raise _exists(path) from error

    return Target(ending, opened)


@contextmanager
def _appearing(path: Path) -> Iterator[IO[bytes]]:
    """Give a new file for nobody else to read; it goes again if the writing fails."""
    with new_file(path) as file:
        try:
            yield file
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _check_room(folder: Path) -> None:
    if sum(file.stat().st_size for file in folder.iterdir()) >= FOLDER_BYTES:
        raise PermanentError(
            f"the folder {folder} holds {FOLDER_BYTES // 1024**3} GiB of exported files, so no other is written",
            code="exports_full",
            fix="a person can delete the ones that are not needed any more",
        )


def _exists(path: Path) -> ConfigError:
    return ConfigError(
        f"there is a file '{path.name}' already, and no export writes over one",
        code="file_exists",
        field="output",
        fix="choose another name, or remove the file first",
    )


def _failed(error: OSError) -> PermanentError:
    return PermanentError(
        "the file could not be written, so nothing is left of it",
        code="export_failed",
        why=error.strerror,
        fix="make room on the disk, or choose a folder that may be written; or select fewer rows",
    )
