"""The prompts that the suite fills in."""

from __future__ import annotations

from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    ContentBlock,
    ElicitResult,
    EmbeddedResource,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
    TextResourceContents,
)

from servicetsunami.mcp.conformance.fixture import form
from servicetsunami.mcp.conformance.media import IMAGE
from servicetsunami.mcp.conformance.multi_round import ask

_ARGUMENTS = [
    PromptArgument(name="arg1", description="A first argument.", required=True),
    PromptArgument(name="arg2", description="A second argument.", required=True),
]
_URI = PromptArgument(name="resourceUri", description="The resource to embed.", required=True)
_CONTEXT = form("What context should the prompt use?", "context", context={"type": "string"})
PROMPTS = (
    Prompt(name="test_simple_prompt", description="A text."),
    Prompt(name="test_prompt_with_arguments", description="A text with arguments.", arguments=_ARGUMENTS),
    Prompt(name="test_prompt_with_embedded_resource", description="A resource and a text.", arguments=[_URI]),
    Prompt(name="test_prompt_with_image", description="An image and a text."),
    Prompt(name="test_input_required_result_prompt", description="A text that asks for its context first."),
)


def fill_in(params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
    """Return a prompt, or what it asks first; raises `MCPError` for an unknown one or a missing argument."""
    prompt = next((prompt for prompt in PROMPTS if prompt.name == params.name), None)
    if prompt is None:
        raise MCPError(INVALID_PARAMS, f"Unknown prompt: {params.name}")
    given = params.arguments or {}
    if any(argument.name not in given for argument in prompt.arguments or ()):
        raise MCPError(INVALID_PARAMS, f"Missing arguments of prompt {params.name}")
    if params.name == "test_input_required_result_prompt":
        return _with_context(params)
    return _messages(*_contents(params.name, given))


def _contents(name: str, given: dict[str, str]) -> tuple[ContentBlock, ...]:
    if name == "test_prompt_with_arguments":
        return (_text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"),)
    if name == "test_prompt_with_embedded_resource":
        return _embedded(given["resourceUri"]), _text("Please process the embedded resource above.")
    if name == "test_prompt_with_image":
        return IMAGE, _text("Please analyze the image above.")
    return (_text("This is a simple prompt for testing."),)


def _with_context(params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
    answer = (params.input_responses or {}).get("user_context")
    if not isinstance(answer, ElicitResult):
        return ask(user_context=_CONTEXT)
    return _messages(_text(f"Use this context: {(answer.content or {}).get('context')}"))


def _messages(*contents: ContentBlock) -> GetPromptResult:
    return GetPromptResult(messages=[PromptMessage(role="user", content=content) for content in contents])


def _text(told: str) -> TextContent:
    return TextContent(type="text", text=told)


def _embedded(uri: str) -> EmbeddedResource:
    content = TextResourceContents(uri=uri, mime_type="text/plain", text="Embedded resource content for testing.")
    return EmbeddedResource(type="resource", resource=content)
