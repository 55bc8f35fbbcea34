"""The MCP server: the one place that touches the MCP SDK's server side.

Both protocol eras, up to 2025-11-25 and 2026-07-28, are served by the SDK's lowlevel `Server`; which one is spoken is
the client's choice. `tests/core/test_mcp_host.py` fails if an upgrade of the SDK moves what is used here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp.server import CacheHint, Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from servicetsunami.mcp.answering import answer
from servicetsunami.mcp.spec import Catalog, Report, ToolCall, ToolSpec
from servicetsunami.sdk import nearest

RequestContext = ServerRequestContext[dict[str, Any]]
_LIST_IS_FRESH_MS = 60_000


class Host(Server[dict[str, Any]]):
    """Serves a catalog of tools. `call` makes what a tool may know of a request: who asks, and how to report."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        version: str,
        instructions: str,
        call: Callable[[RequestContext, Report], ToolCall],
    ) -> None:
        self._catalog = catalog
        self._call = call
        super().__init__(
            "servicetsunami",
            version=version,
            title="ServiceTsunami",
            instructions=instructions,
            cache_hints={"tools/list": CacheHint(ttl_ms=_LIST_IS_FRESH_MS, scope="private")},
            get_tool_input_schema=self._input_schema,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
        )

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        spec = self._catalog.callable.get(name)
        return spec.input_schema if spec else None

    async def _list_tools(self, _context: RequestContext, _params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[wire_tool(spec) for spec in self._catalog.listed])

    async def _call_tool(self, context: RequestContext, params: CallToolRequestParams) -> CallToolResult:
        spec = self._catalog.callable.get(params.name)
        if spec is None:
            raise self._unknown_tool(params.name)
        call = self._call(context, _rising(context.session.report_progress))
        given = await answer(spec, call, params.arguments or {})
        return CallToolResult(
            content=[TextContent(type="text", text=given.text)],
            structured_content=given.structured,
            is_error=given.is_error,
        )

    def _unknown_tool(self, name: str) -> MCPError:
        near = nearest(name[:64], self._catalog.callable)
        meant = f"; did you mean {', '.join(near)}?" if near else ""
        return MCPError(INVALID_PARAMS, f"Unknown tool: {name[:64]}{meant}")


def wire_tool(spec: ToolSpec) -> Tool:
    """Return a tool as clients see it in the list."""
    return Tool(
        name=spec.name,
        title=spec.title,
        description=spec.description,
        input_schema=spec.input_schema,
        output_schema=spec.output_schema,
        annotations=ToolAnnotations(
            read_only_hint=spec.hints.read_only,
            destructive_hint=spec.hints.destructive,
            idempotent_hint=spec.hints.idempotent,
            open_world_hint=spec.hints.open_world,
        ),
        # Claude Code finds tools by search; this shows the few that every conversation needs at once.
        _meta={"anthropic/alwaysLoad": True} if spec.always_load else None,
    )


def wire_json(spec: ToolSpec) -> dict[str, Any]:
    """Return a tool as it stands in the list, as JSON."""
    return wire_tool(spec).model_dump(mode="json", by_alias=True, exclude_none=True)


def _rising(send: Report) -> Report:
    """Report only progress: the protocol wants every value above the one before."""
    last = 0.0

    async def report(done: float, total: float | None, message: str) -> None:
        nonlocal last
        if done > last:
            last = done
            await send(done, total, message)

    return report
