"""Resources, read by a client of the SDK: a caller's own, and nothing of anybody else's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gardens import Garden
from mcp import Client, MCPError
from mcp.types import ResourceTemplateReference, TextResourceContents

from servicetsunami.mcp.fronting import product_host
from servicetsunami.mcp.resources import family, tables
from servicetsunami.operations import glances
from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.connections import connect_source
from servicetsunami.operations.sync import sync_to_bronze
from servicetsunami.plugins import Plugins

pytestmark = pytest.mark.anyio
OWNER = Caller("default")
STRANGER = Caller("elsewhere")
BLIND = Caller("default", scopes=frozenset({"sync"}))


@pytest.fixture(params=["legacy", "auto"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def app(garden: Garden) -> AsyncIterator[App]:
    async with garden.open() as app:
        await app.records.create_tenant(STRANGER.tenant)
        yield app


class Landed:
    """A connection and a table that was synced from it."""

    def __init__(self, connection_id: str, run_id: str, table: str) -> None:
        self.connection_id, self.run_id, self.table = connection_id, run_id, table

    @property
    def uris(self) -> set[str]:
        path = self.table.replace(".", "/")
        return {
            f"datasource://{self.connection_id}/status",
            f"datasource://{self.connection_id}/tables",
            f"table://{path}/schema",
            f"table://{path}/preview",
            f"run://{self.run_id}",
        }


@pytest.fixture
async def landed(app: App) -> Landed:
    connected = await connect_source(app, OWNER, connector="garden", name="garden", config={})
    assert connected.connection_id is not None
    run = await sync_to_bronze(app, OWNER, connected.connection_id, "oak")
    assert run.bronze_table is not None
    return Landed(connected.connection_id, run.run_id, run.bronze_table)


def client_of(app: App, era: str, caller: Caller = OWNER) -> Client:
    return Client(product_host(app, lambda _context: caller), mode=era)


async def read(client: Client, uri: str) -> Any:
    content = (await client.read_resource(uri)).contents[0]
    assert isinstance(content, TextResourceContents)
    return json.loads(content.text) if content.mime_type == "application/json" else content.text


async def test_what_a_caller_has_is_listed_and_every_listed_resource_can_be_read(
    app: App, landed: Landed, era: str
) -> None:
    async with client_of(app, era) as client:
        listed = {str(one.uri) for one in (await client.list_resources()).resources}
        contents = {uri: (await client.read_resource(uri)).contents for uri in listed}

    assert landed.uris | {"guide://start", "connector://garden"} <= listed
    assert all(contents.values())


async def test_every_resource_has_a_title_a_description_and_a_type(app: App, landed: Landed, era: str) -> None:
    async with client_of(app, era) as client:
        listed = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates

    assert landed.uris <= {str(one.uri) for one in listed}
    assert [one.name for one in listed if not (one.title and one.description and one.mime_type)] == []
    assert [one.name for one in templates if not (one.title and one.description and one.mime_type)] == []


async def test_the_resources_say_what_their_tools_say(app: App, landed: Landed, era: str) -> None:
    path = landed.table.replace(".", "/")
    async with client_of(app, era) as client:
        run = await read(client, f"run://{landed.run_id}")
        schema = await read(client, f"table://{path}/schema")
        preview = await read(client, f"table://{path}/preview")
        status = await read(client, f"datasource://{landed.connection_id}/status")
        listed = await read(client, f"datasource://{landed.connection_id}/tables")
        told = (await client.call_tool("get_run", {"run_id": landed.run_id})).structured_content

    assert run == told
    assert (schema["table"]["table"], "sample" in schema and schema["sample"]) == (landed.table, [])
    assert preview["sample"]
    assert [one["run_id"] for one in status["runs"]] == [landed.run_id]
    assert status["connection"]["status"] == "success"
    assert {one["table_name"]: one.get("bronze_table") for one in listed["tables"]}["oak"] == landed.table.partition(
        "."
    )[2]


async def test_the_guide_names_what_is_connected_and_what_has_landed(app: App, landed: Landed, era: str) -> None:
    async with client_of(app, era) as client:
        guide = await read(client, "guide://start")

    assert "Call list_connections first" in guide
    assert landed.connection_id in guide
    assert landed.table in guide


async def test_the_guide_of_somebody_new_says_that_there_is_nothing(app: App, landed: Landed, era: str) -> None:
    async with client_of(app, era, STRANGER) as client:
        guide = await read(client, "guide://start")

    assert "Nothing is connected yet" in guide
    assert landed.connection_id not in guide


async def test_a_connector_tells_its_settings_and_brings_its_page(app: App, era: str) -> None:
    async with client_of(app, era) as client:
        told = await read(client, "connector://garden")

    assert told["plugin"]["name"] == "garden"
    assert told["config_schema"]["type"] == "object"


async def test_a_source_that_cannot_be_read_is_told_by_its_problem(app: App, landed: Landed, era: str) -> None:
    app.plugins = Plugins((), ())

    async with client_of(app, era) as client:
        told = await read(client, f"datasource://{landed.connection_id}/tables")

    assert told["code"] == "connector_not_found"
    assert told["fix"]


async def test_a_source_that_takes_too_long_is_told_by_its_problem(
    app: App, landed: Landed, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glances, "_LONGEST_SECONDS", 0.0)

    async with client_of(app, era) as client:
        told = await read(client, f"datasource://{landed.connection_id}/tables")

    assert told["code"] == "source_slow"


async def test_what_is_newest_is_listed_first(app: App, landed: Landed, era: str) -> None:
    later = await connect_source(app, OWNER, connector="garden", name="zen garden", config={})
    await sync_to_bronze(app, OWNER, landed.connection_id, "elm")

    async with client_of(app, era) as client:
        resources = (await client.list_resources()).resources

    listed = [one.uri for one in resources]
    sources = [uri for uri in listed if uri.startswith("datasource:")]
    names = [uri.split("/")[4] for uri in listed if uri.startswith("table:")]
    assert listed[0] == "guide://start"
    assert all(one.annotations and one.annotations.audience for one in resources if not one.uri.startswith("ui:"))
    assert all(one.annotations.last_modified for one in resources if one.annotations and is_dated(one.uri))
    assert f"{later.connection_id}/" in sources[0]
    assert names == ["elm"] * 3 + ["oak"] * 3


def is_dated(uri: str) -> bool:
    return uri.startswith(("table:", "run:")) or uri.endswith("/status")


async def test_no_more_of_a_kind_is_listed_than_a_person_looks_through(
    app: App, landed: Landed, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync_to_bronze(app, OWNER, landed.connection_id, "elm")
    monkeypatch.setattr(tables, "MOST_LISTED", 1)

    async with client_of(app, era) as client:
        listed = [str(one.uri) for one in (await client.list_resources()).resources]
        left_out = await read(client, f"table://{landed.table.replace('.', '/')}/schema")

    assert len([uri for uri in listed if uri.startswith("table:")]) == 3
    assert left_out["table"]["table"] == landed.table


async def test_a_resource_that_is_too_long_says_so_instead(
    app: App, landed: Landed, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "MOST_BYTES", 100)

    async with client_of(app, era) as client:
        told = await read(client, f"run://{landed.run_id}")

    assert told["code"] == "answer_too_large"


FOREIGN = [
    "guide://end",
    "run://run_0000000000000000000000000000000a",
    "run://../etc/passwd",
    "datasource://conn_0000000000000000000000000000000a/status",
    "datasource://conn_0000000000000000000000000000000a/secrets",
    "datasource://garden/status",
    "table://tenant_default/bronze/nothing/schema",
    "table://tenant_default/information_schema/tables/preview",
    "table://tenant_default/bronze/a;drop/schema",
    "connector://nothing",
    "query-result://res_00000000000000000000000000000000",
    "ui://servicetsunami/nothing",
    "file://etc/passwd",
    "",
]


async def test_what_is_unknown_and_what_is_anothers_are_answered_alike(app: App, landed: Landed, era: str) -> None:
    async with client_of(app, era, STRANGER) as client:
        answers = set()
        for uri in [*landed.uris, *FOREIGN]:
            with pytest.raises(MCPError) as refused:
                await client.read_resource(uri)
            answers.add((refused.value.code, refused.value.error.message))
        listed = {str(one.uri) for one in (await client.list_resources()).resources}

    assert len(answers) == 1
    assert not landed.uris & listed


async def test_a_caller_who_may_not_read_sees_no_resource(app: App, landed: Landed, era: str) -> None:
    async with client_of(app, era, BLIND) as client:
        listed = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        with pytest.raises(MCPError):
            await client.read_resource(f"run://{landed.run_id}")

    assert (listed, templates) == ([], [])


async def test_variables_are_completed_from_what_is_there(app: App, landed: Landed, era: str) -> None:
    table = ResourceTemplateReference(uri="table://{catalog}/{schema}/{name}/preview")
    source = ResourceTemplateReference(uri="datasource://{connection_id}/status")

    async with client_of(app, era) as client:
        catalogs = (await client.complete(table, {"name": "catalog", "value": "ten"})).completion.values
        names = (await client.complete(table, {"name": "name", "value": "O"}, {"schema": "bronze"})).completion.values
        none = (await client.complete(table, {"name": "name", "value": ""}, {"schema": "gold"})).completion.values
        by_name = (await client.complete(source, {"name": "connection_id", "value": "gard"})).completion.values

    assert (catalogs, names, none) == (["tenant_default"], ["oak"], [])
    assert by_name == [landed.connection_id]


async def test_completions_hold_nothing_of_anybody_else(app: App, landed: Landed, era: str) -> None:
    templates = ["datasource://{connection_id}/status", "run://{run_id}", "table://{catalog}/{schema}/{name}/schema"]

    async with client_of(app, era, STRANGER) as client:
        found = [
            (await client.complete(ResourceTemplateReference(uri=uri), {"name": name, "value": ""})).completion.values
            for uri in templates
            for name in ("connection_id", "run_id", "catalog", "name")
        ]

    assert landed.connection_id
    assert [values for values in found if values] == []
