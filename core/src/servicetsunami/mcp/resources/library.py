"""All resources, for one caller at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mcp.types import ReadResourceResult, Resource, ResourceTemplate, TextResourceContents

from servicetsunami.mcp import apps
from servicetsunami.mcp.instructions import instructions
from servicetsunami.mcp.resources.query_results import QueryResults
from servicetsunami.mcp.spec import Catalog
from servicetsunami.mcp.surface import unknown_resource

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_GUIDE = "guide://start"
_TEMPLATES: tuple[ResourceTemplate, ...] = ()
_KNOWN: Mapping[tuple[str, str], Sequence[str]] = {}


class Resources:
    """Lists, reads and completes resources; what a caller may not read does not exist for them."""

    def __init__(self, app: App, catalog: Catalog) -> None:
        self._app = app
        self._catalog = catalog
        self._results = QueryResults(app)

    async def listed(self, caller: Caller) -> Sequence[Resource]:
        """List the concrete resources."""
        guide = Resource(uri=_GUIDE, name="start", title="How to begin")
        return [guide, *apps.listed()] if caller.may("read") else []

    def templates(self, caller: Caller) -> Sequence[ResourceTemplate]:
        """List the templates."""
        own = [template for template in _TEMPLATES if caller.may("read")]
        return [*own, *self._results.templates(caller)]

    async def read(self, caller: Caller, uri: str) -> ReadResourceResult:
        """Read a resource; raises `MCPError` for an unknown one."""
        if self._results.owns(uri):
            return await self._results.read(caller, uri)
        page = apps.read(uri) if caller.may("read") else None
        if page is not None:
            return page
        if uri != _GUIDE or not caller.may("read"):
            raise unknown_resource()
        guide = TextResourceContents(uri=uri, mime_type="text/plain", text=instructions(self._catalog))
        return ReadResourceResult(contents=[guide])

    async def may_watch(self, caller: Caller, uri: str) -> bool:
        """Tell whether the caller may be told of changes of a resource: of those they may read."""
        return uri == _GUIDE and caller.may("read")

    async def complete(
        self, caller: Caller, template: str, argument: str, begun: str, others: Mapping[str, str]
    ) -> Sequence[str]:
        """Return what a variable of a template may be, given how it begins and what the other variables are."""
        if self._results.owns(template):
            return await self._results.complete(caller, template, argument, begun, others)
        return [value for value in _KNOWN.get((template, argument), ()) if value.startswith(begun)]
