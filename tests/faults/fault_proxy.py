"""A way to the server that can be cut, or fall silent, after a number of bytes came back."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

Mishap = Literal["rst", "fin", "stall", "terminate"]


class CutProxy:
    """Passes everything through until a mishap is asked for; counts what each connection brought back."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._listening = threading.Event()
        self._mishap: Mishap | None = None
        self._after = 0
        self._left = 0
        self._terminate: Callable[[], None] = _nothing
        self.port = 0
        self.reached = threading.Event()
        """Set once a connection has met a mishap."""
        self.largest = 0
        """The most bytes that one connection brought back since the last `reset`."""

    def arm(
        self, mishap: Mishap, *, after_bytes: int, times: int = 1, terminate: Callable[[], None] | None = None
    ) -> None:
        """Let the next connections that bring back so many bytes meet a mishap."""
        self.reset()
        self._after, self._left, self._mishap = after_bytes, times, mishap
        self._terminate = terminate or _nothing

    def reset(self) -> None:
        """Let everything pass, and count anew."""
        self._mishap, self.largest = None, 0
        self.reached.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._end.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*self._target)
        tasks = [
            asyncio.create_task(_copy(reader, to_server)),
            asyncio.create_task(self._bring_back(from_server, writer)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for stream in (writer, to_server):
                stream.transport.abort()

    async def _bring_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came = 0
        with suppress(ConnectionError):
            while data := await reader.read(4096):
                if self._mishap and self._left > 0 and came + len(data) > self._after:
                    passing = max(0, self._after - came)
                    writer.write(data[:passing])
                    await self._meet(self._mishap, writer)
                    data = data[passing:]
                came += len(data)
                self.largest = max(self.largest, came)
                writer.write(data)
                await writer.drain()

    async def _meet(self, mishap: Mishap, writer: asyncio.StreamWriter) -> None:
        self._left -= 1
        self.reached.set()
        if mishap == "terminate":
            await asyncio.to_thread(self._terminate)
        elif mishap == "stall":
            await asyncio.Event().wait()
        else:
            await writer.drain()
            _close(writer, abruptly=mishap == "rst")
            raise ConnectionAbortedError


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


def _close(writer: asyncio.StreamWriter, *, abruptly: bool) -> None:
    if abruptly:
        # A linger of no seconds makes the system send a reset instead of an orderly end.
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


def _nothing() -> None:
    """Leave the server alone."""
