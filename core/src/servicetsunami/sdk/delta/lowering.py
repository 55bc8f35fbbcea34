"""Brings Arrow types and values into what Delta can hold, without changing what they say.

What becomes what is a table in the README of the lakehouse. The type that a column had is kept in the
metadata of its field.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from servicetsunami.sdk.delta.iso8601 import duration_text, interval_text
from servicetsunami.sdk.errors import DataError

_WIDER_INTEGER = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64()}
_DECIMAL_OF_UINT64 = pa.decimal128(20, 0)
_MOST_DIGITS = 38


def lower_type(kind: pa.DataType) -> pa.DataType:
    """Return the type a column of `kind` has in a Delta table."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.string() if _is_uuid(kind) else lower_type(kind.storage_type)
    if pa.types.is_nested(kind):
        return _lower_nested_type(kind)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return lower_type(kind.value_type)
    return _lower_scalar_type(kind)


def lower_array(array: pa.Array) -> pa.Array:
    """Return the values of `array` in `lower_type(array.type)`."""
    target = lower_type(array.type)
    if target.equals(array.type):
        return array
    try:
        return _lower_values(array, target)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"a value of type {array.type} does not fit {target}, the widest type a Delta table has for it",
            code="value_out_of_range",
            fix="cast the column to text at the source",
        ) from error


def _lower_scalar_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC") if kind.tz else pa.timestamp("us")
    if pa.types.is_decimal(kind):
        fits = kind.precision <= _MOST_DIGITS and 0 <= kind.scale <= kind.precision
        return pa.decimal128(kind.precision, kind.scale) if fits else pa.string()
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_float16(kind):
        return pa.float32()
    return _lower_plain_type(kind)


def _lower_plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_uint64(kind):
        return _DECIMAL_OF_UINT64
    if pa.types.is_signed_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return kind
    if _is_binary(kind):
        return pa.binary()
    return _WIDER_INTEGER.get(kind, pa.string())


def _lower_nested_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_map(kind):
        return pa.map_(lower_type(kind.key_type), lower_type(kind.item_type))
    if pa.types.is_struct(kind):
        fields = [pa.field(field.name, lower_type(field.type)) for field in kind]
        return pa.struct(fields) if fields else pa.string()
    if pa.types.is_union(kind):
        raise DataError(
            "a union type has no place in a Delta table", code="type_unsupported", fix="cast the column to text"
        )
    return pa.list_(pa.field("element", lower_type(kind.value_type)))


def _lower_values(array: pa.Array, target: pa.DataType) -> pa.Array:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _uuid_text(array.storage) if _is_uuid(kind) else lower_array(array.storage)
    if pa.types.is_dictionary(kind):
        return lower_array(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return lower_array(pc.run_end_decode(array))
    if pa.types.is_nested(kind):
        return _lower_nested(array, target)
    return _lower_scalars(array, target)


def _lower_scalars(array: pa.Array, target: pa.DataType) -> pa.Array:
    kind = array.type
    if pa.types.is_duration(kind):
        return _texts(array.cast(pa.int64()), lambda count: duration_text(count, kind.unit))
    if pa.types.is_interval(kind):
        return _texts(array, interval_text)
    if pa.types.is_decimal(kind) and pa.types.is_string(target):
        return _texts(array, lambda value: f"{value:f}")
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return array.cast(target, safe=False)  # microseconds are the finest Delta has
    return array.cast(target)


def _lower_nested(array: pa.Array, target: pa.DataType) -> pa.Array:
    kind = array.type
    if pa.types.is_struct(kind):
        return _lower_struct(array, target)
    if pa.types.is_map(kind):
        return _lower_map(array, target)
    values = array.cast(pa.list_(kind.value_type)) if not pa.types.is_list(kind) else array
    whole = _unsliced(values)
    return pa.ListArray.from_arrays(whole.offsets, lower_array(whole.values), type=target, mask=whole.is_null())


def _lower_struct(array: pa.StructArray, target: pa.DataType) -> pa.Array:
    if not array.type.num_fields:
        return pc.if_else(array.is_valid(), "{}", pa.scalar(None, pa.string()))
    whole = _unsliced(array)
    children = [lower_array(whole.field(index)) for index in range(whole.type.num_fields)]
    return pa.StructArray.from_arrays(children, fields=list(target), mask=whole.is_null())


def _lower_map(array: pa.MapArray, target: pa.DataType) -> pa.Array:
    whole = _unsliced(array)
    keys, items = lower_array(whole.keys), lower_array(whole.items)
    return pa.MapArray.from_arrays(whole.offsets, keys, items, type=target, mask=whole.is_null())


def _unsliced(array: pa.Array) -> pa.Array:
    """Copy a slice, for Arrow rebuilds nested arrays with a mask from whole ones only."""
    return pa.concat_arrays([array, array.slice(0, 0)]) if array.offset else array


def _texts(array: pa.Array, write: Any) -> pa.Array:
    return pa.array([None if value is None else write(value) for value in array.to_pylist()], pa.string())


def _uuid_text(storage: pa.Array) -> pa.Array:
    return _texts(storage, lambda raw: _dashed(raw.hex()))


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _is_uuid(kind: pa.BaseExtensionType) -> bool:
    return bool(kind.extension_name == "arrow.uuid")


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )
