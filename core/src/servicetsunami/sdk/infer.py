"""Find the Arrow type that holds a column of Python values exactly."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_INT64 = range(-(2**63), 2**63)
_DECIMAL_DIGITS = 38
_EXACT_DOUBLE = 2**53
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (str, "str"),
    (bytes, "bytes"),
    (datetime, "datetime"),
    (date, "date"),
    (time, "time"),
    (timedelta, "duration"),
    (Decimal, "decimal"),
    (dict, "nested"),
    (list, "nested"),
)


def natural(values: Sequence[Any], *, nested: bool = True) -> pa.Array:
    """Return the values as an array of the type they have in common; as text where there is none.

    With `nested`, dicts and lists of one shape become structs and lists, otherwise JSON text.
    """
    import pyarrow as pa

    kind = _type_of(values, nested=nested)
    if kind is not None:
        try:
            return pa.array(values, kind)
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            pass  # a value its type cannot hold: NaN as decimal, a year before the calendar
    return pa.array([None if value is None else text_of(value) for value in values], pa.string())


def text_of(value: Any) -> str:
    """Return a value as text that tells all of it: JSON for nested values, ISO 8601 for times, hex for bytes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(_json_ready(value), ensure_ascii=False)
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def same_value(given: Any, kept: Any) -> bool:
    """Tell whether a nested value came through Arrow unchanged; a key that is missing equals None."""
    if isinstance(given, dict) and isinstance(kept, list):  # an Arrow map gives pairs back
        kept = dict(kept)
    if isinstance(given, dict) and isinstance(kept, dict):
        return all(same_value(given.get(key), kept.get(key)) for key in {*given, *kept})
    if isinstance(given, list) and isinstance(kept, list):
        return len(given) == len(kept) and all(map(same_value, given, kept))
    return type(given) is type(kept) and (given == kept or str(given) == str(kept) == "nan")


def _json_ready(value: Any) -> Any:
    if isinstance(value, dict):
        return {text_of(key): _json_ready(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json_ready(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else text_of(value)


def _type_of(values: Sequence[Any], *, nested: bool) -> pa.DataType | None:
    import pyarrow as pa

    present = [value for value in values if value is not None]
    kinds = {_kind(kind) for kind in {type(value) for value in present}}
    if not kinds:
        return pa.null()
    if kinds == {"int", "float"}:
        exact = all(isinstance(value, float) or abs(value) <= _EXACT_DOUBLE for value in present)
        return pa.float64() if exact else None
    if len(kinds) > 1 or (kinds == {"nested"} and not nested):
        return None
    find = _TYPES.get(kinds.pop())
    return find(present) if find else None


def _kind(cls: type) -> str:
    return next((kind for base, kind in _KINDS if issubclass(cls, base)), "other")


def _int_type(values: Sequence[int]) -> pa.DataType | None:
    import pyarrow as pa

    if min(values) in _INT64 and max(values) in _INT64:
        return pa.int64()
    digits = len(str(max(map(abs, values))))
    return pa.decimal128(_DECIMAL_DIGITS, 0) if digits <= _DECIMAL_DIGITS else None


def _decimal_type(values: Sequence[Decimal]) -> pa.DataType | None:
    import pyarrow as pa

    parts = [value.as_tuple() for value in values if value.is_finite()]
    exponents = [part.exponent for part in parts if isinstance(part.exponent, int)]
    if len(exponents) < len(values):
        return None
    scale = max(0, *(-exponent for exponent in exponents), 0)
    whole = max(max(0, len(part.digits) + exponent) for part, exponent in zip(parts, exponents, strict=True))
    return pa.decimal128(max(1, whole + scale), scale) if whole + scale <= _DECIMAL_DIGITS else None


def _datetime_type(values: Sequence[datetime]) -> pa.DataType | None:
    import pyarrow as pa

    aware = {value.tzinfo is not None for value in values}
    return None if len(aware) > 1 else pa.timestamp("us", tz="UTC" if aware.pop() else None)


def _nested_type(values: Sequence[Any]) -> pa.DataType | None:
    import pyarrow as pa

    if len({_shape(value) for value in values}) > 1:
        return None
    try:
        array = pa.array(values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None
    return array.type if all(map(same_value, values, array.to_pylist())) else None


def _shape(value: Any) -> Hashable:
    """Describe how a value is built; two of one shape make one Arrow type."""
    if isinstance(value, dict):
        return frozenset((key, _shape(item)) for key, item in value.items())
    if isinstance(value, list):
        return ("list", frozenset(_shape(item) for item in value) or None)
    return _kind(type(value))


def _arrow(name: str, *arguments: Any) -> Callable[[Sequence[Any]], pa.DataType | None]:
    def build(values: Sequence[Any]) -> pa.DataType | None:
        import pyarrow as pa

        return getattr(pa, name)(*arguments) if values else None

    return build


_TYPES: dict[str, Callable[[Sequence[Any]], pa.DataType | None]] = {
    "bool": _arrow("bool_"),
    "int": _int_type,
    "float": _arrow("float64"),
    "str": _arrow("string"),
    "bytes": _arrow("binary"),
    "datetime": _datetime_type,
    "date": _arrow("date32"),
    "time": _arrow("time64", "us"),
    "duration": _arrow("duration", "us"),
    "decimal": _decimal_type,
    "nested": _nested_type,
}
