"""`datasource://{connection_id}/status` and `/tables`: how a connection does, and what lies at its source."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mcp.types import ReadResourceResult, Resource, ResourceTemplate

from servicetsunami.mcp.resources.family import JSON, MOST_LISTED, as_json, for_both, matching, unknown_resource
from servicetsunami.operations.answers.visible import visible
from servicetsunami.operations.connections import connection_status
from servicetsunami.operations.glances import glance_at_tables
from servicetsunami.sdk import NotFound, TsunamiError

if TYPE_CHECKING:
    from datetime import datetime

    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.records import Connection

_URI = re.compile(r"datasource://(conn_[0-9a-f]{1,64})/(status|tables)")
_PARTS = {
    "status": ("Status of a connection", "How a connection does: its settings, its last test and its latest runs."),
    "tables": (
        "Tables at a source",
        "The tables a connection may read, with keys, cursors and how each can be synced.",
    ),
}
_PRIORITY = {"status": 0.8, "tables": 0.6}


class Datasources:
    """The connections of a caller, and the tables at their sources."""

    def __init__(self, app: App) -> None:
        self._app = app

    def owns(self, uri: str) -> bool:
        """Tell whether a URI is of this kind."""
        return uri.startswith("datasource://")

    async def listed(self, caller: Caller) -> Sequence[Resource]:
        """List two of each connection, the newest first."""
        connections = await self._app.records.connections(caller.tenant)
        newest = sorted(connections, key=lambda one: one.created_at, reverse=True)[:MOST_LISTED]
        return [
            Resource(
                uri=f"datasource://{one.id}/{part}",
                name=f"{one.name}/{part}",
                title=f"{title}: {visible(one.name)}",
                description=description,
                mime_type=JSON,
                annotations=for_both(_PRIORITY[part], _last_tested(one) if part == "status" else None),
            )
            for one in newest
            for part, (title, description) in _PARTS.items()
        ]

    def templates(self, caller: Caller) -> Sequence[ResourceTemplate]:
        """List the templates."""
        del caller
        return [
            ResourceTemplate(
                uri_template=f"datasource://{{connection_id}}/{part}",
                name=f"datasource-{part}",
                title=title,
                description=description,
                mime_type=JSON,
            )
            for part, (title, description) in _PARTS.items()
        ]

    async def read(self, caller: Caller, uri: str) -> ReadResourceResult:
        """Read a status, or the tables; a source that cannot be read is told by its problem."""
        found = _URI.fullmatch(uri)
        if found is None:
            raise unknown_resource()
        try:
            if found[2] == "status":
                return as_json(uri, await connection_status(self._app, caller, found[1]))
            return as_json(uri, await glance_at_tables(self._app, caller, found[1]))
        except NotFound as error:
            if error.code != "connection_not_found":
                return as_json(uri, error.problem())
            raise unknown_resource() from None
        except TsunamiError as error:
            return as_json(uri, error.problem())

    async def complete(
        self, caller: Caller, template: str, argument: str, begun: str, others: Mapping[str, str]
    ) -> Sequence[str]:
        """Return the ids of the caller's connections, also of those whose name matches."""
        del template, others
        if argument != "connection_id":
            return ()
        connections = await self._app.records.connections(caller.tenant)
        named = set(matching((one.name for one in connections), begun))
        by_id = matching((one.id for one in connections), begun)
        return list(dict.fromkeys([*by_id, *(one.id for one in connections if one.name in named)]))


def _last_tested(connection: Connection) -> datetime:
    return connection.tested_at or connection.created_at
