"""A cursor value as the API wants it written: never later than the value, so that no row is passed over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any

from servicetsunami_rest.config import CursorFormat, StreamSettings


def written(since: Any, stream: StreamSettings) -> str:
    """Return `since` as the text of the stream's `cursor_param`."""
    return _FORMATS[stream.cursor_format](since)


def _iso(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)


def _date(value: Any) -> str:
    return (_moment(value)).date().isoformat()


def _unix(value: Any) -> str:
    return str(int(_moment(value).timestamp() // 1))


def _unix_ms(value: Any) -> str:
    moment = _moment(value)
    return str(int(moment.timestamp() // 1) * 1000 + moment.microsecond // 1000)


def _moment(value: Any) -> datetime:
    moment: datetime = value if isinstance(value, datetime) else datetime.combine(value, time())
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_FORMATS: dict[CursorFormat, Callable[[Any], str]] = {
    "as_is": _iso,
    "iso": _iso,
    "date": _date,
    "unix": _unix,
    "unix_ms": _unix_ms,
}
