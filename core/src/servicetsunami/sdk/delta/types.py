"""Delta's types, in the form its log writes them, and their names in Arrow, Databricks SQL and DuckDB.

A type is a string (`long`, `decimal(10,2)`) or an object (`{"type": "array", "elementType": …}`), as in the Delta
protocol's section "Schema Serialization Format".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import pyarrow as pa

from servicetsunami.sdk.sql import Dialect, quote_identifier

DeltaType: TypeAlias = "str | dict[str, Any]"

_ARROW: dict[str, Callable[[], pa.DataType]] = {
    "string": pa.string,
    "long": pa.int64,
    "integer": pa.int32,
    "short": pa.int16,
    "byte": pa.int8,
    "float": pa.float32,
    "double": pa.float64,
    "boolean": pa.bool_,
    "binary": pa.binary,
    "date": pa.date32,
    "timestamp": lambda: pa.timestamp("us", tz="UTC"),
    "timestamp_ntz": lambda: pa.timestamp("us"),
}
_DELTA = {make(): name for name, make in _ARROW.items()}
_DATABRICKS = {
    "long": "BIGINT",
    "integer": "INT",
    "short": "SMALLINT",
    "byte": "TINYINT",
}
_DUCKDB = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "integer": "INTEGER",
    "short": "SMALLINT",
    "byte": "TINYINT",
    "binary": "BLOB",
    "timestamp": "TIMESTAMPTZ",
    "timestamp_ntz": "TIMESTAMP",
    "void": "VARCHAR",
}


def decimal_of(delta: DeltaType) -> tuple[int, int] | None:
    """Return precision and scale of a decimal type; None for any other."""
    match = re.fullmatch(r"decimal\((\d+),\s*(-?\d+)\)", delta) if isinstance(delta, str) else None
    return (int(match[1]), int(match[2])) if match else None


def from_arrow(arrow: pa.DataType) -> DeltaType:
    """Name an Arrow type that `lowering` has made fit for Delta."""
    if pa.types.is_decimal128(arrow):
        return f"decimal({arrow.precision},{arrow.scale})"
    if pa.types.is_list(arrow):
        return {"type": "array", "elementType": from_arrow(arrow.value_type), "containsNull": True}
    if pa.types.is_map(arrow):
        key, value = from_arrow(arrow.key_type), from_arrow(arrow.item_type)
        return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": True}
    if pa.types.is_struct(arrow):
        return {"type": "struct", "fields": [delta_field(field.name, from_arrow(field.type)) for field in arrow]}
    return _DELTA[arrow]


def to_arrow(delta: DeltaType) -> pa.DataType:
    """Return the Arrow type that holds a Delta type."""
    if isinstance(delta, str):
        decimal = decimal_of(delta)
        if decimal:
            return pa.decimal128(*decimal)
        return _ARROW.get(delta, pa.string)()
    if delta["type"] == "array":
        return pa.list_(pa.field("element", to_arrow(delta["elementType"])))
    if delta["type"] == "map":
        return pa.map_(to_arrow(delta["keyType"]), to_arrow(delta["valueType"]))
    return pa.struct([pa.field(field["name"], to_arrow(field["type"])) for field in delta["fields"]])


def delta_field(name: str, delta: DeltaType, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    """Describe a column or a field of a struct; rows of any age may lack it, so it is nullable."""
    return {"name": name, "type": delta, "nullable": True, "metadata": metadata or {}}


def to_databricks(delta: DeltaType) -> str:
    """Write a type in Databricks SQL."""
    if isinstance(delta, str):
        return _DATABRICKS.get(delta, delta.upper())
    if delta["type"] == "array":
        return f"ARRAY<{to_databricks(delta['elementType'])}>"
    if delta["type"] == "map":
        return f"MAP<{to_databricks(delta['keyType'])}, {to_databricks(delta['valueType'])}>"
    fields = (
        f"{_field_name(field['name'], 'databricks')}: {to_databricks(field['type'])}" for field in delta["fields"]
    )
    return f"STRUCT<{', '.join(fields)}>"


def to_duckdb(delta: DeltaType) -> str:
    """Write a type in DuckDB's SQL."""
    if isinstance(delta, str):
        return _DUCKDB.get(delta, delta.upper())
    if delta["type"] == "array":
        return f"{to_duckdb(delta['elementType'])}[]"
    if delta["type"] == "map":
        return f"MAP({to_duckdb(delta['keyType'])}, {to_duckdb(delta['valueType'])})"
    fields = (f"{quote_identifier(field['name'], 'duckdb')} {to_duckdb(field['type'])}" for field in delta["fields"])
    return f"STRUCT({', '.join(fields)})"


def _field_name(name: str, dialect: Dialect) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else quote_identifier(name, dialect)
