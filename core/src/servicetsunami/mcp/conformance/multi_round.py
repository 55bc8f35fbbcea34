"""Tools that end with questions and are called again with the answers: the way of 2026-07-28."""

from __future__ import annotations

from mcp.types import (
    CreateMessageResult,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
)

from servicetsunami.mcp.conformance.fixture import Answer, Call, Fixture, form, text
from servicetsunami.mcp.conformance.speaking import said, sampling
from servicetsunami.sdk import Json

_STRING: Json = {"type": "string"}
_BOOLEAN: Json = {"type": "boolean"}
_NAME = form("What is your name?", "name", name=_STRING)
_ROOTS = ListRootsRequest()


def ask(state: str | None = None, /, **questions: InputRequest) -> InputRequiredResult:
    """End a call with questions; the state comes back with the answers."""
    return InputRequiredResult(input_requests=questions, request_state=state)


def field_of(answer: ElicitResult | None, name: str) -> str | None:
    """Return what somebody entered into a field; None if nothing."""
    value = (answer.content or {}).get(name) if answer is not None and answer.action == "accept" else None
    return None if value is None else str(value)


async def _elicit(call: Call) -> Answer:
    name = field_of(call.response("user_name", ElicitResult), "name")
    return ask(user_name=_NAME) if name is None else text(f"Hello, {name}!")


async def _sample(call: Call) -> Answer:
    answer = call.response("capital_question", CreateMessageResult)
    return text(said(answer)) if answer else ask(capital_question=sampling("What is the capital of France?"))


async def _list_roots(call: Call) -> Answer:
    answer = call.response("client_roots", ListRootsResult)
    return text(f"Roots: {[str(root.uri) for root in answer.roots]}") if answer else ask(client_roots=_ROOTS)


async def _with_state(call: Call) -> Answer:
    if call.state == "asked" and call.response("confirm", ElicitResult):
        return text("state-ok")
    return ask("asked", confirm=form("Please confirm", "ok", ok=_BOOLEAN))


async def _everything(call: Call) -> Answer:
    name = field_of(call.response("user_name", ElicitResult), "name")
    greeting = call.response("greeting", CreateMessageResult)
    roots = call.response("client_roots", ListRootsResult)
    if name is None or greeting is None or roots is None:
        return ask("asked", user_name=_NAME, greeting=sampling("Generate a greeting", 50), client_roots=_ROOTS)
    return text(f"{said(greeting)}, {name}, with {len(roots.roots)} roots")


async def _rounds(call: Call) -> Answer:
    color = field_of(call.response("step2", ElicitResult), "color")
    if call.state is not None and call.state.startswith("name:") and color is not None:
        return text(f"{call.state.removeprefix('name:')} likes {color}.")
    name = field_of(call.response("step1", ElicitResult), "name")
    if call.state == "begun" and name is not None:
        return ask(f"name:{name}", step2=form("Step 2: What is your favorite color?", "color", color=_STRING))
    return ask("begun", step1=form("Step 1: What is your name?", "name", name=_STRING))


async def _what_the_client_can(call: Call) -> Answer:
    if call.responses:
        return text("Asked only what the client can answer.")
    questions: dict[str, InputRequest] = {}
    if call.client.elicitation is not None:
        questions["user_name"] = _NAME
    if call.client.sampling is not None:
        questions["greeting"] = sampling("Generate a greeting")
    return ask(**questions) if questions else text("The client can answer nothing.")


TOOLS = (
    Fixture("test_input_required_result_elicitation", "Ask for a name.", _elicit),
    Fixture("test_input_required_result_sampling", "Ask the client's model.", _sample),
    Fixture("test_input_required_result_list_roots", "Ask for the client's roots.", _list_roots),
    Fixture("test_input_required_result_request_state", "Ask, and want a state back.", _with_state),
    Fixture("test_input_required_result_tampered_state", "Ask, and want a state back unchanged.", _with_state),
    Fixture("test_input_required_result_multiple_inputs", "Ask three things at once.", _everything),
    Fixture("test_input_required_result_multi_round", "Ask twice, one after the other.", _rounds),
    Fixture("test_input_required_result_capabilities", "Ask what the client can answer.", _what_the_client_can),
)
