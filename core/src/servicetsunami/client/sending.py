"""Sending a file to the link that a server gave for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread

from servicetsunami.client.errors import bad_answer, connection_lost, error_of
from servicetsunami.sdk import Json, NotFound

_PART_BYTES = 1 << 20
_SECONDS = 300.0


async def send_file(url: str, file: Path) -> Json:
    """Send a file as it is read and return the answer; raises the error that the server answers with."""
    import httpx2

    try:
        async with httpx2.AsyncClient(timeout=_SECONDS) as web:
            answer = await web.put(url, content=_parts(file))
    except httpx2.HTTPError as error:
        raise connection_lost("the server", "the upload") from error
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise bad_answer("the upload", f"its status is {answer.status_code}")
    if "error" in found:
        raise error_of(found["error"])
    return found


async def _parts(file: Path) -> AsyncIterator[bytes]:
    with _opened(file) as opened:
        while part := await anyio.to_thread.run_sync(opened.read, _PART_BYTES):
            yield part


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise NotFound(
            f"the file '{file}' cannot be read, so nothing was uploaded",
            code="file_not_read",
            why=error.strerror,
            fix="check its path",
        ) from error
