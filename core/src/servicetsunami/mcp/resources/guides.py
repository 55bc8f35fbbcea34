"""`guide://start`: how to begin here, with what this caller really has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mcp.types import ReadResourceResult, Resource, ResourceTemplate

from servicetsunami.mcp.instructions import instructions
from servicetsunami.mcp.resources.family import MARKDOWN, as_markdown, for_both, unknown_resource
from servicetsunami.operations.answers.visible import visible
from servicetsunami.operations.connections import list_connections
from servicetsunami.operations.tables import list_tables
from servicetsunami.sdk import TsunamiError

if TYPE_CHECKING:
    from servicetsunami.mcp.spec import Catalog
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

START = "guide://start"
_SHOWN = 20


class Guides:
    """The guide."""

    def __init__(self, app: App, catalog: Catalog) -> None:
        self._app = app
        self._catalog = catalog

    def owns(self, uri: str) -> bool:
        """Tell whether a URI is of this kind."""
        return uri.startswith("guide://")

    async def listed(self, caller: Caller) -> Sequence[Resource]:
        """List the guide."""
        del caller
        return [
            Resource(
                uri=START,
                name="start",
                title="How to begin",
                description="What this server does, the usual way through it, and what is connected now.",
                mime_type=MARKDOWN,
                annotations=for_both(1.0),
            )
        ]

    def templates(self, caller: Caller) -> Sequence[ResourceTemplate]:
        """List none."""
        del caller
        return ()

    async def read(self, caller: Caller, uri: str) -> ReadResourceResult:
        """Read the guide."""
        if uri != START:
            raise unknown_resource()
        parts = [
            "# ServiceTsunami",
            instructions(self._catalog),
            await self._connected(caller),
            await self._tables(caller),
        ]
        return as_markdown(uri, "\n\n".join(parts))

    async def complete(
        self, caller: Caller, template: str, argument: str, begun: str, others: Mapping[str, str]
    ) -> Sequence[str]:
        """Return nothing: the guide has no variable."""
        del caller, template, argument, begun, others
        return ()

    async def _connected(self, caller: Caller) -> str:
        page = await list_connections(self._app, caller, limit=_SHOWN)
        if not page.connections:
            return "## Connections\n\nNothing is connected yet."
        lines = [
            f"- {visible(one.name)} ({one.connector}, {one.status}): `{one.connection_id}`" for one in page.connections
        ]
        return "\n".join(["## Connections", "", *lines, *(["- … and more"] if page.next_cursor else [])])

    async def _tables(self, caller: Caller) -> str:
        try:
            page = await list_tables(self._app, caller, limit=_SHOWN)
        except TsunamiError as error:
            return f"## Tables\n\nThe lakehouse cannot be read: {error.message}"
        if not page.tables:
            return "## Tables\n\nThe lakehouse holds no table yet."
        lines = [f"- `{one.table}`" + ("" if one.rows is None else f", {one.rows:,} rows") for one in page.tables]
        return "\n".join(["## Tables", "", *lines, *(["- … and more"] if page.next_cursor else [])])
