"""The product as a surface: its tools, resources and prompts, for whoever a request comes from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    Completion,
    ContentBlock,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    Prompt,
    PromptReference,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceLink,
    ResourceTemplate,
    TextContent,
    Tool,
)

from servicetsunami.mcp.answering import Answer, answer
from servicetsunami.mcp.asking import Asking, NeedsInput, Questions
from servicetsunami.mcp.prompts import Prompts
from servicetsunami.mcp.resources import Resources
from servicetsunami.mcp.spec import Catalog, Report, ToolCall, ToolSpec
from servicetsunami.mcp.surface import RequestContext
from servicetsunami.mcp.wire import wire_tool
from servicetsunami.sdk import Json, nearest

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.operations.connecting import Door

Who = Callable[[RequestContext], "Caller"]
"""Tells who sent a request, from what the transport verified and nothing the caller says."""


_MOST_COMPLETIONS = 100


class Product:
    """Serves the product's catalog; what a caller lacks the scope for does not exist for them."""

    def __init__(self, app: App, catalog: Catalog, who: Who, door: Door | None = None) -> None:
        self._app = app
        self._door = door
        self._who = who
        self.questions = Questions()
        self.offer(catalog)

    def offer(self, catalog: Catalog) -> None:
        """Serve another catalog from now on."""
        self.catalog = catalog
        self._resources = Resources(self._app, catalog)
        self._prompts = Prompts(self._app, catalog)

    def tool_input_schema(self, name: str) -> Json | None:
        """Return the input schema of a tool."""
        spec = self.catalog.callable.get(name)
        return spec.input_schema if spec else None

    async def tools(self, context: RequestContext) -> Sequence[Tool]:
        """List the tools the caller may use."""
        caller = self._who(context)
        return [wire_tool(spec) for spec in self.catalog.listed if _visible(spec, caller)]

    async def call_tool(
        self, context: RequestContext, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        """Answer a call."""
        caller = self._who(context)
        spec = self.catalog.callable.get(params.name)
        if spec is None or not _visible(spec, caller):
            raise self._unknown_tool(params.name, caller)
        report = _rising(context.session.report_progress)
        call = ToolCall(self._app, caller, report, Asking(context, params, self.questions), self._door)
        try:
            given = await answer(spec, call, params.arguments or {})
        except NeedsInput as needed:
            return needed.result()
        return CallToolResult(
            content=_content(given),
            structured_content=given.structured,
            is_error=given.is_error,
        )

    async def resources(self, context: RequestContext) -> Sequence[Resource]:
        """List the caller's resources."""
        return await self._resources.listed(self._who(context))

    async def resource_templates(self, context: RequestContext) -> Sequence[ResourceTemplate]:
        """List the templates of resources."""
        return self._resources.templates(self._who(context))

    async def read_resource(self, context: RequestContext, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Read one of the caller's resources."""
        return await self._resources.read(self._who(context), params.uri)

    async def may_watch(self, context: RequestContext, uri: str) -> bool:
        """Tell whether the caller may watch a resource."""
        return await self._resources.may_watch(self._who(context), uri)

    async def prompts(self, context: RequestContext) -> Sequence[Prompt]:
        """List the prompts."""
        return self._prompts.listed(self._who(context))

    async def get_prompt(self, context: RequestContext, params: GetPromptRequestParams) -> GetPromptResult:
        """Fill a prompt in."""
        return await self._prompts.get(self._who(context), params.name, params.arguments or {})

    async def complete(self, context: RequestContext, params: CompleteRequestParams) -> Completion:
        """Complete an argument of a prompt or a variable of a template."""
        caller, argument = self._who(context), params.argument
        others = (params.context.arguments if params.context else None) or {}
        if isinstance(params.ref, PromptReference):
            found = await self._prompts.complete(caller, params.ref.name, argument.name, argument.value, others)
        else:
            found = await self._resources.complete(caller, params.ref.uri, argument.name, argument.value, others)
        return Completion(
            values=list(found[:_MOST_COMPLETIONS]), total=len(found), has_more=len(found) > _MOST_COMPLETIONS
        )

    def _unknown_tool(self, name: str, caller: Caller) -> MCPError:
        seen = [tool for tool, spec in self.catalog.callable.items() if _visible(spec, caller)]
        near = nearest(name[:64], seen)
        meant = f"; did you mean {', '.join(near)}?" if near else ""
        return MCPError(INVALID_PARAMS, f"Unknown tool: {name[:64]}{meant}")


def _content(given: Answer) -> list[ContentBlock]:
    shown: list[ContentBlock] = [TextContent(type="text", text=given.text)]
    if given.whole is not None:
        shown.append(ResourceLink(type="resource_link", uri=given.whole, name="whole-result", title="The whole result"))
    return shown


def _visible(spec: ToolSpec, caller: Caller) -> bool:
    return caller.may(spec.scope)


def _rising(send: Callable[[float, float | None, str], Awaitable[None]]) -> Report:
    """Report only progress: the protocol wants every value above the one before."""
    last = 0.0

    async def report(done: float, total: float | None, message: str) -> None:
        nonlocal last
        if done > last:
            last = done
            await send(done, total, message)

    return report
