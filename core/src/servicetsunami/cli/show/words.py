"""Numbers, sizes and moments in words."""

from __future__ import annotations

from datetime import UTC, datetime


def counted(number: int, noun: str) -> str:
    """Return `1 row`, `2 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def thousands(number: int | None) -> str:
    """Return a number with separators; a dash where it is not known."""
    return "-" if number is None else f"{number:,}"


def size(size_bytes: int | None) -> str:
    """Return a size in the unit that fits; a dash where it is not known."""
    if size_bytes is None:
        return "-"
    amount = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def moment(when: datetime | None) -> str:
    """Return a moment in UTC, to the second; a dash where there is none."""
    return "-" if when is None else when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
