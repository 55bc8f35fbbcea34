"""Opening a file: through its compression, within its limits, unchanged from beginning to end."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from servicetsunami_files.config import FilesConfig
from servicetsunami_files.failures import changed, refused, too_large
from servicetsunami_files.filesystem import Files
from servicetsunami_files.places import Place, endings

if TYPE_CHECKING:
    import pyarrow as pa

MIB = 1 << 20
_FREE = 64 * MIB
"""What a compressed file may grow to whatever its size: small files of repeated text shrink very well."""
_CUT_SHORT = "its compressed content is cut short or damaged"


class Readable(Protocol):
    """Bytes, in order."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""


@contextmanager
def open_raw(files: Files, place: Place, config: FilesConfig) -> Iterator[BinaryIO]:
    """Open a file as it lies on disk; raises `TransientError` if it changes meanwhile."""
    if place.size_bytes > config.max_file_mb * MIB:
        raise too_large(place.name, f"it has {place.size_bytes // MIB} MiB", "max_file_mb")
    with files.open_file(place.path) as file:
        before = _state(file)
        if not before[0]:
            raise refused(place.name, "it is empty", code="empty_file", fix="check what writes it, or remove it")
        yield file
        if _state(file) != before:
            raise changed(place.name)


@contextmanager
def open_bytes(files: Files, place: Place, config: FilesConfig) -> Iterator[Readable]:
    """Open the content of a file, decompressed as it is read."""
    with open_raw(files, place, config) as file:
        if place.compression == "none":
            yield file
        elif place.compression == "zip":
            with _open_zip(file, place) as inner:
                yield _Bounded(cast("Readable", inner), place, config.max_ratio)
        else:
            yield _Bounded(_decompressed(file, place.compression), place, config.max_ratio)


def need_plain(place: Place) -> None:
    """Refuse a compressed file of a format that is read from its end."""
    if place.compression != "none":
        raise refused(
            place.name,
            f"it is a compressed {place.format} file",
            code="compressed",
            fix="unpack it; such files are compressed within",
        )


def _state(file: BinaryIO) -> tuple[Any, ...]:
    raw = getattr(file, "raw", None)
    version: tuple[Any, ...] | None = getattr(raw, "state", None)
    if version is not None:
        return version
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def _decompressed(file: BinaryIO, compression: str) -> Readable:
    import pyarrow as pa

    stream: pa.NativeFile = pa.CompressedInputStream(pa.PythonFile(file, "r"), compression)
    return cast("Readable", stream)


class _Bounded:
    """Counts what comes out of a compressed file, and stops a bomb."""

    def __init__(self, inner: Readable, place: Place, ratio: int) -> None:
        self._inner = inner
        self._place = place
        self._most = max(_FREE, place.size_bytes * ratio)
        self._count = 0

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""
        try:
            data = self._inner.read(size)
        except (OSError, EOFError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise refused(
                self._place.name, _CUT_SHORT, code="bad_compression", fix="have it written or sent again"
            ) from error
        self._count += len(data)
        if self._count > self._most:
            raise too_large(self._place.name, "it unpacks to far more than its size", "max_ratio")
        return data


@contextmanager
def _open_zip(file: BinaryIO, place: Place) -> Iterator[object]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise refused(
            place.name, "it is no zip archive, or a damaged one", code="bad_compression", fix="have it written again"
        ) from error
    with archive:
        inner = [info for info in archive.infolist() if not info.is_dir()]
        if len(inner) != 1 or inner[0].flag_bits & 1:
            found = f"the archive holds {len(inner)} files" if len(inner) != 1 else "the archive has a password"
            raise refused(place.name, found, code="bad_archive", fix="put one file without a password into each zip")
        told = endings(inner[0].filename)[1]
        if told is not None and told != place.format:
            raise refused(
                place.name, f"the archive holds a file of format {told}", code="bad_archive", fix="set format"
            )
        with archive.open(inner[0]) as entry:
            yield entry
