"""What a tool is: a name, two schemas, and one operation to call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from servicetsunami.mcp.arguments import Arguments
from servicetsunami.mcp.schemas import input_schema, output_schema
from servicetsunami.operations.caller import Scope
from servicetsunami.operations.models import Result
from servicetsunami.sdk import Json

if TYPE_CHECKING:
    from servicetsunami.mcp.asking import Asking
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.operations.connecting import Door

Report = Callable[[float, float | None, str], Awaitable[None]]
"""Tells the client how far a call is: done, total (None if unknown), in words."""


@dataclass(frozen=True)
class ToolCall:
    """What a tool knows of the call it answers, besides its arguments."""

    app: App
    caller: Caller
    report: Report
    ask: Asking
    door: Door | None = None
    """Where a person can be shown a page of this server."""


@dataclass(frozen=True)
class Hints:
    """What a tool may do, for clients that ask before they call."""

    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False
    """True if it reaches systems outside this server and its lakehouse."""


@dataclass(frozen=True)
class ToolSpec:
    """One tool: everything the host needs to list it, check a call and answer it."""

    name: str
    title: str
    description: str
    """Tells a model when to use it; at most 500 characters."""
    arguments: type[Arguments]
    result: type[Result]
    run: Callable[[ToolCall, Any], Awaitable[Result]]
    """Called with the parsed arguments; calls one operation."""
    text: Callable[[Any], str]
    """Says the result in a few words, for clients that show text."""
    scope: Scope
    """What a caller's token must allow to see and call it."""
    hints: Hints = field(default_factory=Hints)
    properties: Mapping[str, Json] | None = None
    """Schemas of arguments that depend on what is installed; they add to or replace those of `arguments`."""
    required: tuple[str, ...] = ()
    """Names in `properties` that must be given."""
    withheld: tuple[str, ...] = ()
    """Secrets it does not take, since a model would have to write them."""
    open_choices: tuple[str, ...] = ()
    """Arguments whose unknown choices the operation answers itself, since it has more to say of them."""
    always_load: bool = False
    """True for the few tools a client should show a model without a search."""
    long: bool = False
    """True if it begins a run and answers with its `RunView`: clients that know tasks get the run as one."""
    told: tuple[str, ...] = ()
    """The fields its schema names, of a result that another tool's schema tells in full; all, if none are named."""
    whole: Callable[[Any], str | None] | None = None
    """Returns the URI of the resource that holds all of a result which was cut, None if there is none."""
    view: str | None = None
    """URI of the `ui://` page that shows its result, in clients that render MCP Apps."""

    @cached_property
    def input_schema(self) -> Json:
        """The JSON Schema of the arguments; unknown ones are refused."""
        return input_schema(self.arguments, self.properties or {}, self.required)

    @cached_property
    def choices(self) -> Mapping[str, Sequence[Any]]:
        """The choices of each argument that has some, as far as they are closed."""
        properties = self.input_schema["properties"].items()
        return {name: one["enum"] for name, one in properties if "enum" in one and name not in self.open_choices}

    @cached_property
    def output_schema(self) -> Json:
        """The JSON Schema of the structured result."""
        return output_schema(self.result, self.told)


@dataclass(frozen=True)
class Catalog:
    """The tools of a server: those it lists, in order, and all it answers to, aliases included."""

    listed: tuple[ToolSpec, ...]
    callable: Mapping[str, ToolSpec]

    @classmethod
    def of(cls, *listed: ToolSpec, aliases: Mapping[str, ToolSpec] | None = None) -> Catalog:
        """Make a catalog of tools to list and of further names to answer to."""
        return cls(listed, {tool.name: tool for tool in listed} | dict(aliases or {}))
