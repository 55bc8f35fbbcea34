"""A server over HTTP with tools of a test's own, served exactly as the product is: `python http_stage.py`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from mcp.types import (
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
    TextContent,
    Tool,
)

from servicetsunami.mcp.asking import Asking, NeedsInput
from servicetsunami.mcp.host import Host, RequestStateSecurity, ResourceUpdated, SubscriptionBus, ToolsListChanged
from servicetsunami.mcp.http.serving import serve
from servicetsunami.mcp.surface import RequestContext, unknown_resource
from servicetsunami.operations.app import App
from servicetsunami.runtime import load_settings
from servicetsunami.sdk import Json

TOOLS = ("where", "touch", "confirm", "slow")


class Stage:
    """Tools that tell which process answers, tell of changes, ask, and take their time."""

    def __init__(self, bus: SubscriptionBus) -> None:
        self._bus = bus

    def tool_input_schema(self, name: str) -> Json | None:
        return {"type": "object"} if name in TOOLS else None

    async def tools(self, _context: RequestContext) -> Sequence[Tool]:
        return [Tool(name=name, input_schema={"type": "object"}) for name in TOOLS]

    async def call_tool(
        self, context: RequestContext, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        said = "done"
        if params.name == "touch":
            await self._bus.publish(ToolsListChanged())
            await self._bus.publish(ResourceUpdated(uri=str((params.arguments or {})["uri"])))
        elif params.name == "slow":
            await asyncio.sleep(float((params.arguments or {})["seconds"]))
        elif params.name == "confirm":
            asking = Asking(context, params)
            try:
                said = f"{await asking.confirm('sure', 'Sure?', str(os.getpid()))} {asking.state}"
            except NeedsInput as needed:
                return needed.result()
        return CallToolResult(content=[TextContent(text=f"{said} {os.getpid()}")])

    async def resources(self, _context: RequestContext) -> Sequence[Resource]:
        return []

    async def resource_templates(self, _context: RequestContext) -> Sequence[ResourceTemplate]:
        return []

    async def read_resource(self, _context: RequestContext, _params: ReadResourceRequestParams) -> ReadResourceResult:
        raise unknown_resource()

    async def may_watch(self, _context: RequestContext, _uri: str) -> bool:
        return True

    async def prompts(self, _context: RequestContext) -> Sequence[Prompt]:
        return []

    async def get_prompt(self, _context: RequestContext, _params: GetPromptRequestParams) -> GetPromptResult:
        raise unknown_resource()

    async def complete(self, _context: RequestContext, _params: CompleteRequestParams) -> Completion:
        return Completion(values=[])


async def make_stage(app: App, bus: SubscriptionBus) -> Host:
    """Return the stage as a server."""
    states = RequestStateSecurity(keys=[await app.records.derived_key("stage")])
    return Host(Stage(bus), version="1", instructions="", bus=bus, request_state=states)


if __name__ == "__main__":
    sys.exit(serve(load_settings(), make_stage))
