"""One connection to the server, opened when it is needed and again after it broke."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from servicetsunami.client.errors import (
    bad_answer,
    connection_lost,
    error_of,
    no_such_tool,
    refused,
    timed_out,
    unreachable,
)
from servicetsunami.client.target import Target, opened
from servicetsunami.sdk import Json, PermanentError, TsunamiError

if TYPE_CHECKING:
    from mcp import Client, MCPError
    from mcp.types import CallToolResult


class Link:
    """The way to a server; safe to use from several tasks of one loop."""

    def __init__(self, target: Target, timeout_seconds: float) -> None:
        self._target = target
        self._seconds = timeout_seconds
        self._opening = asyncio.Lock()
        self._live: _Live | None = None

    async def call(self, tool: str, arguments: Json, *, patience_seconds: float = 0.0) -> Json:
        """Call a tool and return its structured result; raises what the server or the way to it has to say.

        The server may take `patience_seconds` longer than usual.
        """
        from mcp import MCPError

        live = await self._open()
        seconds = self._seconds + patience_seconds
        try:
            async with asyncio.timeout(seconds + 5):
                result = await live.client.call_tool(tool, arguments, read_timeout_seconds=seconds)
        except MCPError as error:
            raise await self._meaning(live, tool, seconds, error) from None
        except TimeoutError:
            raise timed_out(tool, seconds) from None
        except RuntimeError:
            # The protocol's library says so of an answer that does not fit the tool's own schema, and quotes it.
            raise bad_answer(tool, "it does not fit the output schema of the tool") from None
        return _structured(tool, result)

    async def tools(self) -> list[str]:
        """Return the names of the tools that the server lists for this caller."""
        from mcp import MCPError

        live = await self._open()
        try:
            return await live.tools()
        except MCPError as error:
            raise await self._meaning(live, "tools/list", self._seconds, error) from None

    async def close(self) -> None:
        """Close the connection, if there is one."""
        live, self._live = self._live, None
        if live is not None:
            await live.close()

    async def _open(self) -> _Live:
        async with self._opening:
            if self._live is None or self._live.is_over:
                await self.close()
                self._live = await _Live.open(self._target, self._seconds)
            return self._live

    async def _meaning(self, live: _Live, what: str, seconds: float, error: MCPError) -> TsunamiError:
        """Say what a protocol error means to a caller; drops a connection that is no more."""
        from mcp.types import INVALID_PARAMS, REQUEST_TIMEOUT

        if error.code == INVALID_PARAMS:
            known = await live.tools()
            return no_such_tool(what, known) if what not in known else _protocol(what, error)
        if error.code == REQUEST_TIMEOUT:
            return timed_out(what, seconds)
        if self._live is live:
            await self.close()
        if not live.was_lost(error):
            return _protocol(what, error)
        return refused(live.status) or connection_lost(str(self._target), what)


class _Live:
    """A connection that a task of its own holds, so that any task may open it and any other close it."""

    def __init__(self) -> None:
        self.status = 0
        """The last HTTP status that was an error."""
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._enough = asyncio.Event()
        self._holder: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, target: Target, seconds: float) -> _Live:
        live = cls()
        holder = live._holder = asyncio.create_task(live._hold(target, seconds))
        try:
            await _first(holder, live._ready)
        except asyncio.CancelledError:
            holder.cancel()
            raise
        if holder.done():
            cause = holder.exception()
            raise refused(live.status) or unreachable(target, cause)
        return live

    @property
    def client(self) -> Client:
        return self._ready.result()

    @property
    def is_over(self) -> bool:
        return self._holder is None or self._holder.done()

    async def tools(self) -> list[str]:
        names: list[str] = []
        cursor: str | None = None
        while True:
            page = await self.client.list_tools(cursor=cursor)
            names += [tool.name for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None:
                return names

    def was_lost(self, error: MCPError) -> bool:
        """Return whether an error came from the way to the server, and not from the server."""
        from mcp.types import CONNECTION_CLOSED

        return error.code == CONNECTION_CLOSED or self.status in (401, 403, 404, 502, 503, 504)

    async def close(self) -> None:
        self._enough.set()
        if self._holder is not None:
            await asyncio.wait([self._holder])
            # Looked at, so that nobody is told of an error that no longer matters.
            _ = self._holder.cancelled() or self._holder.exception()

    async def _hold(self, target: Target, seconds: float) -> None:
        async with opened(target, seconds, self._heard) as client:
            self._ready.set_result(client)
            await self._enough.wait()

    def _heard(self, status: int) -> None:
        self.status = status


async def _first(*ways: asyncio.Future[Any]) -> None:
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)


def _structured(tool: str, result: CallToolResult) -> Json:
    content = result.structured_content
    if not isinstance(content, dict):
        said = " ".join(block.text for block in result.content if block.type == "text")
        raise bad_answer(tool, said[:500] or "it has no structured content")
    if result.is_error and isinstance(content.get("error"), dict):
        raise error_of(content["error"])
    return content


def _protocol(what: str, error: MCPError) -> PermanentError:
    return PermanentError(f"the server refused {what}", code="protocol_error", why=f"{error.message} ({error.code})")
