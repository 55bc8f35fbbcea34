"""The tools that connect a source, made from what the installed connectors declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from servicetsunami.mcp import text
from servicetsunami.mcp.arguments import ConnectSource, ConnectTo, ConnectWithSecrets
from servicetsunami.mcp.schemas import config_properties
from servicetsunami.mcp.spec import Hints, ToolCall, ToolSpec
from servicetsunami.operations.connecting import connect_for_model, refuse_secrets
from servicetsunami.operations.connections import PASSED_THROUGH_NOTICE
from servicetsunami.operations.models import ConnectResult
from servicetsunami.operations.secrets import Wish
from servicetsunami.sdk import Source, manifest, secret_fields

SourceClass = type[Source[Any]]
SecretsInTools = Literal["allow", "forbid"]
"""Whether secrets may be arguments, which a model writes and so sees."""

_FIRST = ("postgres", "files", "rest", "sheets")
_ASKS = " Leave secrets out: the person is asked for them."
_HINTS = Hints(idempotent=True, open_world=True)
_MOST_CHARACTERS = 500
_TOLD = ("connection_id", "status", "missing_secrets", "problem", "tables")
"""What the tool of one connector says of a connection; connect_source tells the rest."""


def in_listing_order(names: Iterable[str]) -> list[str]:
    """Order connectors as they are listed while there is room: the best known first, then by name."""
    return sorted(names, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))


def connect_source_tool(connectors: Mapping[str, SourceClass], secrets: SecretsInTools) -> ToolSpec:
    """Return the tool that connects any of the installed connectors."""
    names = in_listing_order(connectors)

    async def run(call: ToolCall, given: ConnectSource) -> ConnectResult:
        wish = Wish(given.connector, given.name, given.config, given.streams, given.secret_refs or {})
        return await _connect(call, wish, secrets)

    return ToolSpec(
        name="connect_source",
        title="Connect a source",
        description=(
            "Connect a source of any installed connector: store its settings, encrypted, and test them. Use the "
            "connector's own connect_* tool where there is one. A setting that is missing or wrong is named in the "
            f"answer. Connecting again under the same name replaces the settings.{_ASKS}"
        ),
        arguments=ConnectSource,
        result=ConnectResult,
        run=run,
        text=text.connect_text,
        scope="secrets:write",
        hints=_HINTS,
        # Of a connector that is not installed, the operation knows how to get it.
        open_choices=("connector",),
        properties={"connector": {"type": "string", "enum": names, "description": "Which connector to use."}},
        always_load=True,
    )


def connect_tool(name: str, cls: SourceClass, secrets: SecretsInTools) -> ToolSpec | None:
    """Return `connect_<connector>`, or None where a setting is called like one of our own arguments."""
    properties, required = config_properties(cls.config_type)
    hidden = secret_fields(cls.config_type)
    withheld = hidden if secrets == "forbid" else ()
    if properties.keys() & ConnectWithSecrets.model_fields.keys():
        return None
    title = cls.title or name

    async def run(call: ToolCall, given: ConnectTo) -> ConnectResult:
        refs = given.secret_refs if isinstance(given, ConnectWithSecrets) else None
        return await _connect(call, Wish(name, given.name, given.config, secret_refs=refs or {}), secrets)

    return ToolSpec(
        name=f"connect_{name}",
        title=f"Connect {title}",
        description=_description(title, manifest(cls).description),
        arguments=ConnectWithSecrets if hidden else ConnectTo,
        result=ConnectResult,
        told=_TOLD,
        run=run,
        text=text.connect_text,
        scope="secrets:write",
        hints=_HINTS,
        properties={field: schema for field, schema in properties.items() if field not in withheld},
        # A secret may also come from the person, or from where a reference leads.
        required=tuple(field for field in required if field not in hidden),
        withheld=withheld,
    )


async def _connect(call: ToolCall, wish: Wish, secrets: SecretsInTools) -> ConnectResult:
    if secrets == "forbid":
        refuse_secrets(call.app, wish)
    result = await connect_for_model(call.app, call.caller, wish, person=call.ask, door=call.door)
    hidden = secret_fields(call.app.plugins.connector(wish.connector).config_type)
    if any(wish.config.get(field) for field in hidden):
        return result.model_copy(update={"notice": PASSED_THROUGH_NOTICE})
    return result


def _description(title: str, about: str) -> str:
    use = (
        f"Connect {title}: store the settings, encrypted, test them, and answer with a connection_id for "
        f"list_source_tables and sync_to_bronze. Connecting again under the same name replaces the settings.{_ASKS}"
    )
    return f"{use} {about}"[:_MOST_CHARACTERS].rstrip()
