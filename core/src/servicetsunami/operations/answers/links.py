"""Links by which an exported file is fetched once, by whoever has the link, within some minutes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urljoin

from servicetsunami.operations.answers.exports import Target
from servicetsunami.operations.answers.seals import Seal
from servicetsunami.operations.answers.shelf import LASTS, Shelf, new_id
from servicetsunami.operations.answers.writers import FORMATS, MEDIA_TYPES, Format
from servicetsunami.operations.read_only import changing
from servicetsunami.runtime.exposure import endpoint_of
from servicetsunami.sdk import NotFound

if TYPE_CHECKING:
    from servicetsunami.operations.app import App

PURPOSE = "export-link/v1"
PATH = "results/"
"""Where links lead, beside the server's endpoint."""
LINK_LASTS = timedelta(minutes=15)
_DOWNLOAD = ".download"
_PREFIX = "res_"
_TIME, _ID = 5, 16
_MOST_BYTES = 512 * 1024**2


@dataclass(frozen=True)
class Download:
    """A file that a link led to: open, gone from the disk, and to be closed by whoever asked for it."""

    file: IO[bytes]
    size_bytes: int
    name: str
    media_type: str


@changing("no file is written")
async def behind_link(app: App, tenant: str, kind: Format) -> Target:
    """Return a new file that can be fetched once by a link."""
    shelf = Shelf(app.settings.home, tenant)
    result_id = new_id()

    @contextmanager
    def opened() -> Iterator[tuple[IO[bytes], Path]]:
        shelf.make_room()
        with shelf.writing(result_id, _DOWNLOAD) as (_, file):
            yield file, shelf.path(result_id, _DOWNLOAD)

    expires = int(time.time() + LINK_LASTS.total_seconds())
    body = expires.to_bytes(_TIME, "big") + bytes.fromhex(result_id.removeprefix(_PREFIX))
    token = (await _seal(app)).text(body + bytes([FORMATS.index(kind)]) + tenant.encode())
    return Target(kind, opened, url=urljoin(endpoint_of(app.settings), PATH + token), most_bytes=_MOST_BYTES)


@changing("no file is given out")
async def open_export(app: App, token: str) -> Download:
    """Open what a link leads to, once: the token is the last part of its path, and whoever has it may read the file.

    Raises `NotFound` with code `link_expired` for any token that is not ours, is too old or was used. A front serves
    it at `results/{token}` beside its endpoint, as an attachment that nobody keeps, and closes the file.
    """
    body = (await _seal(app)).opened(token)
    if body is None or len(body) <= _TIME + _ID + 1:
        raise _gone()
    expires = datetime.fromtimestamp(int.from_bytes(body[:_TIME], "big"), UTC)
    result_id = f"{_PREFIX}{body[_TIME : _TIME + _ID].hex()}"
    kind, tenant = FORMATS[body[_TIME + _ID]], body[_TIME + _ID + 1 :].decode()
    if expires <= datetime.now(UTC) or not await app.records.spend(f"{PURPOSE}/{result_id}", until=expires + LASTS):
        raise _gone()
    return _taken(Shelf(app.settings.home, tenant).path(result_id, _DOWNLOAD), kind)


def _taken(path: Path, kind: Format) -> Download:
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise _gone() from error
    path.unlink(missing_ok=True)
    return Download(file, os.fstat(file.fileno()).st_size, f"result.{kind}", MEDIA_TYPES[kind])


async def _seal(app: App) -> Seal:
    return Seal(await app.records.derived_key(PURPOSE), (PURPOSE,))


def _gone() -> NotFound:
    return NotFound(
        "this link leads nowhere (any more): a link serves once and for some minutes",
        code="link_expired",
        fix="ask for the result again",
    )
