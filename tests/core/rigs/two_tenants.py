"""What one tenant has, and every way in which another may try to get at it, found by asking the server."""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Awaitable, Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from mcp import Client, MCPError
from mcp.types import (
    EmptyResult,
    PromptReference,
    ResourceTemplate,
    ResourceTemplateReference,
    SubscribeRequest,
    SubscribeRequestParams,
    Tool,
)

CREATES = ("connect_", "upload_file")
"""How tools are called whose arguments name nothing that exists: what they make is their caller's own."""
FREE = {"search", "limit", "layer", "sync_mode", "wait_seconds", "preview", "save_as"}
FREE |= {"validate_only", "transformations", "checks", "comment", "silver_table"}
"""Arguments that hold no id of anything."""
VOLATILE = re.compile(r'"(elapsed_seconds|execution_time|expires_at|created_at)": ?[^,}]+|in [0-9.]+ s')
NEEDED: Mapping[str, AbstractSet[str]] = {
    "query_sql": {"sql"},
    "delete_connection": {"connection_id"},
    "list_tables": set(),
    "list_source_tables": {"connection_id"},
    "transform_to_silver": {"bronze_table"},
}
"""Arguments to fill in with what is the caller's own, where not all of them go together."""
MADE: Mapping[str, AbstractSet[str]] = {"create_gold_view": {"name"}}
"""Arguments that name what is to be made, which is the caller's own whatever it is called."""
Answer = tuple[str, str]
"""What kind of answer it is, and its text."""


@dataclass
class World:
    """What one tenant has, by the names that arguments, variables and URIs use for it."""

    tenant: str
    values: dict[str, str]
    uris: list[str] = field(default_factory=list)

    @property
    def marks(self) -> list[str]:
        """What must never reach anybody else: the longest first."""
        ids = [value for name, value in self.values.items() if name not in ("sql", "name", "cursor")]
        return sorted({self.tenant, *ids}, key=len, reverse=True)

    @property
    def atoms(self) -> list[str]:
        """The marks that are not made of others."""
        return [mark for mark in self.marks if mark == self.tenant or self.tenant not in mark]


@dataclass(frozen=True)
class Attempt:
    """One thing to try: how it is called, with what of the other's, and how to carry it out."""

    what: str
    sent: str
    send: Callable[[Client, str], Awaitable[Answer]]


def stranger(value: str, world: World) -> str:
    """Return a value of the same shape that names nothing: whatever is the world's own in it is somebody else's."""
    for atom in world.atoms:
        dice = random.Random(atom)
        kept = re.match(r"(?:[a-z]{1,8}_)?", atom)
        prefix = kept.group() if kept else ""
        made = "".join(_other(dice, letter) for letter in atom[len(prefix) :])
        value = value.replace(atom, prefix + made)
    return value


def _other(dice: random.Random, letter: str) -> str:
    for letters in (string.digits, "abcdef", string.ascii_lowercase, string.ascii_uppercase):
        if letter in letters:
            return dice.choice(letters)
    return letter


def normal(answer: Answer, world: World) -> Answer:
    """Return an answer without what was sent and without what no two answers share."""
    kind, text = answer
    for atom in world.atoms:
        for said in (atom, stranger(atom, world)):
            text = text.replace(said, "·").replace(said.replace("_", "-"), "·")
    return kind, VOLATILE.sub("", text)


async def attempts(client: Client, own: World, other: World, era: str) -> list[Attempt]:
    """Return everything a caller can try with ids of the other."""
    tools = (await client.list_tools()).tools
    templates = (await client.list_resource_templates()).resource_templates
    listed = (await client.list_prompts()).prompts
    prompts = {prompt.name: [one.name for one in prompt.arguments or ()] for prompt in listed}
    watch = _watch_legacy if era == "legacy" else _watch
    return [
        *(one for tool in tools if not tool.name.startswith(CREATES) for one in _calls(tool, own, other)),
        *(one for found in templates for one in _completions(_template(found), _variables(found), other)),
        *(one for name, names in prompts.items() for one in _completions(PromptReference(name=name), names, other)),
        *(one for name, names in prompts.items() for one in _prompts(name, names, own, other)),
        *(Attempt(f"read {_shape(uri)}", uri, _read) for uri in other.uris),
        *(Attempt(f"watch {_shape(uri)}", uri, watch) for uri in other.uris),
    ]


