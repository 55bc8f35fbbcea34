"""All prompts, for one caller at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from servicetsunami.mcp.prompts.asking import EXPLAIN_FAILED_RUN, GENERATE_QUERY
from servicetsunami.mcp.prompts.connecting import (
    ANALYZE_SCHEMA,
    CONNECT_SOURCE,
    EXPLORE_SOURCE,
    TROUBLESHOOT_CONNECTION,
)
from servicetsunami.mcp.prompts.spec import Argument, PromptSpec
from servicetsunami.mcp.resources.family import matching
from servicetsunami.mcp.text import problem_text
from servicetsunami.sdk import TsunamiError

if TYPE_CHECKING:
    from servicetsunami.mcp.spec import Catalog
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_PROMPTS = (
    CONNECT_SOURCE,
    EXPLORE_SOURCE,
    ANALYZE_SCHEMA,
    GENERATE_QUERY,
    TROUBLESHOOT_CONNECTION,
    EXPLAIN_FAILED_RUN,
)
_LONGEST_ARGUMENT = 10_000


class Prompts:
    """Lists, fills in and completes prompts; one whose tools a caller lacks does not exist for them."""

    def __init__(self, app: App, catalog: Catalog) -> None:
        self._app = app
        self._catalog = catalog

    def listed(self, caller: Caller) -> Sequence[Prompt]:
        """List the prompts."""
        return [_wire(prompt) for prompt in self._of(caller)]

    async def get(self, caller: Caller, name: str, arguments: Mapping[str, str]) -> GetPromptResult:
        """Fill a prompt in; raises `MCPError` for an unknown one or an argument that is missing or names nothing."""
        prompt = self._find(caller, name)
        if prompt is None:
            raise MCPError(INVALID_PARAMS, "Unknown prompt")
        given = _checked(prompt, arguments)
        try:
            values = await prompt.gather(self._app, caller, given)
        except TsunamiError as error:
            raise MCPError(INVALID_PARAMS, problem_text(error.problem())) from None
        text = prompt.text.substitute(values)
        message = PromptMessage(role="user", content=TextContent(type="text", text=text))
        return GetPromptResult(description=prompt.description, messages=[message])

    async def complete(
        self, caller: Caller, name: str, argument: str, begun: str, others: Mapping[str, str]
    ) -> Sequence[str]:
        """Return what an argument may be, given how it begins and what the other arguments are."""
        prompt = self._find(caller, name)
        found = next((one for one in prompt.arguments if one.name == argument), None) if prompt else None
        if found is None or found.complete is None:
            return ()
        try:
            return _completed(found, await found.complete(self._app, caller, others), begun)
        except TsunamiError:  # whoever types a name is not stopped by a source or a lakehouse that does not answer
            return ()

    def _find(self, caller: Caller, name: str) -> PromptSpec | None:
        return next((prompt for prompt in self._of(caller) if prompt.name == name), None)

    def _of(self, caller: Caller) -> Sequence[PromptSpec]:
        tools = {name for name, tool in self._catalog.callable.items() if caller.may(tool.scope)}
        return [prompt for prompt in _PROMPTS if caller.may("read") and tools.issuperset(prompt.tools)]


def _wire(prompt: PromptSpec) -> Prompt:
    arguments = [
        PromptArgument(name=one.name, title=one.title, description=one.description, required=one.required)
        for one in prompt.arguments
    ]
    return Prompt(name=prompt.name, title=prompt.title, description=prompt.description, arguments=arguments)


def _completed(argument: Argument, values: Sequence[str], begun: str) -> list[str]:
    """Return what fits; of several with commas between them the last is completed, by those not named before."""
    if not argument.many or "," not in begun:
        return matching(values, begun)
    before, _, last = begun.rpartition(",")
    named = {one.strip() for one in before.split(",")}
    return [f"{before}, {value}" for value in matching(values, last.strip()) if value not in named]


def _checked(prompt: PromptSpec, arguments: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments that were given; no error repeats a value."""
    known = {one.name: one for one in prompt.arguments}
    if not arguments.keys() <= known.keys():
        raise MCPError(INVALID_PARAMS, f"{prompt.name} takes only: {', '.join(known)}")
    given = {name: value for name, value in arguments.items() if value.strip()}
    missing = next((name for name, one in known.items() if one.required and name not in given), None)
    if missing is not None:
        raise MCPError(INVALID_PARAMS, f"{prompt.name} needs the argument '{missing}'")
    if any(len(value) > _LONGEST_ARGUMENT for value in given.values()):
        raise MCPError(INVALID_PARAMS, f"an argument of {prompt.name} is longer than {_LONGEST_ARGUMENT:,} characters")
    return given
