"""What a host serves: tools, resources, prompts and completions, as one interface.

The product is one surface, the fixtures of the official conformance suite are another; both are served by the same
`Host` over the same transports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    Completion,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    Prompt,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    Tool,
)

from servicetsunami.sdk import Json

RequestContext = ServerRequestContext[dict[str, Any]]


class Surface(Protocol):
    """Everything a client can see or call; each answer holds only what the asker may see.

    An answer about something the asker may not see is that about something that does not exist.
    """

    def tool_input_schema(self, name: str) -> Json | None:
        """Return the input schema of a tool, None if there is no such tool."""

    async def tools(self, context: RequestContext) -> Sequence[Tool]:
        """List the tools, in order."""

    async def call_tool(
        self, context: RequestContext, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        """Answer a call; raises `MCPError` for an unknown tool."""

    async def resources(self, context: RequestContext) -> Sequence[Resource]:
        """List the concrete resources, in order; the host pages them."""

    async def resource_templates(self, context: RequestContext) -> Sequence[ResourceTemplate]:
        """List the templates of resources."""

    async def read_resource(
        self, context: RequestContext, params: ReadResourceRequestParams
    ) -> ReadResourceResult | InputRequiredResult:
        """Read a resource; raises `MCPError` for an unknown one."""

    async def may_watch(self, context: RequestContext, uri: str) -> bool:
        """Tell whether the asker may be told of changes of a resource."""

    async def prompts(self, context: RequestContext) -> Sequence[Prompt]:
        """List the prompts, in order."""

    async def get_prompt(
        self, context: RequestContext, params: GetPromptRequestParams
    ) -> GetPromptResult | InputRequiredResult:
        """Fill a prompt in; raises `MCPError` for an unknown one or a missing argument."""

    async def complete(self, context: RequestContext, params: CompleteRequestParams) -> Completion:
        """Complete an argument of a prompt or of a resource template; empty where nothing is known."""


class UnknownResource(MCPError):
    """Tells of a resource that does not exist, or that the asker may not see."""


def unknown_resource(uri: str | None = None) -> UnknownResource:
    """Return the one answer about such a resource; the host adds what was asked for."""
    return UnknownResource(INVALID_PARAMS, "Resource not found", None if uri is None else {"uri": uri})
