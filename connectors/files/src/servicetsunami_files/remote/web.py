"""A file at a web address: fetched whole through the host, and kept on disk for as long as it is read."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from servicetsunami.sdk import Context, FileEntry
from servicetsunami.sdk.http import HttpResponse
from servicetsunami_files.config import FilesConfig


class WebFile:
    """The one file at a location that is a web address; `close()` removes what was fetched."""

    def __init__(self, config: FilesConfig, ctx: Context) -> None:
        self._url = config.location
        self._ctx = ctx

    def list_files(self, _location: str) -> Iterator[FileEntry]:
        """Fetch the file and yield it; raises what `ctx.http` raises."""
        file, changed_ns = self._fetched
        name = PurePosixPath(unquote(urlsplit(self._url).path)).name or "file"
        yield FileEntry(name, file.stat().st_size, changed_ns)

    def open_file(self, _path: str) -> BinaryIO:
        """Open what was fetched."""
        return self._fetched[0].open("rb")

    def close(self) -> None:
        """Remove what was fetched."""
        if "_fetched" in vars(self):
            self._fetched[0].unlink(missing_ok=True)

    @cached_property
    def _fetched(self) -> tuple[Path, int]:
        parts = urlsplit(self._url)
        http = self._ctx.http(f"{parts.scheme}://{parts.netloc}")
        try:
            answer = http.get(self._url)
        finally:
            http.close()
        descriptor, name = tempfile.mkstemp(dir=self._ctx.data_dir)
        with os.fdopen(descriptor, "wb") as file:
            file.write(answer.body)
        return Path(name), _changed_ns(answer)


def _changed_ns(answer: HttpResponse) -> int:
    """Return when the file changed, as its server says; now, if it does not."""
    try:
        return int(parsedate_to_datetime(answer.headers["last-modified"]).timestamp() * 1e9)
    except (KeyError, ValueError, TypeError):
        return time.time_ns()
