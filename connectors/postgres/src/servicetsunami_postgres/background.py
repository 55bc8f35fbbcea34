"""One event loop in one background thread: asyncpg lives there, while plugin code stays synchronous."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, TypeVar

from servicetsunami.sdk import Cancelled

log = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")

_POLL_SECONDS = 0.2
_CLOSE_SECONDS = 10.0


class Background:
    """An event loop that runs until it is closed. Work in it ends when `cancelled` turns true."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled
        self._loop = _new_loop()
        self._loop.set_exception_handler(_note)
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgres", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run `work` to its end and return what it returns; an interruption of the waiting thread cancels it."""
        future = self.start(work)
        try:
            while not wait((future,), timeout=_POLL_SECONDS).done:
                if self._cancelled():
                    raise Cancelled("the work at the PostgreSQL server was cancelled")
            return future.result()
        finally:
            future.cancel()

    def finish(self, work: Coroutine[Any, Any, object]) -> None:
        """Run `work` to its end, cancelled or not: for closing."""
        with suppress(TimeoutError):
            self.start(work).result(timeout=_CLOSE_SECONDS)

    def start(self, work: Coroutine[Any, Any, ResultT]) -> Future[ResultT]:
        """Start `work` and return at once."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, function: Callable[[], object]) -> None:
        """Call `function` in the loop's thread, soon."""
        self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """End what still runs, then the thread, and free the loop."""
        self.finish(_end_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=_CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Keep what nobody waits for out of standard error: rows that still arrive for a COPY that was cancelled."""
    log.debug("%s (%s)", context.get("message"), type(context.get("exception")).__name__)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


async def _end_others() -> None:
    """Let what was cancelled clean up at the server; cancel what does not end."""
    others = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    if others:
        _, lasting = await asyncio.wait(others, timeout=_CLOSE_SECONDS / 2)
        for task in lasting:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
