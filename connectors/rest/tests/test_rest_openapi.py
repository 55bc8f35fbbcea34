"""Streams are proposed from an OpenAPI document."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from servicetsunami.sdk import ConfigError, NotFound, Read
from servicetsunami_rest.openapi import proposed

if TYPE_CHECKING:
    from conftest import Api, Reader


def listing(schema: dict[str, Any], *parameters: str, **parts: Any) -> dict[str, Any]:
    return {
        "get": {
            "parameters": [{"name": name, "in": "query", "schema": {"type": "integer"}} for name in parameters],
            "responses": {"200": {"content": {"application/json": {"schema": schema}}}},
            **parts,
        }
    }


USER = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "born": {"type": "string", "format": "date"},
        "credit": {"type": "number"},
        "seen": {"type": ["string", "null"], "format": "date-time"},
        "name": {"type": "string"},
    },
}
USERS = {"type": "array", "items": {"$ref": "#/components/schemas/User"}}
SPEC = {
    "openapi": "3.1.0",
    "components": {"schemas": {"User": USER, "Loop": {"$ref": "#/components/schemas/Loop"}}},
    "paths": {
        "/users": listing(USERS, "page", "per_page"),
        "/v1/orders": listing({"type": "object", "properties": {"data": USERS, "next_cursor": {}}}, "cursor"),
        "/events": listing({"properties": {"result": {"properties": {"items": USERS}}}}, "offset", "limit"),
        "/links": listing({"properties": {"items": USERS, "links": {"properties": {"next": {}}}}}),
        "/users/{id}": listing({"$ref": "#/components/schemas/User"}),
        "/users/{id}/tags": listing(USERS),
        "/names": listing({"type": "array", "items": {"type": "string"}}),
        "/loop": listing({"$ref": "#/components/schemas/Loop"}),
        "/away": listing({"$ref": "https://elsewhere.example/schema.json"}),
        "/search": {"get": {**listing(USERS)["get"], "parameters": [{"name": "q", "in": "query", "required": True}]}},
        "/write": {"post": listing(USERS)["get"]},
    },
}


@pytest.fixture
def found(reader: "Reader") -> dict[str, Any]:
    source = reader.source(openapi=json.dumps(SPEC))
    streams = proposed(json.dumps(SPEC), source._session)
    return {stream.name: stream for stream in streams}


def test_every_get_that_answers_with_a_list_of_objects_is_proposed(found: dict[str, Any]) -> None:
    assert sorted(found) == ["events", "links", "users", "v1_orders"]
    assert {name: stream.records for name, stream in found.items()} == {
        "events": "result.items",
        "links": "items",
        "users": "",
        "v1_orders": "data",
    }


def test_paging_is_guessed_from_the_names_of_parameters(found: dict[str, Any]) -> None:
    pagings = {name: (one.paging.kind, one.paging.param, one.paging.next) for name, one in found.items()}

    assert pagings == {
        "events": ("offset", "offset", None),
        "links": ("next_url", None, "links.next"),
        "users": ("page", "page", None),
        "v1_orders": ("cursor", "cursor", "next_cursor"),
    }
    assert (found["users"].paging.size_param, found["users"].paging.size) == ("per_page", 100)


def test_keys_and_types_are_those_of_the_document(found: dict[str, Any]) -> None:
    assert found["users"].key == ("id",)
    assert found["users"].types == {"id": "integer", "born": "date", "credit": "decimal", "seen": "timestamp"}


def test_a_document_below_the_base_url_is_read_and_its_streams_too(api: "Api", reader: "Reader") -> None:
    api.routes["/openapi.json"] = SPEC
    api.routes["/users"] = api.paged([{"id": 1, "credit": 1.10, "name": "Ada"}, {"id": 2}, {"id": 3}])
    source = reader.source(openapi="/openapi.json")

    users = next(stream for stream in source.streams() if stream.name == "users")
    rows = [row for batch in source.read(Read(users)) for row in getattr(batch, "to_pylist", list)()]

    assert [(row["id"], str(row["credit"])) for row in rows] == [(1, "1.100000000"), (2, "None"), (3, "None")]


@pytest.mark.parametrize("document", ["{}", "[]", '{"paths": []}', "{not json", "/page.html"])
def test_what_is_no_document_is_a_typed_error(api: "Api", reader: "Reader", document: str) -> None:
    api.routes["/page.html"] = {"openapi": "no"}

    with pytest.raises((ConfigError, NotFound)) as caught:
        reader.source(openapi=document).streams()

    assert caught.value.code in ("bad_openapi", "openapi_not_found")
    assert caught.value.fix


def test_a_document_without_lists_says_so(reader: "Reader") -> None:
    with pytest.raises(ConfigError) as caught:
        reader.source(openapi='{"paths": {"/me": {}}}').streams()

    assert caught.value.code == "nothing_proposed"
