"""Clients that are slow, long-winded or many: none keeps the server from the others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from servicetsunami.mcp.http.limits import LONGEST_HEAD, PatientProtocol

pytestmark = pytest.mark.anyio
HEAD = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 5\r\n"


class Impatient(PatientProtocol):
    patience_seconds = 0.2


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await asyncio.sleep(0.5 if body == b"sleep" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    config = uvicorn.Config(
        echo, http=Impatient, lifespan="off", log_config=None, h11_max_incomplete_event_size=LONGEST_HEAD
    )
    server, listener = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve([listener]))
    yield int(listener.getsockname()[1])
    server.should_exit = True
    await task


async def answered(port: int, *parts: bytes) -> bytes:
    """Send the parts and return everything that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.01)
    try:
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "parts",
    [(), (b"P",), (HEAD[:40],), (HEAD,), (HEAD, b"\r\n"), (HEAD, b"\r\n", b"abc")],
    ids=["nothing", "a letter", "half a line", "no end of the head", "no body", "half a body"],
)
async def test_a_request_that_does_not_come_whole_in_time_ends_its_connection(parts: tuple[bytes, ...]) -> None:
    async with listening() as port:
        assert await answered(port, *parts) == b""


async def test_a_request_that_comes_in_parts_is_answered_however_long_the_answer_takes() -> None:
    async with listening() as port:
        found = await answered(port, HEAD, b"connection: close\r\n\r\n", b"sl", b"eep")

    assert found.startswith(b"HTTP/1.1 200 OK")
    assert found.endswith(b"sleep")


async def test_a_second_request_has_to_come_whole_too() -> None:
    async with listening() as port:
        found = await answered(port, HEAD + b"\r\nfirst", HEAD[:20])

    assert found.endswith(b"first")


async def test_a_head_that_is_too_long_is_refused() -> None:
    async with listening() as port:
        found = await answered(port, HEAD, b"x: " + b"y" * (2 * LONGEST_HEAD))

    assert found.startswith(b"HTTP/1.1 400 ")
