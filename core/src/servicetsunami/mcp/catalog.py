"""Which tools a server offers: those that something installed can serve, and no more than a model should read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from servicetsunami.mcp import assistant_tools, refining_tools, tools
from servicetsunami.mcp.connecting import (
    SecretsInTools,
    SourceClass,
    connect_source_tool,
    connect_tool,
    in_listing_order,
)
from servicetsunami.mcp.spec import Catalog, ToolSpec
from servicetsunami.mcp.wire import wire_json
from servicetsunami.operations.sync import SYNC_MODES
from servicetsunami.sdk import ChangeFeed, Notebooks, Queryable, Sink, Uploads, Views

if TYPE_CHECKING:
    from servicetsunami.operations.app import App

MOST_TOOLS = 24
MOST_TOKENS = 9_000
_BYTES_A_TOKEN = 4


def catalog_of(app: App, *, local: bool = True) -> Catalog:
    """Make the catalog of an app: for what is installed, as its settings allow those at this machine, or others."""
    secrets = app.settings.secrets_in_tools or ("allow" if local else "forbid")
    return build_catalog(app.plugins.connectors, app.warehouse_class, read_only=app.settings.read_only, secrets=secrets)


def build_catalog(
    connectors: Mapping[str, SourceClass],
    warehouse: type[Sink[Any]] | None,
    *,
    read_only: bool = False,
    secrets: SecretsInTools = "allow",
) -> Catalog:
    """Make the catalog for what is installed; `warehouse` is the active sink if it can be asked.

    `connect_<connector>` tools are listed while there is room; the others, and the older name `sync_table_to_bronze`,
    can be called all the same. In read-only mode there are no tools that change something.
    """
    general = _general(connectors, warehouse, secrets)
    if read_only:
        return Catalog.of(*(tool for tool in map(_reading, general) if tool.hints.read_only))
    listed, unlisted = _fill(general, connectors, secrets)
    aliases = {tool.name: tool for tool in unlisted}
    sync = next((tool for tool in general if tool.name == "sync_to_bronze"), None)
    if sync is not None:
        aliases["sync_table_to_bronze"] = sync
    return Catalog.of(*listed, aliases=aliases)


def listed_tokens(catalog: Catalog) -> int:
    """Return about how many tokens the list costs a model."""
    return sum(map(_tokens, catalog.listed))


def _general(
    connectors: Mapping[str, SourceClass], warehouse: type[Sink[Any]] | None, secrets: SecretsInTools
) -> list[ToolSpec]:
    connecting = [connect_source_tool(connectors, secrets)] if connectors else []
    reading = [tools.TEST_CONNECTION, tools.LIST_SOURCE_TABLES, _sync_tool(connectors)] if connectors else []
    uploading = [tools.UPLOAD_FILE] if any(issubclass(cls, Uploads) for cls in connectors.values()) else []
    asking = [tools.QUERY_SQL, tools.LIST_TABLES, tools.DESCRIBE_TABLE] if warehouse else []
    understanding = [assistant_tools.ANALYZE_SCHEMA, assistant_tools.SUGGEST_TRANSFORMATIONS] if warehouse else []
    refining = [refining_tools.TRANSFORM_TO_SILVER] if warehouse else []
    if warehouse is not None and issubclass(warehouse, Views):
        refining.append(refining_tools.CREATE_GOLD_VIEW)
    if warehouse is not None and issubclass(warehouse, Notebooks):
        refining.append(refining_tools.CREATE_NOTEBOOK)
    queryable = any(issubclass(cls, Queryable) for cls in connectors.values())
    return [
        tools.LIST_CONNECTIONS,
        *connecting,
        *reading,
        *uploading,
        *([tools.QUERY_SOURCE] if queryable else []),
        *asking,
        *understanding,
        *refining,
        tools.GET_RUN,
        tools.CANCEL_RUN,
        tools.DELETE_CONNECTION,
    ]


def _reading(tool: ToolSpec) -> ToolSpec:
    """Return a tool as it is in read-only mode, where the outcome of a test is not kept."""
    if tool.name != tools.TEST_CONNECTION.name:
        return tool
    return replace(tool, scope="read", hints=replace(tool.hints, read_only=True))


def _sync_tool(connectors: Mapping[str, SourceClass]) -> ToolSpec:
    feeds = any(issubclass(cls, ChangeFeed) for cls in connectors.values())
    modes = [mode for mode in SYNC_MODES if feeds or mode != "changes"]
    about = "Leave out for incremental where the table has a cursor, else full."
    return replace(
        tools.SYNC_TO_BRONZE, properties={"sync_mode": {"type": "string", "enum": modes, "description": about}}
    )


def _fill(
    general: list[ToolSpec], connectors: Mapping[str, SourceClass], secrets: SecretsInTools
) -> tuple[list[ToolSpec], list[ToolSpec]]:
    """Return the tools to list, connect tools after connect_source, and the connect tools there is no room for."""
    made = [connect_tool(name, connectors[name], secrets) for name in in_listing_order(connectors)]
    connecting = [tool for tool in made if tool is not None]
    room = MOST_TOKENS - sum(map(_tokens, general))
    chosen: set[str] = set()
    # The best known one, and then as many as there is room for: whoever installs a small connector gets its tool.
    for tool in [*connecting[:1], *sorted(connecting[1:], key=lambda tool: (_tokens(tool), tool.name))]:
        if _tokens(tool) <= room and len(general) + len(chosen) < MOST_TOOLS:
            chosen.add(tool.name)
            room -= _tokens(tool)
    shown = [tool for tool in connecting if tool.name in chosen]
    left_out = [tool for tool in connecting if tool.name not in chosen]
    return [*general[:2], *shown, *general[2:]] if shown else general, left_out


def _tokens(tool: ToolSpec) -> int:
    # With spaces, as some clients show it to a model; on the wire it is shorter.
    return -(-len(f"{json.dumps(wire_json(tool))}, ".encode()) // _BYTES_A_TOKEN)
