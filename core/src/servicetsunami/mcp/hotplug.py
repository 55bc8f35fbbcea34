"""Notices plugins that are installed or uninstalled while the server runs, within two seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from servicetsunami.runtime.distributions import Metadata, installed_metadata
from servicetsunami.sdk import TsunamiError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App

log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5


@asynccontextmanager
async def hotplugging(app: App) -> AsyncIterator[None]:
    """Keep the app's plugins up to date until the block ends."""
    # As of when the plugins were found: something may have been installed since.
    known = app.plugins.seen
    task = asyncio.create_task(_watch(app, installed_metadata() if known is None else known))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch(app: App, known: Metadata) -> None:
    before = known
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        now = await asyncio.to_thread(installed_metadata)
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
