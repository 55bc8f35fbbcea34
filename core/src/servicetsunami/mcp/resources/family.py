"""What one kind of resource is to the library: a scheme of URIs, and all there is to ask about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from mcp.types import Annotations, ReadResourceResult, Resource, ResourceTemplate, TextResourceContents

from servicetsunami.mcp.surface import unknown_resource
from servicetsunami.sdk import PermanentError

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import BaseModel

    from servicetsunami.operations.caller import Caller

JSON = "application/json"
MARKDOWN = "text/markdown"
FOR_MODELS = Annotations(audience=["assistant"], priority=0.3)
MOST_LISTED = 500
"""How many of a kind are listed, the newest first; every other one can be read by its URI."""
MOST_BYTES = 256 * 1024
"""How long the contents of a resource may be."""


def for_both(priority: float, changed: datetime | None = None) -> Annotations:
    """Return the annotations of what people and models read; the more useful, the nearer to 1."""
    last_modified = changed.isoformat() if changed else None
    return Annotations(audience=["user", "assistant"], priority=priority, last_modified=last_modified)


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
    texts = (_bounded(result.model_dump_json(exclude_none=True, indent=1)) for result in results)
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=JSON, text=text) for text in texts])


def _bounded(text: str) -> str:
    """Return the text, or why it is not given: JSON that is cut cannot be read."""
    if len(text.encode()) <= MOST_BYTES:
        return text
    error = PermanentError(
        f"this resource would be longer than {MOST_BYTES // 1024} KiB, so it is not given",
        code="answer_too_large",
        fix="use the tool that tells the same a page at a time",
    )
    return error.problem().model_dump_json(exclude_none=True, indent=1)


def as_markdown(uri: str, text: str) -> ReadResourceResult:
    """Return text as the contents of a resource."""
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=MARKDOWN, text=text)])


def matching(values: Iterable[str], begun: str) -> list[str]:
    """Return the values that begin so, then those that hold it, whatever the case."""
    wanted, found = begun.casefold(), list(dict.fromkeys(values))
    first = [value for value in found if value.casefold().startswith(wanted)]
    return first + [value for value in found if value not in first and wanted in value.casefold()]


__all__ = [
    "FOR_MODELS",
    "JSON",
    "MARKDOWN",
    "MOST_BYTES",
    "MOST_LISTED",
    "Family",
    "as_json",
    "as_markdown",
    "for_both",
    "matching",
    "unknown_resource",
]
