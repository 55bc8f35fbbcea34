"""Running synchronous plugin code beside the event loop, so that it can be cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from servicetsunami.sdk import TsunamiError
from servicetsunami.sync.crash import plugin_crashed

T = TypeVar("T")


async def in_thread(work: Callable[[threading.Event], T]) -> T:
    """Run `work(cancel)` in a thread; a cancelled caller sets `cancel` and waits for the plugin to let go.

    Errors without a meaning become `PermanentError` with code `plugin_crashed` and nothing of their payload.
    """
    cancel = threading.Event()
    task = asyncio.create_task(asyncio.to_thread(_guarded, work, cancel))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        cancel.set()
        await asyncio.wait([task], timeout=5)
        raise


def _guarded(work: Callable[[threading.Event], T], cancel: threading.Event) -> T:
    try:
        return work(cancel)
    except TsunamiError:
        raise
    except Exception as error:  # the plugin boundary: what a plugin raises unasked has no meaning for a person
        raise plugin_crashed(error) from error
