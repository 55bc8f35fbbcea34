"""A tool as clients see it in the list."""

from __future__ import annotations

from typing import Any

from mcp.types import Tool, ToolAnnotations

from servicetsunami.mcp.spec import ToolSpec


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
        _meta=_meta(spec) or None,
    )


def wire_json(spec: ToolSpec) -> dict[str, Any]:
    """Return a tool as it stands in the list, as JSON."""
    return wire_tool(spec).model_dump(mode="json", by_alias=True, exclude_none=True)


def _meta(spec: ToolSpec) -> dict[str, Any]:
    # Claude Code finds tools by search; this shows the few that every conversation needs at once.
    always = {"anthropic/alwaysLoad": True} if spec.always_load else {}
    return always | ({"ui": {"resourceUri": spec.view}} if spec.view else {})
