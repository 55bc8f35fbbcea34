"""All resources, for one caller at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from servicetsunami.mcp.resources.app_pages import AppPages
from servicetsunami.mcp.resources.connectors import Connectors
from servicetsunami.mcp.resources.datasources import Datasources
from servicetsunami.mcp.resources.guides import START, Guides
from servicetsunami.mcp.resources.query_results import QueryResults
from servicetsunami.mcp.resources.runs import Runs
from servicetsunami.mcp.resources.tables import Tables
from servicetsunami.mcp.resources.watching import is_there
from servicetsunami.mcp.surface import unknown_resource

if TYPE_CHECKING:
    from mcp.types import ReadResourceResult, Resource, ResourceTemplate

    from servicetsunami.mcp.resources.family import Family
    from servicetsunami.mcp.spec import Catalog
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller


class Resources:
    """Lists, reads and completes resources; what a caller may not read does not exist for them."""

    def __init__(self, app: App, catalog: Catalog) -> None:
        self._app = app
        self._families: tuple[Family, ...] = (
            Guides(app, catalog),
            Datasources(app),
            Tables(app),
            Runs(app),
            Connectors(app),
            QueryResults(app),
            AppPages(),
        )

    async def listed(self, caller: Caller) -> Sequence[Resource]:
        """List the concrete resources."""
        return [resource for family in self._of(caller) for resource in await family.listed(caller)]

    def templates(self, caller: Caller) -> Sequence[ResourceTemplate]:
        """List the templates."""
        return [template for family in self._of(caller) for template in family.templates(caller)]

    async def read(self, caller: Caller, uri: str) -> ReadResourceResult:
        """Read a resource; raises `MCPError` for an unknown one."""
        family = self._owner(caller, uri)
        if family is None:
            raise unknown_resource()
        return await family.read(caller, uri)

    async def may_watch(self, caller: Caller, uri: str) -> bool:
        """Tell whether the caller may be told of changes of a resource: of those they may read."""
        return caller.may("read") and (uri == START or await is_there(self._app, caller, uri))

    async def complete(
        self, caller: Caller, template: str, argument: str, begun: str, others: Mapping[str, str]
    ) -> Sequence[str]:
        """Return what a variable of a template may be, given how it begins and what the other variables are."""
        family = self._owner(caller, template)
        return () if family is None else await family.complete(caller, template, argument, begun, others)

    def _of(self, caller: Caller) -> Sequence[Family]:
        return self._families if caller.may("read") else ()

    def _owner(self, caller: Caller, uri: str) -> Family | None:
        return next((family for family in self._of(caller) if family.owns(uri)), None)
