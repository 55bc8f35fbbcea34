"""What a column of a stream is: settled by the first records that show it, or by a hint, and kept from then on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from servicetsunami.sdk.infer import natural

Kind: TypeAlias = Literal["unknown", "boolean", "integer", "decimal", "text", "mixed", "json", "struct", "hinted"]

_WIDEST = 38
_EXACT = json.JSONDecoder(parse_float=Decimal)
_SCALES = (9, 18)
"""Decimals get room for more digits than the first page shows."""
_HINTED = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "decimal": pa.decimal128(_WIDEST, _SCALES[0]),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}


@dataclass(frozen=True)
class Column:
    """One column: how its cells are read, and the Arrow type they land with; null while nothing else was seen."""

    name: str
    kind: Kind
    type: pa.DataType


def hinted(name: str, hint: str) -> Column:
    """Return the column that a person asked for."""
    if hint in ("text", "json"):
        return Column(name, "mixed" if hint == "text" else "json", pa.string())
    return Column(name, "hinted", _HINTED[hint])


def unknown(name: str) -> Column:
    """Return a column of which only nulls were seen."""
    return Column(name, "unknown", pa.null())


def settled(name: str, cells: Sequence[bytes], *, nested: str) -> Column:
    """Return the column that holds these cells, given as JSON, exactly."""
    values = [value for cell in cells if (value := exact(cell)) is not None]
    kinds = {_kind(value) for value in values}
    if not kinds:
        return unknown(name)
    if kinds == {"nested"}:
        return _nested(name, values, nested)
    if kinds <= {"integer", "decimal"}:
        return _numeric(name, kinds, [Decimal(value) for value in values])
    if kinds == {"boolean"}:
        return Column(name, "boolean", pa.bool_())
    return Column(name, "text" if kinds == {"text"} else "mixed", pa.string())


def exact(cell: bytes) -> Any:
    """Return the value of a JSON cell, its numbers exact."""
    return _EXACT.decode(cell.decode())


def shown(cell: bytes) -> str | None:
    """Return a cell as text: text as it is, anything else as it was sent."""
    value = exact(cell) if cell[:1] == b'"' else cell.decode()
    return None if value == "null" and cell == b"null" else str(value).encode("utf-8", "backslashreplace").decode()


def _kind(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return "nested"
    if isinstance(value, bool):
        return "boolean"
    return {int: "integer", Decimal: "decimal"}.get(type(value), "text")


def _nested(name: str, values: Sequence[Any], nested: str) -> Column:
    array = natural(values) if nested == "struct" else None
    if array is None or not pa.types.is_nested(array.type) or _has_null_part(array.type):
        return Column(name, "json", pa.string())
    return Column(name, "struct", _roomy(array.type))


def _roomy(kind: pa.DataType) -> pa.DataType:
    """Return a nested type whose decimals have room for more digits."""
    if pa.types.is_decimal(kind):
        fits = kind.scale <= _SCALES[0] and kind.precision - kind.scale <= _WIDEST - _SCALES[0]
        return pa.decimal128(_WIDEST, _SCALES[0]) if fits else kind
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_roomy(field.type)) for field in kind])
    return pa.list_(kind.value_field.with_type(_roomy(kind.value_type))) if pa.types.is_list(kind) else kind


def _has_null_part(kind: pa.DataType) -> bool:
    """Tell whether a part of a nested type was seen as null only, so that nobody knows what it is."""
    return pa.types.is_null(kind) or any(_has_null_part(kind.field(i).type) for i in range(kind.num_fields))


def _numeric(name: str, kinds: set[str], values: Sequence[Decimal]) -> Column:
    if kinds == {"integer"} and all(-(2**63) <= value < 2**63 for value in values):
        return Column(name, "integer", pa.int64())
    parts = [value.as_tuple() for value in values]
    exponents = [part.exponent if isinstance(part.exponent, int) else -_WIDEST for part in parts]
    scale = max(0, *(-exponent for exponent in exponents), 0)
    whole = max(len(part.digits) + exponent for part, exponent in zip(parts, exponents, strict=True))
    for room in (0, *_SCALES) if kinds == {"integer"} else _SCALES:
        if scale <= room and whole <= _WIDEST - room:
            return Column(name, "decimal", pa.decimal128(_WIDEST, room))
    return Column(name, "mixed", pa.string())
