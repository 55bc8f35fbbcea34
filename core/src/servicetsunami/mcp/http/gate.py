"""The gate before the application: it lets requests in until the server stops, and knows when the last is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN_PATHS = frozenset({"/health", "/ready"})
"""Answered at any time: those who watch the server ask there."""
_BUSY = b'{"error":"stopping"}'


class Gate:
    """Wraps an application: once it is closing, new requests are answered 503 and streams are ended."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._open = 0
        self._streams: set[anyio.CancelScope] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.is_closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it while closing."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._application(scope, receive, send)
        elif self.is_closing:
            await _refuse(send)
        elif scope["method"] == "GET":
            await self._stream(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def close(self, end_streams: Callable[[], None], patience_seconds: float) -> None:
        """Let nothing in any more, end the streams, and wait until the open requests are answered or time is up."""
        self.is_closing = True
        end_streams()
        for stream in list(self._streams):
            stream.cancel()
        with anyio.move_on_after(patience_seconds):
            await self._empty.wait()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._open += 1
        self._empty.clear()
        try:
            await self._application(scope, receive, send)
        finally:
            self._open -= 1
            if not self._open:
                self._empty.set()

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a GET, which may be a stream of events that only its reader would end."""
        begun = ended = False

        async def watched(message: Message) -> None:
            nonlocal begun, ended
            begun = True
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        with anyio.CancelScope() as stream:
            self._streams.add(stream)
            try:
                await self._application(scope, receive, watched)
            finally:
                self._streams.discard(stream)
        if stream.cancelled_caught and not ended:
            await (send({"type": "http.response.body", "body": b""}) if begun else _refuse(send))


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _BUSY})
