"""The page's own listener, for a server on standard input and output: on loopback, and only while it is needed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_ADDRESS = "127.0.0.1"
_LOOKS_SECONDS = 0.5
_LINGER_SECONDS = 5.0
_MOST_CONNECTIONS = 20


class Loopback:
    """Serves an application from the moment somebody asks for its address until it is needed no more."""

    def __init__(self, application: ASGIApp, is_needed: Callable[[], Awaitable[bool]]) -> None:
        self._application = application
        self._is_needed = is_needed
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._port = 0

    @property
    def is_open(self) -> bool:
        """True while it listens."""
        return self._serving is not None and not self._serving.done()

    async def base_url(self) -> str:
        """Return the address; it listens from now on, so what needs it is stored before."""
        if not self.is_open or self._server is None or self._server.should_exit:
            await self.close()
            listening = socket.socket()
            listening.bind((_ADDRESS, 0))
            self._port = listening.getsockname()[1]
            self._server = _Server(_configured(self._application))
            self._serving = asyncio.create_task(self._serve(self._server, listening))
        return f"http://{_ADDRESS}:{self._port}"

    async def ended(self) -> None:
        """Wait until it is needed no more."""
        if self._serving is not None:
            await self._serving

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.should_exit = True
        await self.ended()
        self._server = self._serving = None

    async def _serve(self, server: _Server, listening: socket.socket) -> None:
        watching = asyncio.create_task(self._watch(server))
        try:
            with listening:
                await server.serve([listening])
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch(self, server: _Server) -> None:
        needed = True
        while needed:
            await asyncio.sleep(_LOOKS_SECONDS)
            needed = await self._is_needed()
        # Whoever gave the last secret is still being told how it went.
        await asyncio.sleep(_LINGER_SECONDS)
        server.should_exit = True


class _Server(uvicorn.Server):
    """Leaves signals to the server it stands beside."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _configured(application: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=2,
        timeout_graceful_shutdown=2,
    )
