"""Cells as the Sheets API tells them, as values: what a cell shows is its format's doing, what it holds is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any

_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet's moments have no zone
_LAST_SERIAL = 2_958_466
"""The day after 9999-12-31, up to which dates reach."""
_EXACT = 2**53
_DAY_MS = 86_400_000


class CellError(Exception):
    """A formula went wrong; the text is what the cell shows, such as `#N/A`."""


_SHOWN = {
    "NULL_VALUE": "#NULL!",
    "DIVIDE_BY_ZERO": "#DIV/0!",
    "VALUE": "#VALUE!",
    "REF": "#REF!",
    "NAME": "#NAME?",
    "NUM": "#NUM!",
    "N_A": "#N/A",
    "LOADING": "Loading...",
}


def value_of(cell: Mapping[str, Any]) -> Any:
    """Return the value of a cell, None if it is empty; raises `CellError`."""
    held = cell.get("effectiveValue")
    if not held:
        return None
    if "errorValue" in held:
        raise CellError(_SHOWN.get(held["errorValue"].get("type", ""), "#ERROR!"))
    if "numberValue" in held:
        kind = cell.get("effectiveFormat", {}).get("numberFormat", {}).get("type", "")
        return _number(held["numberValue"], kind)
    if "boolValue" in held:
        return bool(held["boolValue"])
    return held.get("stringValue") or None


def _number(number: Any, kind: str) -> Any:
    exact = float(number)
    if kind in ("DATE", "DATE_TIME", "TIME"):
        return _moment(exact, kind)
    return int(exact) if exact.is_integer() and abs(exact) <= _EXACT else exact


def _moment(serial: float, kind: str) -> Any:
    """Return a date, a moment or a time of day; a length of time, or what no calendar has, stays a number."""
    if not 0 <= serial < _LAST_SERIAL or (kind == "TIME" and serial >= 1):
        return serial
    milliseconds = round(serial * _DAY_MS)
    if kind == "TIME":
        return _time(milliseconds)
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.date() if kind == "DATE" and serial.is_integer() else moment


def _time(milliseconds: int) -> time:
    moment: datetime = _EPOCH + timedelta(milliseconds=milliseconds % _DAY_MS)
    return moment.time()
