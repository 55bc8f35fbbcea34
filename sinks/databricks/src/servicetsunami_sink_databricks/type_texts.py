"""Reads the types that Unity Catalog writes, such as `array<struct<a:int,b:decimal(10,2)>>`."""

from __future__ import annotations

import re

from servicetsunami.sdk.delta import DeltaType, delta_field

_PLAIN = {"bigint": "long", "int": "integer", "smallint": "short", "tinyint": "byte"}
_TOKEN = re.compile(r"\s*(`(?:[^`]|``)*`|[\w]+(?:\(\s*\d+\s*(?:,\s*\d+\s*)?\))?|[<>:,])")


def read_type(text: str) -> DeltaType:
    """Return the Delta type that a text names; one that is unknown keeps its name, and fits no other."""
    tokens = _TOKEN.findall(text)
    kind, rest = _type(tokens)
    return kind if not rest else text.casefold()


def _type(tokens: list[str]) -> tuple[DeltaType, list[str]]:
    head, rest = tokens[0].casefold(), tokens[1:]
    if rest[:1] != ["<"]:
        plain = re.sub(r"\s+", "", head)
        return _PLAIN.get(plain, plain), rest
    if head == "array":
        element, rest = _type(rest[1:])
        return {"type": "array", "elementType": element, "containsNull": True}, rest[1:]
    if head == "map":
        key, rest = _type(rest[1:])
        value, rest = _type(rest[1:])
        return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": True}, rest[1:]
    return _struct(rest[1:])


def _struct(tokens: list[str]) -> tuple[DeltaType, list[str]]:
    fields = []
    while tokens and tokens[0] != ">":
        name = tokens[0][1:-1].replace("``", "`") if tokens[0].startswith("`") else tokens[0]
        kind, tokens = _type(tokens[2:])
        fields.append(delta_field(name, kind))
        tokens = tokens[1:] if tokens[:1] == [","] else tokens
    return {"type": "struct", "fields": fields}, tokens[1:]
