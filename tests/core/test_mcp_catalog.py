"""Which tools are offered for what is installed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pytest
from pydantic import BaseModel, Field, SecretStr

from servicetsunami.mcp.catalog import MOST_TOKENS, MOST_TOOLS, build_catalog, listed_tokens
from servicetsunami.mcp.connecting import SourceClass
from servicetsunami.mcp.instructions import instructions
from servicetsunami.mcp.spec import Catalog
from servicetsunami.mcp.wire import wire_json, wire_tool
from servicetsunami.sdk import (
    ChangeFeed,
    Checkpoint,
    Config,
    Item,
    Json,
    Queryable,
    QueryLimits,
    Read,
    Sink,
    Source,
    Stream,
    Warehouse,
)


class Level(StrEnum):
    LOW = "low"
    HIGH = "high"


class Nested(BaseModel):
    level: Level = Level.LOW


class TeaConfig(Config):
    host: str = Field(description="Name or address of the server.")
    port: int = Field(7, ge=1, le=65535)
    mode: Literal["hot", "cold"] | None = None
    nested: Nested = Nested()
    password: SecretStr = Field(description="Password of the user.")


class Tea(Source[TeaConfig]):
    """Read tea leaves."""

    name = "tea"
    title = "Tea"

    def streams(self) -> Iterable[Stream]:
        return ()

    def read(self, read: Read) -> Iterator[Item]:
        yield Checkpoint(read.state)


class QueryableTea(Tea, Queryable):
    dialect: ClassVar[str] = "TeaQL"

    def query(self, sql: str, limits: QueryLimits) -> pa.RecordBatchReader:
        raise NotImplementedError


class ChangingTea(Tea, ChangeFeed):
    def position(self, streams: Sequence[Stream]) -> Json:
        return {"streams": len(streams)}

    def changes(self, streams: Sequence[Stream], state: Json) -> Iterator[Item]:
        yield from (Checkpoint(state) for _ in streams)

    def ack(self, state: Json) -> None:
        self.acknowledged = state


class NamedConfig(Config):
    name: str


class NamedTea(Source[NamedConfig]):
    """Has a setting that is called like an argument of ours."""

    name = "named"

    def streams(self) -> Iterable[Stream]:
        return ()

    def read(self, read: Read) -> Iterator[Item]:
        yield Checkpoint(read.state)


class Lake(Sink[Config], Warehouse):
    name = "lake"


def names(catalog: Catalog) -> list[str]:
    return [tool.name for tool in catalog.listed]


def connectors(*wanted: str) -> dict[str, SourceClass]:
    return dict.fromkeys(wanted, Tea)


def wire(catalog: Catalog) -> str:
    return json.dumps([wire_json(tool) for tool in catalog.listed])


def test_nothing_installed_leaves_only_what_needs_nothing() -> None:
    catalog = build_catalog({}, None)

    assert names(catalog) == ["list_connections", "get_run", "cancel_run", "delete_connection"]
    assert "sync_table_to_bronze" not in catalog.callable


def test_a_connector_and_a_warehouse_bring_their_tools() -> None:
    catalog = build_catalog(connectors("tea"), Lake)

    assert names(catalog) == [
        "list_connections",
        "connect_source",
        "connect_tea",
        "test_connection",
        "list_source_tables",
        "sync_to_bronze",
        "query_sql",
        "list_tables",
        "describe_table",
        "analyze_schema",
        "suggest_transformations",
        "transform_to_silver",
        "get_run",
        "cancel_run",
        "delete_connection",
    ]


def test_a_sink_that_cannot_be_asked_brings_no_query() -> None:
    catalog = build_catalog(connectors("tea"), None)

    assert not {"query_sql", "list_tables", "describe_table"} & catalog.callable.keys()


def test_query_source_needs_a_connector_that_can_be_queried() -> None:
    assert "query_source" not in build_catalog({"tea": Tea}, Lake).callable
    assert "query_source" in names(build_catalog({"tea": QueryableTea}, Lake))


@pytest.mark.parametrize(
    ("cls", "modes"), [(Tea, {"incremental", "full"}), (ChangingTea, {"incremental", "full", "changes"})]
)
def test_sync_modes_are_what_the_installed_connectors_can_do(cls: SourceClass, modes: set[str]) -> None:
    catalog = build_catalog({"tea": cls}, Lake)

    assert set(catalog.callable["sync_to_bronze"].input_schema["properties"]["sync_mode"]["enum"]) == modes


def test_the_older_name_of_sync_is_callable_but_not_listed() -> None:
    catalog = build_catalog(connectors("tea"), Lake)

    assert "sync_table_to_bronze" not in names(catalog)
    assert catalog.callable["sync_table_to_bronze"] is catalog.callable["sync_to_bronze"]


def test_a_connect_tool_takes_the_connectors_own_settings_flat() -> None:
    schema = build_catalog(connectors("tea"), Lake).callable["connect_tea"].input_schema

    assert list(schema["properties"]) == [
        "host",
        "port",
        "mode",
        "nested",
        "password",
        "name",
        "secret_refs",
        "tenant_id",
    ]
    assert schema["required"] == ["host", "name"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["mode"] == {"enum": ["hot", "cold"], "type": "string"}
    assert schema["properties"]["password"]["writeOnly"] is True
    assert "$ref" not in json.dumps(schema)


def test_where_secrets_are_forbidden_no_tool_takes_one() -> None:
    catalog = build_catalog(connectors("tea"), Lake, secrets="forbid")

    tool = catalog.callable["connect_tea"]
    assert list(tool.input_schema["properties"]) == [
        "host",
        "port",
        "mode",
        "nested",
        "name",
        "secret_refs",
        "tenant_id",
    ]
    assert tool.withheld == ("password",)
    assert "password" not in json.dumps(tool.input_schema).lower()


def test_connect_source_offers_every_installed_connector() -> None:
    schema = build_catalog(connectors("tea", "rest", "postgres"), Lake).callable["connect_source"].input_schema

    assert schema["properties"]["connector"]["enum"] == ["postgres", "rest", "tea"]


def test_a_connector_with_a_setting_named_like_our_argument_is_connected_by_connect_source_only() -> None:
    catalog = build_catalog({"named": NamedTea}, Lake)

    assert "connect_named" not in catalog.callable
    assert catalog.callable["connect_source"].input_schema["properties"]["connector"]["enum"] == ["named"]


@pytest.mark.parametrize("count", [0, 1, 10, 40])
def test_the_list_stays_within_its_budget_whatever_is_installed(count: int) -> None:
    many = connectors("postgres", "files", *(f"tea{number:02}" for number in range(count)))

    catalog = build_catalog(many, Lake)

    assert len(catalog.listed) <= MOST_TOOLS
    assert len(wire(catalog).encode()) / 4 <= listed_tokens(catalog) <= MOST_TOKENS
    assert {f"connect_{name}" for name in many} <= catalog.callable.keys()


def test_connect_tools_fill_the_room_in_a_fixed_order() -> None:
    many = connectors("zebra", "alpaca", "rest", "files", "postgres", *(f"tea{n:02}" for n in range(40)))

    catalog = build_catalog(many, Lake)

    connect = [name for name in names(catalog) if name.startswith("connect_") and name != "connect_source"]
    assert connect[:3] == ["connect_postgres", "connect_files", "connect_rest"]
    assert "connect_zebra" not in connect
    assert catalog.callable["connect_zebra"].title == "Connect Tea"


def test_the_list_does_not_depend_on_the_order_of_discovery() -> None:
    one = build_catalog(connectors("postgres", "tea", "rest"), Lake)
    other = build_catalog(connectors("rest", "tea", "postgres"), Lake)

    assert wire(one) == wire(other)


def test_every_tool_explains_itself() -> None:
    for tool in build_catalog({"tea": QueryableTea}, Lake).listed:
        shown = wire_tool(tool)

        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", shown.name)
        assert shown.title
        assert shown.description is not None
        assert 40 <= len(shown.description) <= 500
        assert shown.annotations is not None
        assert len(shown.annotations.model_dump(exclude_none=True)) == 4
        assert shown.input_schema["type"] == "object"
        assert shown.input_schema["additionalProperties"] is False
        assert shown.output_schema is not None
        assert shown.output_schema["type"] == "object"


def test_only_tools_that_read_say_so() -> None:
    catalog = build_catalog({"tea": QueryableTea}, Lake)

    reading = {tool.name for tool in catalog.listed if tool.hints.read_only}
    destroying = {tool.name for tool in catalog.listed if tool.hints.destructive}

    assert reading == {
        "list_connections",
        "list_source_tables",
        "query_source",
        "query_sql",
        "list_tables",
        "describe_table",
        "analyze_schema",
        "suggest_transformations",
        "get_run",
    }
    assert destroying == {"delete_connection", "cancel_run", "transform_to_silver"}


def test_no_result_needs_a_field_that_may_be_null() -> None:
    results: set[type[Any]] = {tool.result for tool in build_catalog({"tea": QueryableTea}, Lake).listed}

    # Null fields are left out of answers, so a field that may be null must not be required.
    for result in results:
        required = [field for field in result.model_fields.values() if field.is_required()]
        assert all(type(None) not in getattr(field.annotation, "__args__", ()) for field in required)


def test_instructions_name_the_first_tool_and_stay_short() -> None:
    text = instructions(build_catalog({"tea": QueryableTea}, Lake))

    assert "list_connections first" in text
    assert len(text.encode()) <= 2_000


def test_instructions_do_not_name_tools_that_are_not_there() -> None:
    text = instructions(build_catalog({}, None))

    assert "query_sql" not in text
    assert "connect_source" not in text
