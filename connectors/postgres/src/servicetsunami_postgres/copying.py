"""COPY TO STDOUT, pulled by a synchronous reader: at most two chunks wait, and a silent server is noticed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal

import asyncpg

from servicetsunami.sdk import Cancelled, Context, TsunamiError
from servicetsunami_postgres.background import Background
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.failures import FAILURES, interrupted, not_answered, stalled

CHUNK_BYTES = 4 * 1024 * 1024
_WAITING_CHUNKS = 2
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


class Copy:
    """One COPY of a query whose chunks are pulled by `chunks()`.

    `first_seconds` is the longest silence before the first byte, where that is not the one of the settings; in it an
    empty chunk comes every `beat_seconds`. `explain` makes the error of what the server says.
    """

    def __init__(
        self,
        background: Background,
        connection: asyncpg.Connection,
        query: str,
        config: PostgresConfig,
        *,
        layout: Literal["csv", "binary"] = "csv",
        first_seconds: float | None = None,
        beat_seconds: float | None = None,
        explain: Callable[[BaseException, PostgresConfig], TsunamiError] = not_answered,
    ) -> None:
        self._background = background
        self._connection = connection
        self._query = query
        self._config = config
        self._layout = layout
        self._stall_seconds = config.stall_timeout_seconds
        self._first_seconds = first_seconds or config.stall_timeout_seconds
        self._beat_seconds = beat_seconds
        self._explain = explain
        self._ready: SimpleQueue[bytes | _End] = SimpleQueue()
        self._parts: list[bytes] = []
        self._size = 0
        self._free: asyncio.Semaphore
        self._clock: asyncio.Timeout

    def chunks(self, ctx: Context) -> Iterator[bytes]:
        """Yield chunks of whole records; closing the iterator cancels the query at the server."""
        task = self._background.start(self._run())
        try:
            while not isinstance(chunk := self._next(ctx, task), _End):
                yield chunk
                if chunk:
                    self._beat_seconds = None
                    self._background.call(self._free.release)
            if chunk.error is not None:
                raise chunk.error
        finally:
            task.cancel()

    def _next(self, ctx: Context, task: Future[None]) -> bytes | _End:
        began = time.monotonic()
        while True:
            ended = task.done()
            with suppress(Empty):
                return self._ready.get(timeout=_POLL_SECONDS)
            if ended:
                # It put no end: it died of what nobody expected, and the rows are not complete.
                return _End(task.exception() or interrupted(None))
            if ctx.cancelled():
                raise Cancelled("the read was cancelled")
            if self._beat_seconds is not None and time.monotonic() - began >= self._beat_seconds:
                return b""

    async def _run(self) -> None:
        self._free = asyncio.Semaphore(_WAITING_CHUNKS)
        try:
            async with asyncio.timeout(self._first_seconds) as self._clock:
                await self._connection.copy_from_query(self._query, output=self._take, format=self._layout)
                await self._flush()
        except TimeoutError:
            self._ready.put(_End(stalled(self._stall_seconds)))
        except FAILURES as error:
            self._ready.put(_End(self._explain(error, self._config)))
        else:
            self._ready.put(_End())

    async def _take(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        # The server sends each row as one message, and asyncpg hands over whole messages: a cut here is between rows.
        if self._size >= CHUNK_BYTES:
            await self._flush()
        self._clock.reschedule(asyncio.get_running_loop().time() + self._stall_seconds)

    async def _flush(self) -> None:
        if not self._parts:
            return
        chunk = b"".join(self._parts)
        self._parts, self._size = [], 0
        # While the reader is busy the silence is ours.
        self._clock.reschedule(None)
        await self._free.acquire()
        self._ready.put(chunk)
