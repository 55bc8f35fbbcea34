"""Arrow schemas as JSON, compact and the same for the same schema: what a sink keeps next to its commits.

A field is `[name, type]` with `"!"` behind it where it is never null, or `{"seen": type}` where the source's type was
another one. Types are written as Arrow writes them, nested ones as `{"list": field}`, `{"struct": fields}` and
`{"map": fields}`; what Arrow cannot read back is kept as its own serialised form. Comments are not kept.
"""

from __future__ import annotations

import base64
import re
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import Json

SEEN = b"seen"
"""Metadata of a landed field: the type the source gave last where it differs, empty once the source has it no more."""
_TIMED = re.compile(r"(timestamp|time32|time64|duration)\[(s|ms|us|ns)(?:, tz=(.+))?\]")
_DECIMAL = re.compile(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)")
_DATES = {"date32[day]": pa.date32(), "date64[ms]": pa.date64()}


def encode_schema(schema: pa.Schema) -> Json:
    """Write a schema as JSON."""
    return {"fields": [_encode_field(field) for field in schema]}


def decode_schema(state: Json) -> pa.Schema:
    """Read a schema back, with the same names, types and nullability."""
    return pa.schema([_decode_field(field) for field in state["fields"]])


def _encode_field(field: pa.Field) -> list[Any]:
    encoded = [field.name, _encode_type(field.type)]
    if not field.nullable:
        encoded.append("!")
    seen = (field.metadata or {}).get(SEEN)
    return encoded if seen is None else [*encoded, {"seen": seen.decode()}]


def _decode_field(encoded: list[Any]) -> pa.Field:
    name, kind, *marks = encoded
    seen = next((mark["seen"] for mark in marks if isinstance(mark, dict)), None)
    metadata = None if seen is None else {SEEN: seen.encode()}
    return pa.field(name, _decode_type(kind), nullable="!" not in marks, metadata=metadata)


def _encode_type(kind: pa.DataType) -> Any:
    if kind.id == pa.list_(pa.null()).id:
        return {"list": _encode_field(kind.value_field)}
    if pa.types.is_struct(kind):
        return {"struct": [_encode_field(field) for field in kind]}
    if pa.types.is_map(kind) and not kind.keys_sorted:
        return {"map": [_encode_field(kind.key_field), _encode_field(kind.item_field)]}
    text = str(kind)
    if _parse(text) == kind:
        return text
    return {"ipc": base64.b64encode(pa.schema([pa.field("", kind)]).serialize()).decode()}


def _decode_type(encoded: Any) -> pa.DataType:
    if isinstance(encoded, str):
        return _parse(encoded)
    if "list" in encoded:
        return pa.list_(_decode_field(encoded["list"]))
    if "struct" in encoded:
        return pa.struct([_decode_field(field) for field in encoded["struct"]])
    if "map" in encoded:
        return pa.map_(*(_decode_field(field) for field in encoded["map"]))
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(encoded["ipc"]))).field(0).type


def _parse(text: str) -> pa.DataType | None:
    if text in _DATES:
        return _DATES[text]
    if match := _DECIMAL.fullmatch(text):
        return getattr(pa, f"decimal{match[1]}")(int(match[2]), int(match[3]))
    if match := _TIMED.fullmatch(text):
        return getattr(pa, match[1])(match[2], match[3]) if match[3] else getattr(pa, match[1])(match[2])
    try:
        return pa.type_for_alias(text)
    except ValueError:
        return None
