"""Notices plugins that are installed or uninstalled while the server runs, within two seconds."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from servicetsunami.sdk import TsunamiError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App

log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5
_METADATA = (".dist-info", ".egg-info")
Seen = frozenset[tuple[str, int]]


@asynccontextmanager
async def hotplugging(app: App) -> AsyncIterator[None]:
    """Keep the app's plugins up to date until the block ends."""
    task = asyncio.create_task(_watch(app, distributions()))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def distributions() -> Seen:
    """Return the folders of metadata of all that is installed, and when each changed."""
    return frozenset(entry for folder in dict.fromkeys(sys.path) for entry in _metadata_in(folder or "."))


def _metadata_in(folder: str) -> Iterator[tuple[str, int]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_METADATA):
                yield entry.path, entry.stat().st_mtime_ns


async def _watch(app: App, known: Seen) -> None:
    before = known
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        now = await asyncio.to_thread(distributions)
        # An installer writes for a while: what it writes is looked at once it has stopped.
        if now == before != known:
            known = now
            await _refresh(app)
        before = now


async def _refresh(app: App) -> None:
    try:
        await app.refresh_plugins()
    except TsunamiError as error:
        log.warning("the plugins could not be looked at again: %s", error.message)
