"""Answering one call of a tool: check its arguments, run its operation, put the result or the error into words."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servicetsunami.mcp.arguments import check_choices, check_names, check_withheld, parse
from servicetsunami.mcp.asking import NeedsInput
from servicetsunami.mcp.spec import ToolCall, ToolSpec
from servicetsunami.mcp.text import problem_text
from servicetsunami.operations.answers.visible import visible_lines
from servicetsunami.operations.models import Result
from servicetsunami.operations.paging import shortened
from servicetsunami.sdk import Json, NotFound, PermanentError, TsunamiError

_CEILING = 256 * 1024
_LONGEST_FACT = 4_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What a client gets: text for people, the same as JSON for models."""

    text: str
    structured: Json
    is_error: bool = False
    whole: str | None = None
    """URI of the resource that holds all of a result which was cut."""


async def answer(spec: ToolSpec, call: ToolCall, arguments: Mapping[str, Any]) -> Answer:
    """Answer a call; every error becomes an answer that says what to do."""
    try:
        result = _bounded(spec.name, await _run(spec, call, arguments))
    except TsunamiError as error:
        problem = error.problem()
        facts = problem.model_dump(mode="json", exclude_none=True).items()
        brief = {name: shortened(fact, _LONGEST_FACT) if isinstance(fact, str) else fact for name, fact in facts}
        shown = {"kind": error.default_code, **brief}
        return Answer(_text(problem_text(problem)), {"error": shown}, is_error=True)
    whole = spec.whole(result) if spec.whole is not None else None
    return Answer(_text(spec.text(result)), result.model_dump(mode="json", exclude_none=True), whole=whole)


def _bounded(tool: str, result: Result) -> Result:
    """Refuse to flood a conversation, should a result be longer than its operation lets it become."""
    if len(result.model_dump_json(exclude_none=True).encode()) <= _CEILING:
        return result
    raise PermanentError(
        f"the answer of {tool} would be longer than {_CEILING // 1024} KiB, so it is not given",
        code="answer_too_large",
        fix="ask for less at a time",
    )


def _text(text: str) -> str:
    return shortened(visible_lines(text), _CEILING)


async def _run(spec: ToolSpec, call: ToolCall, arguments: Mapping[str, Any]) -> Result:
    check_withheld(arguments, spec.withheld)
    check_names(spec.name, arguments, tuple(spec.input_schema["properties"]))
    check_choices(spec.name, arguments, spec.choices)
    parsed = parse(spec.name, arguments, spec.arguments)
    _check_tenant(getattr(parsed, "tenant_id", None), call.caller.tenant)
    try:
        return await spec.run(call, parsed)
    except (TsunamiError, NeedsInput):
        raise
    except Exception as error:  # the outermost handler: a fault of ours has no meaning for the caller
        raise _crashed(spec.name, error) from error


def _check_tenant(wanted: str | None, own: str) -> None:
    """Refuse another tenant's name in the same words whether or not there is such a tenant."""
    if wanted is not None and wanted != own:
        raise NotFound(
            "there is no tenant of that name here",
            code="tenant_not_found",
            field="tenant_id",
            fix="leave tenant_id out: your own tenant is used",
        )


def _crashed(tool: str, error: Exception) -> PermanentError:
    # Frames only: the text of an unexpected exception may hold rows or secrets.
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("tool %s raised %s at\n%s", tool, type(error).__name__, frames)
    return PermanentError(
        f"{tool} stopped because of a fault in the server",
        code="internal",
        fix="try again; if it stays, look for this moment in the server's log and report it",
    )
