"""`ui://`: the pages of tools, for clients that render MCP Apps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from servicetsunami.mcp import apps
from servicetsunami.mcp.surface import unknown_resource

if TYPE_CHECKING:
    from mcp.types import ReadResourceResult, Resource, ResourceTemplate

    from servicetsunami.operations.caller import Caller


class AppPages:
    """The pages; they are the same for every caller and never change while the server runs."""

    def owns(self, uri: str) -> bool:
        """Tell whether a URI is of this kind."""
        return uri.startswith("ui://")

    async def listed(self, caller: Caller) -> Sequence[Resource]:
        """List the pages."""
        del caller
        return apps.listed()

    def templates(self, caller: Caller) -> Sequence[ResourceTemplate]:
        """List none."""
        del caller
        return ()

    async def read(self, caller: Caller, uri: str) -> ReadResourceResult:
        """Read a page."""
        del caller
        page = apps.read(uri)
        if page is None:
            raise unknown_resource()
        return page

    async def complete(
        self, caller: Caller, template: str, argument: str, begun: str, others: Mapping[str, str]
    ) -> Sequence[str]:
        """Return nothing: a page has no variable."""
        del caller, template, argument, begun, others
        return ()
