"""The tools that connect a source, made from what the installed connectors declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from servicetsunami.mcp import text
from servicetsunami.mcp.arguments import ConnectSource, ConnectTo
from servicetsunami.mcp.schemas import config_properties
from servicetsunami.mcp.spec import Hints, ToolCall, ToolSpec
from servicetsunami.operations import connections
from servicetsunami.operations.models import ConnectResult
from servicetsunami.sdk import Json, Source, manifest, secret_fields

SourceClass = type[Source[Any]]

_FIRST = ("postgres", "files", "rest", "sheets")
_HINTS = Hints(idempotent=True, open_world=True)
_MOST_CHARACTERS = 500


def in_listing_order(names: Iterable[str]) -> list[str]:
    """Order connectors as they are listed while there is room: the best known first, then by name."""
    return sorted(names, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))


def connect_source_tool(connectors: Mapping[str, SourceClass]) -> ToolSpec:
    """Return the tool that connects any of the installed connectors."""
    names = in_listing_order(connectors)
    return ToolSpec(
        name="connect_source",
        title="Connect a source",
        description=(
            "Connect a source of any installed connector: store its settings, encrypted, and test them. Use the "
            "connector's own connect_* tool where there is one. A setting that is missing or wrong is named in the "
            "answer. Connecting again under the same name replaces the settings."
        ),
        arguments=ConnectSource,
        result=ConnectResult,
        run=_connect_source,
        text=text.connect_text,
        scope="secrets:write",
        hints=_HINTS,
        # Of a connector that is not installed, the operation knows how to get it.
        open_choices=("connector",),
        properties={"connector": {"type": "string", "enum": names, "description": "Which connector to use."}},
        always_load=True,
    )


def connect_tool(name: str, cls: SourceClass) -> ToolSpec | None:
    """Return `connect_<connector>`, or None where a setting is called like one of our own arguments."""
    properties, required = config_properties(cls.config_type)
    if properties.keys() & ConnectTo.model_fields.keys():
        return None
    title = cls.title or name

    async def run(call: ToolCall, arguments: ConnectTo) -> ConnectResult:
        return await _connect(call, name, arguments.name, arguments.config)

    return ToolSpec(
        name=f"connect_{name}",
        title=f"Connect {title}",
        description=_description(title, manifest(cls).description),
        arguments=ConnectTo,
        result=ConnectResult,
        run=run,
        text=text.connect_text,
        scope="secrets:write",
        hints=_HINTS,
        properties=properties,
        required=required,
    )


async def _connect_source(call: ToolCall, arguments: ConnectSource) -> ConnectResult:
    return await _connect(call, arguments.connector, arguments.name, arguments.config, arguments.streams)


async def _connect(
    call: ToolCall, connector: str, name: str, config: Json, streams: Json | None = None
) -> ConnectResult:
    result = await connections.connect_source(
        call.app, call.caller, connector=connector, name=name, config=config, streams=streams
    )
    secrets = secret_fields(call.app.plugins.connectors[connector].config_type)
    if any(config.get(field) for field in secrets):
        return result.model_copy(update={"notice": connections.PASSED_THROUGH_NOTICE})
    return result


def _description(title: str, about: str) -> str:
    use = (
        f"Connect {title}: store the settings, encrypted, test them, and answer with a connection_id for "
        "list_source_tables and sync_to_bronze. Connecting again under the same name replaces the settings."
    )
    return f"{use} {about}"[:_MOST_CHARACTERS].rstrip()
