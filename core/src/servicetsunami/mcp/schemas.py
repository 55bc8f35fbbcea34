"""JSON Schemas as clients and models read them: short, closed, and without what only Pydantic needs.

Every listed tool costs a model its schema in tokens in each conversation. So titles are left out, and null: an argument
or a field of a result that is null is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from servicetsunami.sdk import Json

_ABSENT = ("default", None)
# What many tools hold, or few models ask for, is told once, in the documentation, and not in each of them.
_PARTS: dict[str, Json] = {
    "Problem": {"type": "object", "required": ["code", "message"]},
    "DriftFinding": {"type": "object", "required": ["kind", "column"]},
    "TableVersion": {"type": "object", "required": ["version", "operation"]},
    "SourceTable": {"type": "object", "required": ["table_name", "kind", "key", "sync_modes"]},
    "ColumnProfile": {"type": "object", "required": ["nulls"]},
    "ConnectionView": {"type": "object", "required": ["connection_id", "name", "connector"]},
    "ExportedFile": {"type": "object", "required": ["format", "rows", "size_bytes"]},
}
_ERROR = {"type": "object", "description": "Alone, if isError."}
_OF_OBJECTS = ("type", "required", "additionalProperties")


def input_schema(model: type[BaseModel], properties: Mapping[str, Json], required: tuple[str, ...]) -> Json:
    """Return the closed schema of a tool's arguments, with `properties` before those of the model, or in their place.

    Null is accepted for an optional argument but not advertised, since not every client can express it.
    """
    schema = model.model_json_schema()
    own = {name: _brief(value) for name, value in schema.get("properties", {}).items()}
    names = sorted({name: None for name in properties if name not in own} | own, key="tenant_id".__eq__)
    needed = [*required, *schema.get("required", ())]
    return {
        "type": "object",
        "properties": {name: properties.get(name, own.get(name)) for name in names},
        **({"required": needed} if needed else {}),
        "additionalProperties": False,
    }


def config_properties(config_type: type[BaseModel]) -> tuple[dict[str, Json], tuple[str, ...]]:
    """Return the schemas of a connector's settings, each standing alone, and the names of those that are required."""
    schema = config_type.model_json_schema()
    definitions = schema.get("$defs", {})
    properties = {name: _brief(_inlined(value, definitions)) for name, value in schema.get("properties", {}).items()}
    return properties, tuple(schema.get("required", ()))


@cache
def output_schema(model: type[BaseModel], told: tuple[str, ...] = ()) -> Json:
    """Return the schema of a result, as it is sent: without fields that are null, or as an error.

    With `told` it names these fields alone and leaves others open: another tool tells all of them.

    The errors are in it because clients on version 1 of the TypeScript SDK check the structured content of an error
    too, and lose the error where it does not fit (https://github.com/modelcontextprotocol/typescript-sdk/issues/2748).
    """
    schema = model.model_json_schema(mode="serialization")
    result = _object(schema, described=True)
    parts = schema.get("$defs", {}).items()
    definitions = {name: _PARTS.get(name) or _object(part, described=False) for name, part in parts}
    definitions = _used(definitions, result["properties"])
    fields = {name: field for name, field in result["properties"].items() if not told or name in told}
    needed = [name for name in result.get("required", []) if name in fields]
    used = _used(definitions, fields) if told else definitions
    return {
        "type": "object",
        "properties": {**fields, "error": _ERROR},
        "anyOf": [{"required": needed}, {"required": ["error"]}],
        **({} if told else {"additionalProperties": False}),
        **({"$defs": used} if used else {}),
    }


def _used(definitions: Mapping[str, Json], fields: Json) -> Json:
    """Return the definitions that fields refer to, and those that these refer to."""
    used: Json = {}
    found = fields
    while found:
        found = {name: part for name, part in definitions.items() if name not in used and _refers(found, name)}
        used |= found
    return used


def _refers(part: Json, name: str) -> bool:
    return f"'#/$defs/{name}'" in str(part)


def _object(schema: Json, *, described: bool) -> Json:
    if "properties" not in schema:
        return {key: _untitled(value) for key, value in schema.items() if key != "title"}
    properties = {
        name: _field(value, nullable=name in schema.get("required", ()), described=described)
        for name, value in schema["properties"].items()
    }
    kept: Json = {key: schema[key] for key in _OF_OBJECTS if key in schema}
    return {**kept, "properties": properties}


def _field(schema: Json, *, nullable: bool, described: bool) -> Json:
    brief = _short_union(_untitled(schema) if nullable else _brief(schema))
    return {key: value for key, value in brief.items() if key != "default" and (described or key != "description")}


def _brief(schema: Json) -> Json:
    """Drop the title, and null where it only means absent."""
    members = [_untitled(member) for member in schema.get("anyOf", ()) if member != {"type": "null"}]
    rest = {key: value for key, value in _untitled(schema).items() if key != "anyOf" and (key, value) != _ABSENT}
    if not members:
        return rest
    return {**members[0], **rest} if len(members) == 1 else {"anyOf": members, **rest}


def _untitled(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_untitled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _untitled(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}


def _short_union(schema: Any) -> Any:
    """Leave integers out where numbers are allowed. A list of types would be shorter, but not every client takes it."""
    if isinstance(schema, list):
        return [_short_union(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    members = [_short_union(member) for member in schema.get("anyOf", ())]
    if {"type": "number"} in members:
        members = [member for member in members if member != {"type": "integer"}]
    rest = {key: _short_union(value) for key, value in schema.items() if key != "anyOf"}
    return {"anyOf": members, **rest} if members else rest


def _inlined(schema: Any, definitions: Json) -> Any:
    """Put definitions in the place of references to them; settings are not recursive."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {key: _inlined(value, definitions) for key, value in schema.items() if key != "$ref"}
    if "$ref" not in schema:
        return rest
    return {**_inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions), **rest}