def _calls(tool: Tool, own: World, other: World) -> Iterator[Attempt]:
    properties = tool.input_schema["properties"].keys()
    unknown = properties - own.values.keys() - FREE - {"tenant_id"}
    assert not unknown, f"{tool.name} has arguments nobody here knows how to misuse: {unknown}"
    needed = NEEDED.get(tool.name, properties)
    valid = {name: own.values[name] for name in properties & own.values.keys() & needed}
    for argument in properties - FREE - MADE.get(tool.name, set()):
        marks = _statements(other) if argument == "sql" else other.marks
        for value in {other.values.get(argument, other.tenant), *marks}:
            yield Attempt(f"{tool.name}({argument})", value, _calling(tool.name, valid, argument))


def _statements(other: World) -> list[str]:
    name = other.values["name"]
    places = (
        f"bronze.{name}",
        f"tenant_{other.tenant}.silver.{name}",
        f"delta.`../{other.tenant}/{name}`",
        f"public.{name}",
    )
    return [f"select * from {place}" for place in places]


def _calling(tool: str, valid: Mapping[str, str], argument: str) -> Callable[[Client, str], Awaitable[Answer]]:
    async def call(client: Client, value: str) -> Answer:
        result = await client.call_tool(tool, {**valid, argument: value})
        blocks = [block.model_dump(mode="json", exclude_none=True) for block in result.content]
        return f"error {result.is_error}", json.dumps([result.structured_content, blocks])

    return call


def _completions(reference: Any, names: list[str], other: World) -> Iterator[Attempt]:
    for name in names:
        for value in {"", *(mark[:8] for mark in other.marks)}:
            yield Attempt(f"complete {_name(reference)}.{name}", value, _completing(reference, name))


def _completing(reference: Any, name: str) -> Callable[[Client, str], Awaitable[Answer]]:
    async def complete(client: Client, value: str) -> Answer:
        found = await client.complete(reference, {"name": name, "value": value})
        return "completion", json.dumps(found.completion.values)

    return complete


def _prompts(prompt: str, names: list[str], own: World, other: World) -> Iterator[Attempt]:
    valid = {name: own.values.get(name, "x") for name in names}
    for name in names:
        for value in other.marks:
            yield Attempt(f"prompt {prompt}({name})", value, _prompting(prompt, valid, name))


def _prompting(prompt: str, valid: Mapping[str, str], name: str) -> Callable[[Client, str], Awaitable[Answer]]:
    async def get(client: Client, value: str) -> Answer:
        found = await client.get_prompt(prompt, {**valid, name: value})
        return "prompt", found.model_dump_json(exclude_none=True)

    return get


async def _read(client: Client, uri: str) -> Answer:
    found = await client.read_resource(uri)
    return "resource", found.model_dump_json(exclude_none=True)


async def _watch(client: Client, uri: str) -> Answer:
    async with client.listen(resource_subscriptions=[uri]):
        return "watching", ""


async def _watch_legacy(client: Client, uri: str) -> Answer:
    request = SubscribeRequest(params=SubscribeRequestParams(uri=uri))
    await client.session.send_request(request, EmptyResult)
    return "watching", ""


async def outcome(client: Client, attempt: Attempt, value: str) -> Answer:
    """Carry an attempt out with a value, and return what came of it, a protocol error too."""
    try:
        return await attempt.send(client, value)
    except MCPError as error:
        return f"protocol error {error.error.code}", json.dumps([error.error.message, error.error.data])


def _template(template: ResourceTemplate) -> ResourceTemplateReference:
    return ResourceTemplateReference(uri=template.uri_template)


def _variables(template: ResourceTemplate) -> list[str]:
    return re.findall(r"\{\??([a-z_]+)", template.uri_template)


def _shape(uri: str) -> str:
    return uri.partition(":")[0]


def _name(reference: Any) -> str:
    return str(getattr(reference, "uri", None) or reference.name)
