"""What one kind of resource is to the library: a scheme of URIs, and all there is to ask about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from mcp.types import Annotations, ReadResourceResult, Resource, ResourceTemplate, TextResourceContents

from servicetsunami.mcp.surface import unknown_resource

if TYPE_CHECKING:
    from pydantic import BaseModel

    from servicetsunami.operations.caller import Caller

JSON = "application/json"
MARKDOWN = "text/markdown"
FOR_MODELS = Annotations(audience=["assistant"])
FOR_BOTH = Annotations(audience=["user", "assistant"])


class Family(Protocol):
    """One kind of resource. What a caller cannot read is answered like what does not exist."""

    def owns(self, uri: str) -> bool:
        """Tell whether a URI, or a template, is of this kind."""

    async def listed(self, caller: Caller) -> Sequence[Resource]:
        """List the concrete ones, the most useful first."""

    def templates(self, caller: Caller) -> Sequence[ResourceTemplate]:
        """List the templates."""

    async def read(self, caller: Caller, uri: str) -> ReadResourceResult:
        """Read one; raises `unknown_resource()`."""

    async def complete(
        self, caller: Caller, template: str, argument: str, begun: str, others: Mapping[str, str]
    ) -> Sequence[str]:
        """Return what a variable of a template may be."""


def as_json(uri: str, *results: BaseModel) -> ReadResourceResult:
    """Return results of operations, which are bounded, as the contents of a resource."""
    texts = (result.model_dump_json(exclude_none=True, indent=1) for result in results)
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=JSON, text=text) for text in texts])


def as_markdown(uri: str, text: str) -> ReadResourceResult:
    """Return text as the contents of a resource."""
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=MARKDOWN, text=text)])


def matching(values: Iterable[str], begun: str) -> list[str]:
    """Return the values that begin so, then those that hold it, whatever the case."""
    wanted, found = begun.casefold(), list(dict.fromkeys(values))
    first = [value for value in found if value.casefold().startswith(wanted)]
    return first + [value for value in found if value not in first and wanted in value.casefold()]


__all__ = [
    "FOR_BOTH",
    "FOR_MODELS",
    "JSON",
    "MARKDOWN",
    "Family",
    "as_json",
    "as_markdown",
    "matching",
    "unknown_resource",
]
