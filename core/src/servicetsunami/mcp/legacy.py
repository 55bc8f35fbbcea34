"""Clients up to 2025-11-25, which are told of changes by notifications of their own connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import PromptsListChanged, ResourcesListChanged, ResourceUpdated, ToolsListChanged
from mcp.types import INVALID_PARAMS

from servicetsunami.mcp.audience import event_for

if TYPE_CHECKING:
    from mcp.server.connection import Connection
    from mcp.shared.subscriptions import ServerEvent

MOST_WATCHED = 1_000
"""Resources that one client may watch at once."""


class LegacyClients:
    """Knows the open connections, each until it closes, and tells them of events."""

    def __init__(self) -> None:
        self._clients: dict[Connection, LegacyClient] = {}

    def client(self, connection: Connection, audience: str) -> LegacyClient:
        """Return the client of a connection, and know it from now on."""
        client = self._clients.get(connection)
        if client is None:
            client = self._clients[connection] = LegacyClient(connection, audience)
            connection.exit_stack.callback(self._forget, connection)
        return client

    def take(self, event: ServerEvent) -> None:
        """Tell every client that an event concerns."""
        for client in tuple(self._clients.values()):
            client.take(event)

    def __len__(self) -> int:
        return len(self._clients)

    def _forget(self, connection: Connection) -> None:
        self._clients.pop(connection).close()


class LegacyClient:
    """One connection: what it watches, and what it is still to be told."""

    def __init__(self, connection: Connection, audience: str) -> None:
        self._connection = connection
        self._audience = audience
        self._watched: set[str] = set()
        # One entry per list and resource: a client that reads slowly misses repetitions, never a change.
        self._untold: dict[ServerEvent, None] = {}
        self._telling: asyncio.Task[None] | None = None

    def watch(self, uri: str) -> None:
        """Tell it of changes of a resource; raises `MCPError` if it watches too many."""
        if len(self._watched) >= MOST_WATCHED and uri not in self._watched:
            raise too_many_watched()
        self._watched.add(uri)

    def unwatch(self, uri: str) -> None:
        """Tell it no more."""
        self._watched.discard(uri)

    def take(self, event: ServerEvent) -> None:
        """Tell it of an event that concerns it."""
        meant = event_for(event, self._audience)
        if meant is None or (isinstance(meant, ResourceUpdated) and meant.uri not in self._watched):
            return
        self._untold[meant] = None
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell())

    def close(self) -> None:
        """Tell it nothing more."""
        if self._telling is not None:
            self._telling.cancel()

    async def _tell(self) -> None:
        while self._untold:
            event = next(iter(self._untold))
            del self._untold[event]
            await self._send(event)
        self._telling = None

    async def _send(self, event: ServerEvent) -> None:
        match event:
            case ToolsListChanged():
                await self._connection.send_tool_list_changed()
            case PromptsListChanged():
                await self._connection.send_prompt_list_changed()
            case ResourcesListChanged():
                await self._connection.send_resource_list_changed()
            case ResourceUpdated(uri=uri):
                await self._connection.send_resource_updated(uri)


def too_many_watched() -> MCPError:
    """Return the answer to a client that wants to watch more than it may."""
    return MCPError(INVALID_PARAMS, f"At most {MOST_WATCHED:,} resources can be watched at once")
