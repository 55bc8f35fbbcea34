"""Where uploaded files are: `home/uploads/{tenant}/@uploads/{dataset}/{file}`, the folder that one connection reads.

What comes in lies aside until it is whole and was looked at. A dataset's files are exchanged by one rename.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import anyio.to_thread

from servicetsunami.sdk import ConfigError, TransientError

LOCATION = "@uploads"
"""What the connection's location is called, relative to the root: no folder of a person has such a name."""
_ASIDE = ".incoming"
_WRITE_BYTES = 1 << 20
_LEFT_SECONDS = 24 * 3600
"""How old what lies aside is when whoever brought it is gone for certain."""


def uploads_root(home: Path, tenant: str) -> Path:
    """Return the folder that the tenant's connections may read uploaded files in."""
    return home / "uploads" / tenant


@dataclass(frozen=True)
class Incoming:
    """A file that came in whole, and lies aside."""

    folder: Path
    location: str
    """The folder's path, as a connection names it."""
    dataset: str
    name: str
    size_bytes: int

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.folder / self.dataset / self.name


class UploadFolder:
    """The uploaded files of one tenant."""

    def __init__(self, home: Path, tenant: str) -> None:
        self._root = uploads_root(home, tenant)

    @contextmanager
    def aside(self) -> Iterator[Path]:
        """Make a folder for a file that comes in; what is left in it at the end is removed."""
        folder = self._root / LOCATION / _ASIDE / secrets.token_hex(8)
        with _disk_faults():
            folder.mkdir(mode=0o700, parents=True)
            self._root.chmod(0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._sweep()

    async def receive(
        self, folder: Path, dataset: str, name: str, parts: AsyncIterator[bytes], most_bytes: int
    ) -> Incoming:
        """Write a file as it comes; raises `ConfigError` (`file_too_large`) at the first byte too many."""
        below = folder / dataset
        with _disk_faults():
            below.mkdir(mode=0o700, exist_ok=True)
            size = 0
            with _private(below / name) as file:
                async for block in _blocks(parts):
                    size += len(block)
                    if size > most_bytes:
                        raise too_large(most_bytes)
                    await anyio.to_thread.run_sync(file.write, block)
                await anyio.to_thread.run_sync(_settle, file)
        return Incoming(folder, f"{LOCATION}/{_ASIDE}/{folder.name}", dataset, name, size)

    def place(self, incoming: Incoming, *, replace: bool) -> None:
        """Make a file one of its dataset, or all of it; the file that lay aside is moved."""
        target = self._root / LOCATION / incoming.dataset
        with _disk_faults():
            if replace or not target.exists():
                self._exchange(incoming.path.parent, target)
            else:
                incoming.path.rename(target / self._free_name(target, incoming))

    def formats(self, dataset: str) -> set[str]:
        """Return the endings of the files that a dataset has."""
        with suppress(FileNotFoundError):
            return {path.suffix.casefold() for path in (self._root / LOCATION / dataset).iterdir()}
        return set()

    def _exchange(self, fresh: Path, target: Path) -> None:
        former = fresh.parent / "former"
        with suppress(FileNotFoundError):
            target.rename(former)
        fresh.rename(target)

    def _free_name(self, target: Path, incoming: Incoming) -> str:
        digest = _digest(incoming.path)
        taken = {path.name for path in target.iterdir()}
        if any(path.stat().st_size == incoming.size_bytes and _digest(path) == digest for path in target.iterdir()):
            raise ConfigError(
                f"the dataset '{incoming.dataset}' holds this very file already, so it was not added again",
                code="already_uploaded",
                field="file_content",
                fix="upload it with mode `replace` to read it anew, or under another dataset name",
            )
        name, count = incoming.name, 1
        while name in taken:
            count += 1
            name = f"{incoming.path.stem}-{count}{incoming.path.suffix}"
        return name

    def _sweep(self) -> None:
        """Remove what processes left aside that were killed."""
        with suppress(OSError):
            for folder in (self._root / LOCATION / _ASIDE).iterdir():
                if time.time() - folder.stat().st_mtime > _LEFT_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)


def too_large(most_bytes: int) -> ConfigError:
    """Return the error for a file that is larger than one may be."""
    return ConfigError(
        f"the file has more than {most_bytes / (1 << 20):,.0f} MiB, so it was not taken",
        code="file_too_large",
        field="file_content",
        fix="upload it in parts with mode `append`, or have the operator raise the setting max_upload_mb",
    )


async def _blocks(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join what comes in small parts: a trip to a thread for each would cost more than the writing."""
    held: list[bytes] = []
    size = 0
    async for part in parts:
        held.append(part)
        size += len(part)
        if size >= _WRITE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file


def _settle(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@contextmanager
def _disk_faults() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise TransientError(
            "the disk is full, so the file was not taken" if full else "the file cannot be kept, so it was not taken",
            code="disk_full" if full else "uploads_unavailable",
            why=error.strerror,
            fix="make room and try again" if full else "check the folder `uploads` in the server's home",
        ) from error
