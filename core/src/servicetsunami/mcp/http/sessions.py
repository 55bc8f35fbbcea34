"""Sessions of clients up to 2025-11-25: each lives in one worker, whose number its id begins with.

A request that another worker accepted is passed on to that one, whole: it checks the token, the host and the session
as it does for its own.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import anyio
import httpx2

from servicetsunami.mcp.http.workers import requests_path

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from servicetsunami.mcp.http.workers import Worker

_HEADER = b"mcp-session-id"
_ID = re.compile(rb"(?P<worker>[0-9]{1,2})-(?P<session>[0-9a-f]{32})")
_OF_ONE_CONNECTION = frozenset(
    {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"date", b"server", b"expect"}
)


class Sessions:
    """Wraps the application of one of several workers."""

    def __init__(self, application: ASGIApp, worker: Worker) -> None:
        self._application = application
        self._worker = worker
        self._others = {
            number: httpx2.AsyncClient(
                transport=httpx2.AsyncHTTPTransport(uds=requests_path(worker.folder, number)), timeout=None
            )
            for number in range(worker.count)
            if number != worker.number
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on to the worker that its session lives in."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        named = next((value for name, value in scope["headers"] if name == _HEADER), None)
        found = _ID.fullmatch(named) if named is not None else None
        other = self._others.get(int(found["worker"])) if found else None
        if other is not None:
            await _pass_on(other, scope, receive, send)
            return
        if found:
            scope = {**scope, "headers": [_with_id(header, found["session"]) for header in scope["headers"]]}
        await self._application(scope, receive, self._naming(send))

    async def close(self) -> None:
        """Release the connections to the other workers."""
        for client in self._others.values():
            await client.aclose()

    def _naming(self, send: Send) -> Send:
        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [_with_worker(header, self._worker.number) for header in message.get("headers", ())]
                message = {**message, "headers": headers}
            await send(message)

        return named


def _with_id(header: tuple[bytes, bytes], session: bytes) -> tuple[bytes, bytes]:
    return (_HEADER, session) if header[0] == _HEADER else header


def _with_worker(header: tuple[bytes, bytes], number: int) -> tuple[bytes, bytes]:
    name, value = header
    return (name, b"%d-%b" % (number, value)) if name.lower() == _HEADER else header


async def _pass_on(other: httpx2.AsyncClient, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a request on and its answer back, until either side has gone."""
    body = _Body(receive)
    request = other.build_request(
        scope["method"],
        httpx2.URL(scheme="http", host="worker", raw_path=scope["raw_path"] + b"?" + scope["query_string"]),
        headers=[header for header in scope["headers"] if header[0] not in _OF_ONE_CONNECTION],
        content=body.chunks(),
    )
    async with anyio.create_task_group() as group:
        group.start_soon(body.until_gone, group.cancel_scope)
        await _answer(other, request, send)
        group.cancel_scope.cancel()


class _Body:
    """The body of a request on its way through, and then the sign that its sender has gone."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_read = anyio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise httpx2.ReadError("the client has gone")
            more = message.get("more_body", False)
            yield message.get("body", b"")
        self._is_read.set()

    async def until_gone(self, scope: anyio.CancelScope) -> None:
        """End `scope` when the client goes, once its request is read."""
        await self._is_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        scope.cancel()


async def _answer(other: httpx2.AsyncClient, request: httpx2.Request, send: Send) -> None:
    begun = False
    try:
        response = await other.send(request, stream=True)
        try:
            headers = [header for header in response.headers.raw if header[0].lower() not in _OF_ONE_CONNECTION]
            begun = True
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await response.aclose()
    except httpx2.HTTPError:
        if not begun:
            await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"1")]})
    await send({"type": "http.response.body", "body": b""})
