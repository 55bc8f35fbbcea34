"""The fixtures as a surface, beside the product's."""

from __future__ import annotations

from collections.abc import Sequence

from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
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

from servicetsunami.mcp.conformance import multi_round, prompts, resources, speaking, tasks, tools
from servicetsunami.mcp.conformance.fixture import Answer, Call
from servicetsunami.mcp.host import SubscriptionBus
from servicetsunami.mcp.surface import RequestContext, unknown_resource
from servicetsunami.sdk import Json

_FIXTURES = {fixture.name: fixture for fixture in (*tools.TOOLS, *speaking.TOOLS, *multi_round.TOOLS, *tasks.TOOLS)}
_WORDS = ("paris", "park", "party")


class Fixtures:
    """Everything that the conformance suite calls by name; the same for every caller."""

    def __init__(self, bus: SubscriptionBus) -> None:
        self._bus = bus

    def tool_input_schema(self, name: str) -> Json | None:
        """Return the input schema of a fixture."""
        fixture = _FIXTURES.get(name)
        return fixture.input_schema if fixture else None

    async def tools(self, _context: RequestContext) -> Sequence[Tool]:
        """List the fixtures."""
        return [fixture.tool() for fixture in _FIXTURES.values()]

    async def call_tool(self, context: RequestContext, params: CallToolRequestParams) -> Answer:
        """Run a fixture."""
        fixture = _FIXTURES.get(params.name)
        if fixture is None:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
        missing = [name for name in fixture.required if name not in (params.arguments or {})]
        if missing:
            raise MCPError(INVALID_PARAMS, f"Missing arguments: {', '.join(missing)}")
        return await fixture.run(Call(context, params, self._bus))

    async def resources(self, _context: RequestContext) -> Sequence[Resource]:
        """List the resources."""
        return resources.RESOURCES

    async def resource_templates(self, _context: RequestContext) -> Sequence[ResourceTemplate]:
        """List the templates."""
        return resources.TEMPLATES

    async def read_resource(self, _context: RequestContext, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Read a resource."""
        content = resources.read(params.uri)
        if content is None:
            raise unknown_resource()
        return ReadResourceResult(contents=[content])

    async def may_watch(self, _context: RequestContext, uri: str) -> bool:
        """Tell whether there is such a resource."""
        return resources.read(uri) is not None

    async def prompts(self, _context: RequestContext) -> Sequence[Prompt]:
        """List the prompts."""
        return prompts.PROMPTS

    async def get_prompt(
        self, _context: RequestContext, params: GetPromptRequestParams
    ) -> GetPromptResult | InputRequiredResult:
        """Fill a prompt in."""
        return prompts.fill_in(params)

    async def complete(self, _context: RequestContext, params: CompleteRequestParams) -> Completion:
        """Complete any argument with a few words."""
        found = [word for word in _WORDS if word.startswith(params.argument.value)]
        return Completion(values=found, total=len(found), has_more=False)
