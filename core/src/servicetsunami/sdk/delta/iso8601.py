"""Durations and calendar intervals as ISO 8601 text, in whole numbers only."""

from __future__ import annotations

import pyarrow as pa

_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def duration_text(count: int, unit: str) -> str:
    """Write `count` units, such as 1500 ms, as PT1.5S."""
    return _join("", _clock(count * _NANOSECONDS[unit]))


def interval_text(interval: pa.MonthDayNano) -> str:
    """Write months, days and nanoseconds, each with its own sign, as P1Y2M3DT4H5M6.7S."""
    years, months = _split(interval.months, 12)
    date = "".join(f"{value}{mark}" for value, mark in ((years, "Y"), (months, "M"), (interval.days, "D")) if value)
    return _join(date, _clock(interval.nanoseconds))


def _clock(nanoseconds: int) -> str:
    minutes, rest = _split(nanoseconds, 60 * _NANOSECONDS["s"])
    hours, minutes = _split(minutes, 60)
    whole, fraction = divmod(abs(rest), _NANOSECONDS["s"])
    seconds = f"{'-' if rest < 0 else ''}{whole}"
    if fraction:
        seconds += f".{fraction:09d}".rstrip("0")
    parts = (f"{hours}H" if hours else "", f"{minutes}M" if minutes else "", f"{seconds}S" if rest else "")
    return "".join(parts)


def _join(date: str, clock: str) -> str:
    if not date and not clock:
        return "PT0S"
    return f"P{date}T{clock}" if clock else f"P{date}"


def _split(value: int, size: int) -> tuple[int, int]:
    """Divide towards zero, so that both parts keep the sign."""
    whole, rest = divmod(abs(value), size)
    return (-whole, -rest) if value < 0 else (whole, rest)
