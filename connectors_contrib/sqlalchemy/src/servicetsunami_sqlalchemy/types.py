"""Column types as Arrow types, and a driver's values as values of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import types as sql
from sqlalchemy.dialects import mysql

if TYPE_CHECKING:
    import pyarrow as pa

Convert = Callable[[Any], Any]
_WIDEST = 38
_DAY = timedelta(days=1)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?")


def arrow_type(kind: sql.TypeEngine[Any]) -> pa.DataType:
    """Return the Arrow type that holds every value of a column exactly; text where there is none."""
    import pyarrow as pa

    if isinstance(kind, sql.Boolean):
        return pa.bool_()
    if isinstance(kind, sql.Integer | mysql.BIT | mysql.YEAR):
        return _integer(kind)
    if isinstance(kind, sql.Float):
        return pa.float64()
    return _decimal(kind) if isinstance(kind, sql.Numeric) else _moment_or_text(kind)


def _integer(kind: sql.Integer | mysql.BIT | mysql.YEAR) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, mysql.BIT):
        return pa.int64() if (kind.length or 1) < 64 else pa.decimal128(20, 0)
    if isinstance(kind, mysql.YEAR):
        return pa.int16()
    widths: dict[type[Any], int] = {mysql.TINYINT: 8, mysql.SMALLINT: 16, mysql.MEDIUMINT: 32, mysql.INTEGER: 32}
    width = next((width for cls, width in widths.items() if isinstance(kind, cls)), 64)
    if not getattr(kind, "unsigned", False):
        return {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[width]
    return {8: pa.int16(), 16: pa.int32(), 32: pa.int64(), 64: pa.decimal128(20, 0)}[width]


def _decimal(kind: sql.Numeric[Any]) -> pa.DataType:
    import pyarrow as pa

    if kind.precision is None or kind.precision > _WIDEST:
        return pa.string()
    return pa.decimal128(kind.precision, kind.scale or 0)


def _moment_or_text(kind: sql.TypeEngine[Any]) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, sql.DateTime):
        # MySQL's TIMESTAMP is a moment; the session reads it in UTC.
        return pa.timestamp("us", "UTC" if isinstance(kind, mysql.TIMESTAMP) or kind.timezone else None)
    if isinstance(kind, sql.Date):
        return pa.date32()
    if isinstance(kind, sql.Time):
        return pa.time64("us")
    return pa.binary() if isinstance(kind, sql.LargeBinary | sql.BINARY | sql.VARBINARY) else pa.string()


def converter(kind: sql.TypeEngine[Any], arrow: pa.DataType) -> Convert | None:
    """Return what makes a driver's value one of the Arrow type; None where it is one already.

    A value that cannot be one is left as it is: the host keeps it as text beside its column.
    """
    import pyarrow as pa

    if isinstance(kind, mysql.BIT):
        return _bits
    known: tuple[tuple[Callable[[Any], bool], Convert], ...] = (
        (pa.types.is_boolean, _boolean),
        (pa.types.is_decimal, _exact),
        (pa.types.is_timestamp, _utc if getattr(arrow, "tz", None) else _moment),
        (pa.types.is_date, _date),
        (pa.types.is_time, _time),
        (pa.types.is_string, _text),
    )
    return next((convert for belongs, convert in known if belongs(arrow)), None)


def _bits(value: Any) -> Any:
    return int.from_bytes(value, "big") if isinstance(value, bytes) else value


def _boolean(value: Any) -> Any:
    return bool(value) if value in (0, 1) else value


def _exact(value: Any) -> Any:
    """Return a number as the decimal it shows: SQLite keeps decimals as doubles."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def _moment(value: Any) -> Any:
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    return value


def _utc(value: Any) -> Any:
    found = _moment(value)
    return found.replace(tzinfo=UTC) if isinstance(found, datetime) and found.tzinfo is None else found


def _date(value: Any) -> Any:
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else value
    except ValueError:
        return value


def _time(value: Any) -> Any:
    if isinstance(value, timedelta):
        return _time_of_day(value) if timedelta() <= value < _DAY else str(value)
    try:
        return time.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _time_of_day(since_midnight: timedelta) -> time:
    minutes, seconds = divmod(since_midnight.seconds, 60)
    return time(*divmod(minutes, 60), seconds, since_midnight.microseconds)


def _text(value: Any) -> Any:
    if isinstance(value, str) or value is None:
        return value
    return format(value, "f") if isinstance(value, Decimal) else str(value) if isinstance(value, UUID) else value
