"""A bus of changes that reaches the clients of every worker.

A message is a datagram of one event. None is kept for a worker that takes none for too long: its clients are told
nothing, which a client has to expect of any change.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from servicetsunami.mcp.host import (
    InMemorySubscriptionBus,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from servicetsunami.mcp.http.workers import messages_path

if TYPE_CHECKING:
    from servicetsunami.mcp.http.workers import Worker

log = logging.getLogger(__name__)
_LONGEST = 16 * 1024
_MOST_WAITING = 1024
_LISTS: dict[str, type[ToolsListChanged | PromptsListChanged | ResourcesListChanged]] = {
    "tools": ToolsListChanged,
    "prompts": PromptsListChanged,
    "resources": ResourcesListChanged,
}


class WorkersBus:
    """Tells the clients of this worker and, while `running`, those of the others."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._here = InMemorySubscriptionBus()
        self.subscribe = self._here.subscribe
        others = [number for number in range(worker.count) if number != worker.number]
        self._waiting: dict[int, asyncio.Queue[bytes]] = {number: asyncio.Queue(_MOST_WAITING) for number in others}

    async def publish(self, event: ServerEvent) -> None:
        """Tell of an event, here at once."""
        message = encode(event)
        for number, waiting in self._waiting.items():
            try:
                waiting.put_nowait(message)
            except asyncio.QueueFull:
                log.warning("worker %d takes no messages; its clients miss a change", number)
        await self._here.publish(event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Exchange messages with the other workers until the block ends."""
        tasks = [asyncio.create_task(self._receive())]
        tasks += [asyncio.create_task(self._send(number, waiting)) for number, waiting in self._waiting.items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            event = decode(await loop.sock_recv(self._worker.messages, _LONGEST))
            if event is not None:
                await self._here.publish(event)

    async def _send(self, number: int, waiting: asyncio.Queue[bytes]) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            # Connected, it can be written to only while the other's queue has room.
            sender.connect(messages_path(self._worker.folder, number))
            while True:
                message = await waiting.get()
                with suppress(OSError):  # nobody is there
                    await loop.sock_sendall(sender, message)


def encode(event: ServerEvent) -> bytes:
    """Return an event as a message."""
    if isinstance(event, ResourceUpdated):
        return json.dumps({"uri": event.uri}).encode()
    return json.dumps({"list": next(name for name, kind in _LISTS.items() if isinstance(event, kind))}).encode()


def decode(message: bytes) -> ServerEvent | None:
    """Return the event of a message, None for one that is no event."""
    try:
        told = json.loads(message)
        return ResourceUpdated(uri=str(told["uri"])) if "uri" in told else _LISTS[told["list"]]()
    except (ValueError, TypeError, LookupError):
        return None
