"""The high-water mark of a cursor column, and its form in JSON.

A value is kept as text together with its Arrow type, so that a checkpoint read back years later gives exactly the
value that was written: integers beyond 53 bits, decimals and microseconds included.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from servicetsunami.sdk import ConfigError, Json

_KINDS: dict[str, type] = {"datetime": datetime, "date": date, "decimal": Decimal, "float": float, "text": str}
_READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "text": str,
}

_ARROW_KINDS: tuple[tuple[str, Callable[[pa.DataType], bool]], ...] = (
    ("int", pa.types.is_integer),
    ("float", pa.types.is_floating),
    ("decimal", pa.types.is_decimal),
    ("datetime", pa.types.is_timestamp),
    ("date", pa.types.is_date),
    ("text", lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind)),
)


def highest(values: pa.Array, latest: datetime | None = None) -> Any:
    """Return the greatest of a cursor's values that can mark how far a sync came, None if there is none.

    Nulls, NaN and infinities cannot, nor moments after `latest`: every change made until then would count as synced.
    """
    return pc.max(_usable(values, latest)).as_py()


def kind_of(kind: pa.DataType) -> str:
    """Return the kind of mark that a cursor column of an Arrow type gives; '' where it can give none."""
    return next((name for name, is_of in _ARROW_KINDS if is_of(kind)), "")


def later(left: Any, right: Any) -> Any:
    """Return the greater of two marks, where None is before everything."""
    if left is None or right is None:
        return left if right is None else right
    return max(left, right)


def encode(column: str, value: Any) -> Json:
    """Write a mark as JSON."""
    return {"column": column, "kind": _kind(value), "value": _text(value)}


def decode(mark: Json, column: str) -> Any:
    """Read a mark back; None if it belongs to another column, so that a changed cursor starts anew."""
    if mark.get("column") != column:
        return None
    return _READERS[mark["kind"]](mark["value"])


def _usable(values: pa.Array, latest: datetime | None) -> pa.Array:
    if pa.types.is_floating(values.type):
        return values.filter(pc.is_finite(values))
    if latest is None or not (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)):
        return values
    return values.filter(pc.less_equal(values, _limit(values.type, latest.astimezone(UTC).replace(microsecond=0))))


def _limit(kind: pa.DataType, latest: datetime) -> pa.Scalar:
    if pa.types.is_date(kind):
        return pa.scalar(latest.date(), kind)
    return pa.scalar(latest if kind.tz else latest.replace(tzinfo=None), kind)


def _kind(value: Any) -> str:
    for kind, python_type in _KINDS.items():
        if isinstance(value, python_type):
            return kind
    if isinstance(value, int) and not isinstance(value, bool):
        return "int"
    raise ConfigError(
        f"a cursor of type {type(value).__name__} cannot mark how far a sync came",
        code="cursor_type",
        field="cursor",
        fix="choose a number, date, timestamp or text column as cursor",
    )


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    return value.isoformat() if isinstance(value, date) else repr(value) if isinstance(value, float) else str(value)
