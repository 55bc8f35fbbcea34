"""Where files are: folders of the host, or an object store; both list and open alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

from servicetsunami.sdk import Context, FileEntry
from servicetsunami_files.config import FilesConfig

SCHEMES = ("s3", "gs", "az")


class Files(Protocol):
    """Lists files and opens them."""

    def list_files(self, path: str) -> Iterator[FileEntry]:
        """Yield the file at `path`, or what is below the folder there."""

    def open_file(self, path: str) -> BinaryIO:
        """Open a file; the caller closes it."""


def files_of(config: FilesConfig, ctx: Context) -> Files:
    """Return where the files of a connection are; an object store is to be closed."""
    if urlsplit(config.location).scheme not in SCHEMES:
        return ctx
    from servicetsunami_files.remote.reach import RemoteFiles

    return RemoteFiles(config, ctx)
