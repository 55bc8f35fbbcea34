"""All prompts, for one caller at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, GetPromptResult, Prompt

from servicetsunami.mcp.spec import Catalog

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
_PROMPTS: tuple[Prompt, ...] = ()
_KNOWN: Mapping[tuple[str, str], Sequence[str]] = {}


class Prompts:
    """Lists, fills in and completes prompts; those whose tools are missing are not there."""

    def __init__(self, app: App, catalog: Catalog) -> None:
        self._app = app
        self._catalog = catalog

    def listed(self, caller: Caller) -> Sequence[Prompt]:
        """List the prompts."""
        return [prompt for prompt in _PROMPTS if caller.may("read")]

    async def get(self, caller: Caller, name: str, arguments: Mapping[str, str]) -> GetPromptResult:
        """Fill a prompt in; raises `MCPError` for an unknown one or a missing argument."""
        raise MCPError(INVALID_PARAMS, "Unknown prompt", {"of": caller.subject, "name": name, "with": list(arguments)})

    async def complete(
        self, caller: Caller, name: str, argument: str, begun: str, others: Mapping[str, str]
    ) -> Sequence[str]:
        """Return what an argument may be, given how it begins and what the other arguments are."""
        del caller, others
        return [value for value in _KNOWN.get((name, argument), ()) if value.startswith(begun)]
