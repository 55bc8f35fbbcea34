"""Events kept for clients of 2025-11-25 that lose their stream and come back for the rest."""

from __future__ import annotations

from collections import deque

from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp.types import JSONRPCMessage

_MOST = 1_000


class Events(EventStore):
    """Keeps the latest events of all streams, in memory."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, StreamId, JSONRPCMessage | None]] = deque(maxlen=_MOST)
        self._last = 0

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Keep an event, and return its id."""
        self._last += 1
        self._kept.append((self._last, stream_id, message))
        return str(self._last)

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        """Send again what came after an event on its stream; None if the event is no longer kept."""
        kept = list(self._kept)
        stream = next((stream for number, stream, _ in kept if str(number) == last_event_id), None)
        if stream is None:
            return None
        for number, of, message in kept:
            if of == stream and number > int(last_event_id) and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream
