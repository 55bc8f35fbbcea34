"""Tells clients of what changes in the product: which resources to read again, and which lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from servicetsunami.mcp.audience import resource_for, resources_for
from servicetsunami.mcp.host import (
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    SubscriptionBus,
    ToolsListChanged,
)

if TYPE_CHECKING:
    from servicetsunami.operations.events import Event, Events

_GUIDE = "guide://start"
_SECONDS_BETWEEN = 0.5
"""What changes more often than this is told once: a client reads it again each time."""


@asynccontextmanager
async def telling(events: Events, bus: SubscriptionBus) -> AsyncIterator[None]:
    """Pass the product's events on to the clients until the block ends."""
    teller = _Teller(bus)
    end = events.listen(teller.take)
    task = asyncio.create_task(teller.tell())
    try:
        yield
    finally:
        end()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class _Teller:
    """Holds what is still to be told, each thing once, and tells it in rounds."""

    def __init__(self, bus: SubscriptionBus) -> None:
        self._bus = bus
        self._untold: dict[ServerEvent, None] = {}
        self._is_something = asyncio.Event()

    def take(self, event: Event) -> None:
        for told in server_events(event):
            self._untold[told] = None
        self._is_something.set()

    async def tell(self) -> None:
        while True:
            await self._is_something.wait()
            self._is_something.clear()
            events, self._untold = list(self._untold), {}
            for event in events:
                await self._bus.publish(event)
            await asyncio.sleep(_SECONDS_BETWEEN)


def server_events(event: Event) -> Iterator[ServerEvent]:
    """Yield what clients are told of an event: those of its tenant, or all of them if it is everybody's."""
    if event.kind == "plugins":
        yield from (ToolsListChanged(), ResourcesListChanged(), ResourceUpdated(uri=_GUIDE))
        return
    for uri in _uris(event):
        yield resource_for(event.tenant, uri)
    if event.listed:
        yield resources_for(event.tenant)


def _uris(event: Event) -> Iterator[str]:
    match event.kind:
        case "run":
            yield f"run://{event.id}"
        case "connection":
            yield from (f"datasource://{event.id}/{part}" for part in ("status", "tables"))
        case "table":
            path = f"tenant_{event.tenant}/{event.id.replace('.', '/', 1)}"
            yield from (f"table://{path}/{part}" for part in ("schema", "preview"))
    if event.listed and event.kind != "run":
        yield _GUIDE  # it says what there is
