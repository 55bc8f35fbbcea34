"""Tools that speak with the client before they answer: log lines, progress, questions, changes."""

from __future__ import annotations

import asyncio

from mcp.shared.exceptions import MCPError
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitResult,
    InputRequiredResult,
    SamplingMessage,
    TextContent,
)

from servicetsunami.mcp.conformance.fixture import Answer, Call, Fixture, form, text
from servicetsunami.mcp.host import PromptsListChanged, ToolsListChanged
from servicetsunami.sdk import Json

_A_MOMENT_SECONDS = 0.05
_UNTIL_BACK_SECONDS = 0.3
_STRING: Json = {"type": "string"}
_DEFAULTS: dict[str, Json] = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
_OPTIONS = ["option1", "option2", "option3"]
_TITLED = [{"const": f"value{number}", "title": f"Choice {number}"} for number in (1, 2, 3)]
_ENUMS: dict[str, Json] = {
    "untitledSingle": {"type": "string", "enum": _OPTIONS},
    "titledSingle": {"type": "string", "oneOf": _TITLED},
    "legacyEnum": {"type": "string", "enum": _OPTIONS, "enumNames": ["Option One", "Option Two", "Option Three"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
    "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
}


def sampling(prompt: str, most_tokens: int = 100) -> CreateMessageRequest:
    """Return the request to let the client's model answer a prompt."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=most_tokens))


def said(answer: CreateMessageResult) -> str:
    """Return what the client's model said."""
    return answer.content.text if isinstance(answer.content, TextContent) else "(no text)"


async def _log(call: Call) -> Answer:
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await call.log(line)
        await asyncio.sleep(_A_MOMENT_SECONDS)
    return text("Logged three lines.")


async def _progress(call: Call) -> Answer:
    for progress in (0, 50, 100):
        await call.report(progress)
        await asyncio.sleep(_A_MOMENT_SECONDS)
    return text("Reported progress three times.")


async def _sample(call: Call) -> Answer:
    answer = await call.ask(sampling(call.arguments["prompt"]), CreateMessageResult)
    return text(f"LLM response: {said(answer)}")


async def _elicit(call: Call) -> Answer:
    question = form(call.arguments["message"], "username", "email", username=_STRING, email=_STRING)
    return await _elicited(call, question, "User response")


async def _elicit_defaults(call: Call) -> Answer:
    return await _elicited(call, form("Tell about yourself", **_DEFAULTS), "Elicitation completed")


async def _elicit_enums(call: Call) -> Answer:
    return await _elicited(call, form("Choose", **_ENUMS), "Elicitation completed")


async def _elicited(call: Call, question: ElicitRequest, told: str) -> Answer:
    answer = await call.ask(question, ElicitResult)
    return text(f"{told}: action={answer.action}, content={answer.content}")


async def _need_sampling(call: Call) -> Answer:
    if call.client.sampling is None:
        missing: Json = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs the client's sampling", missing)
    return text("The client can sample.")


async def _elicit_while_streaming(call: Call) -> Answer:
    await call.report(50)
    if "name" in call.responses:
        return text("Asked while streaming.")
    return InputRequiredResult(input_requests={"name": form("What is your name?", "name", name=_STRING)})


async def _reconnect(call: Call) -> Answer:
    await call.close_stream()
    await asyncio.sleep(_UNTIL_BACK_SECONDS)
    return text("Welcome back.")


async def _change_tools(call: Call) -> Answer:
    await call.publish(ToolsListChanged())
    return text("Told of changed tools.")


async def _change_prompts(call: Call) -> Answer:
    await call.publish(PromptsListChanged())
    return text("Told of changed prompts.")


TOOLS = (
    Fixture("test_tool_with_logging", "Log three lines, then answer.", _log),
    Fixture("test_logging_tool", "Log three lines to a client that asked for them.", _log),
    Fixture("test_tool_with_progress", "Report progress, then answer.", _progress),
    Fixture("test_sampling", "Let the client's model answer a prompt.", _sample, {"prompt": _STRING}, ("prompt",)),
    Fixture("test_elicitation", "Ask the person for a name.", _elicit, {"message": _STRING}, ("message",)),
    Fixture("test_elicitation_sep1034_defaults", "Ask with defaults of every type.", _elicit_defaults),
    Fixture("test_elicitation_sep1330_enums", "Ask with choices of every kind.", _elicit_enums),
    Fixture("test_missing_capability", "Need a client that can sample.", _need_sampling),
    Fixture("test_streaming_elicitation", "Report progress, then ask.", _elicit_while_streaming),
    Fixture("test_reconnection", "Close the stream of the answer before giving it.", _reconnect),
    Fixture("test_trigger_tool_change", "Tell that the tools changed.", _change_tools),
    Fixture("test_trigger_prompt_change", "Tell that the prompts changed.", _change_prompts),
)
