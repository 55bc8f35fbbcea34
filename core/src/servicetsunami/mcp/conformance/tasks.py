"""Tools that take long: a client that knows tasks (SEP-2663) is handed one."""

from __future__ import annotations

import asyncio

from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, ElicitResult

from servicetsunami.mcp.conformance.fixture import Answer, Call, Fixture, form, text
from servicetsunami.mcp.conformance.multi_round import ask, field_of

_BECOMES_A_TASK_SECONDS = 0.2
_JOB_SECONDS = 1
_NAME = form("What is your name?", "name", name={"type": "string"})
_CONFIRM = form("Delete it?", "confirm", confirm={"type": "boolean"})


async def _greet(call: Call) -> Answer:
    return text(f"Hello, {call.arguments['name']}!")


async def _compute(call: Call) -> Answer:
    seconds = float(call.arguments.get("seconds", _JOB_SECONDS))
    await asyncio.sleep(seconds)
    return text(f"Computed for {seconds:g} seconds.")


async def _fail(_call: Call) -> Answer:
    await asyncio.sleep(_JOB_SECONDS)
    return text("The job failed.", is_error=True)


async def _break(_call: Call) -> Answer:
    await asyncio.sleep(_BECOMES_A_TASK_SECONDS)
    raise MCPError(INTERNAL_ERROR, "The job broke")


async def _confirm_delete(call: Call) -> Answer:
    await asyncio.sleep(_BECOMES_A_TASK_SECONDS)
    answer = call.response("confirm", ElicitResult)
    if answer is None:
        return ask(confirm=_CONFIRM)
    return text(f"Deleted: {field_of(answer, 'confirm') == 'True'}")


async def _multi_input(call: Call) -> Answer:
    await asyncio.sleep(_BECOMES_A_TASK_SECONDS)
    if {"first", "second"} <= call.responses.keys():
        return text("Both are answered.")
    return ask(first=_NAME, second=_CONFIRM)


async def _ask_then_work(call: Call) -> Answer:
    name = field_of(call.response("user_name", ElicitResult), "name")
    if name is None:
        return ask(user_name=_NAME)
    await asyncio.sleep(_BECOMES_A_TASK_SECONDS)
    return text(f"Worked for {name}.")


TOOLS = (
    Fixture("greet", "Greet somebody at once.", _greet, {"name": {"type": "string"}}, ("name",)),
    Fixture("slow_compute", "Compute for some seconds.", _compute, {"seconds": {"type": "number"}}),
    Fixture("failing_job", "Work a while, then fail.", _fail),
    Fixture("protocol_error_job", "Work a while, then break.", _break),
    Fixture("confirm_delete", "Ask whether to delete a file.", _confirm_delete, {"filename": {"type": "string"}}),
    Fixture("multi_input", "Ask two things at once.", _multi_input),
    Fixture("test_tool_with_task", "Ask, then work a while.", _ask_then_work),
)
REQUIRED = frozenset({"failing_job", "test_tool_with_task"})
"""The tools that serve only clients that know tasks."""
NAMES = frozenset(fixture.name for fixture in TOOLS) - {"greet"}
"""The tools whose calls may become tasks."""
