"""`connector://{name}`: how a connector is set up, and its documentation page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mcp.types import ReadResourceResult, Resource, ResourceTemplate, TextResourceContents

from servicetsunami.mcp.resources.family import FOR_MODELS, JSON, MARKDOWN, as_json, matching, unknown_resource
from servicetsunami.operations.installation import describe_connector
from servicetsunami.operations.paging import shortened
from servicetsunami.sdk import TsunamiError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_URI = re.compile(r"connector://([A-Za-z0-9_-]{1,64})")
_LONGEST_PAGE = 64_000
_ABOUT = "What a connector reads, its settings as a JSON Schema, and its documentation."


class Connectors:
    """The connectors that are installed; they are the same for every caller."""

    def __init__(self, app: App) -> None:
        self._app = app

    def owns(self, uri: str) -> bool:
        """Tell whether a URI is of this kind."""
        return uri.startswith("connector://")

    async def listed(self, caller: Caller) -> Sequence[Resource]:
        """List the installed ones by name."""
        del caller
        return [
            Resource(
                uri=f"connector://{name}",
                name=name,
                title=f"Connector: {cls.title or name}",
                description=_ABOUT,
                mime_type=JSON,
                annotations=FOR_MODELS,
            )
            for name, cls in sorted(self._app.plugins.connectors.items())
        ]

    def templates(self, caller: Caller) -> Sequence[ResourceTemplate]:
        """List the template."""
        del caller
        about = ResourceTemplate(
            uri_template="connector://{name}", name="connector", title="A connector", description=_ABOUT, mime_type=JSON
        )
        return [about]

    async def read(self, caller: Caller, uri: str) -> ReadResourceResult:
        """Read what there is to know of a connector, and its page."""
        del caller
        found = _URI.fullmatch(uri)
        if found is None:
            raise unknown_resource()
        try:
            described = describe_connector(self._app.plugins, found[1])
        except TsunamiError:
            raise unknown_resource() from None
        told = as_json(uri, described.model_copy(update={"readme": ""}))
        page = TextResourceContents(uri=uri, mime_type=MARKDOWN, text=shortened(described.readme, _LONGEST_PAGE))
        return ReadResourceResult(contents=[*told.contents, *([page] if described.readme else [])])

    async def complete(
        self, caller: Caller, template: str, argument: str, begun: str, others: Mapping[str, str]
    ) -> Sequence[str]:
        """Return the names of installed connectors."""
        del caller, template, others
        return matching(sorted(self._app.plugins.connectors), begun) if argument == "name" else ()
