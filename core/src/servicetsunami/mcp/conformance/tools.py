"""Tools that answer at once, with every kind of content."""

from __future__ import annotations

from mcp.types import CallToolResult, EmbeddedResource, TextContent, TextResourceContents

from servicetsunami.mcp.conformance.fixture import Answer, Call, Fixture, text
from servicetsunami.mcp.conformance.media import IMAGE, SOUND
from servicetsunami.sdk import Json

_STREET_AND_CITY: Json = {"street": {"type": "string"}, "city": {"type": "string"}}
_EVERY_KEYWORD: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": _STREET_AND_CITY}},
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


async def _simple_text(_call: Call) -> Answer:
    return text("This is a simple text response for testing.")


async def _image(_call: Call) -> Answer:
    return CallToolResult(content=[IMAGE])


async def _audio(_call: Call) -> Answer:
    return CallToolResult(content=[SOUND])


async def _embedded_resource(_call: Call) -> Answer:
    return CallToolResult(
        content=[_embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]
    )


async def _multiple(_call: Call) -> Answer:
    words = TextContent(type="text", text="Multiple content types test:")
    data = _embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    return CallToolResult(content=[words, IMAGE, data])


async def _error(_call: Call) -> Answer:
    return text("This tool intentionally returns an error for testing", is_error=True)


async def _echo(call: Call) -> Answer:
    return text(f"Given: {', '.join(sorted(call.arguments))}")


def _embedded(uri: str, mime_type: str, content: str) -> EmbeddedResource:
    held = TextResourceContents(uri=uri, mime_type=mime_type, text=content)
    return EmbeddedResource(type="resource", resource=held)


TOOLS = (
    Fixture("test_simple_text", "Answer with text.", _simple_text),
    Fixture("test_image_content", "Answer with an image.", _image),
    Fixture("test_audio_content", "Answer with a sound.", _audio),
    Fixture("test_embedded_resource", "Answer with a resource.", _embedded_resource),
    Fixture("test_multiple_content_types", "Answer with text, an image and a resource.", _multiple),
    Fixture("test_error_handling", "Answer with an error.", _error),
    Fixture(
        "test_x_mcp_header",
        "Take an argument that is repeated in an HTTP header.",
        _echo,
        {"region": {"type": "string", "x-mcp-header": "Region"}},
        ("region",),
    ),
    Fixture("json_schema_2020_12_tool", "Take arguments described by many a keyword.", _echo, schema=_EVERY_KEYWORD),
)
