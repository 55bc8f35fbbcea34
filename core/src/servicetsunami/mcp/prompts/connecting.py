"""Prompts about connections: make one, see what it offers, understand it, find out why it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.mcp.prompts import facts
from servicetsunami.mcp.prompts.choices import CONNECTION, CONNECTOR
from servicetsunami.mcp.prompts.spec import Argument, Given, PromptSpec, Values
from servicetsunami.operations.answers.visible import visible
from servicetsunami.operations.connections import connection_status
from servicetsunami.operations.glances import glance_at_tables
from servicetsunami.operations.installation import describe_connector

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_MOST_TABLES = 100


async def _connect(app: App, _caller: Caller, given: Given) -> Values:
    view = describe_connector(app.plugins, given["connector"])
    return {"title": visible(view.plugin.title), "name": view.plugin.name, "settings": facts.connector(view)}


async def _look_at(app: App, caller: Caller, given: Given) -> Values:
    connection = (await connection_status(app, caller, given["connection"])).connection
    page = await glance_at_tables(app, caller, connection.connection_id, search=given.get("search"), limit=_MOST_TABLES)
    return {"name": visible(connection.name), "id": connection.connection_id, "tables": facts.source_tables(page)}


async def _troubleshoot(app: App, caller: Caller, given: Given) -> Values:
    status = await connection_status(app, caller, given["connection"])
    connection = status.connection
    return {"name": visible(connection.name), "id": connection.connection_id, "status": facts.connection_status(status)}


CONNECT_SOURCE = PromptSpec(
    name="connect_source",
    title="Connect a source",
    description="Connect a source step by step, without secrets in the conversation.",
    arguments=(CONNECTOR,),
    tools=("connect_source",),
    gather=_connect,
)
EXPLORE_SOURCE = PromptSpec(
    name="explore_source",
    title="Explore a source",
    description="See what tables a connection offers and which to bring in first.",
    arguments=(CONNECTION,),
    tools=("list_source_tables", "sync_to_bronze"),
    gather=_look_at,
)
ANALYZE_SCHEMA = PromptSpec(
    name="analyze_schema",
    title="Analyze a source's schema",
    description="Understand the tables of a connection: purpose, keys, relations, types that need care.",
    arguments=(
        CONNECTION,
        Argument("search", "Search", "Only tables whose name holds this text.", required=False),
    ),
    tools=("list_source_tables",),
    gather=_look_at,
)
TROUBLESHOOT_CONNECTION = PromptSpec(
    name="troubleshoot_connection",
    title="Troubleshoot a connection",
    description="Find out why a connection fails and what to change.",
    arguments=(CONNECTION,),
    tools=("test_connection",),
    gather=_troubleshoot,
)
