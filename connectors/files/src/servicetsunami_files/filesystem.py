"""Where files are: folders of the host, an object store or a web address; all list and open alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

from servicetsunami.sdk import Context, FileEntry
from servicetsunami_files.config import FilesConfig

STORES = ("s3", "gs", "az")
WEB = ("http", "https")


class Files(Protocol):
    """Lists files and opens them."""

    def list_files(self, path: str) -> Iterator[FileEntry]:
        """Yield the file at `path`, or what is below the folder there."""

    def open_file(self, path: str) -> BinaryIO:
        """Open a file; the caller closes it."""


def files_of(config: FilesConfig, ctx: Context) -> Files:
    """Return where the files of a connection are; all but folders of the host are to be closed."""
    scheme = urlsplit(config.location).scheme
    if scheme in WEB:
        from servicetsunami_files.remote.web import WebFile

        return WebFile(config, ctx)
    if scheme in STORES:
        from servicetsunami_files.remote.reach import RemoteFiles

        return RemoteFiles(config, ctx)
    return ctx
