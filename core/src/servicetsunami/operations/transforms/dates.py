"""Formats of dates in texts, as patterns that every engine reads alike.

A format becomes a regular expression and a way to write what it found as ISO 8601, so that no engine's own reading of
formats, which differ in what they let pass, is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from servicetsunami.sdk import ConfigError

_FIELDS = {
    "yyyy": ("year", "[0-9]{4}"),
    "yy": ("short_year", "[0-9]{2}"),
    "MMM": ("month_name", "[A-Za-z]{3}"),
    "MM": ("month", "[0-9]{2}"),
    "M": ("month", "[0-9]{1,2}"),
    "dd": ("day", "[0-9]{2}"),
    "d": ("day", "[0-9]{1,2}"),
    "HH": ("hour", "[0-9]{2}"),
    "H": ("hour", "[0-9]{1,2}"),
    "mm": ("minute", "[0-9]{2}"),
    "ss": ("second", "[0-9]{2}"),
    "SSSSSS": ("fraction", "[0-9]{6}"),
    "SSS": ("fraction", "[0-9]{3}"),
}
_PARTS = re.compile(r"'[^']*'|[A-Za-z]+|[^A-Za-z']")
_DATE = ("year", "month", "day")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True)
class DateFormat:
    """A format, taken apart."""

    pattern: str
    """Regular expression of the whole text, with a group for each field."""
    groups: Mapping[str, int]
    """Which group holds which field, counted from 1."""

    @classmethod
    def of(cls, text: str) -> DateFormat:
        """Take a format apart; raises `ConfigError` (`bad_date_format`)."""
        pattern, groups = "", dict[str, int]()
        for part in _PARTS.findall(text):
            if part in _FIELDS:
                name, shape = _FIELDS[part]
                if name in groups:
                    raise _bad(text, f"'{part}' is there twice")
                groups[name] = len(groups) + 1
                pattern += f"({shape})"
            elif part[0].isalpha():
                raise _bad(text, f"'{part}' is not known")
            else:
                pattern += "".join(map(_verbatim, part.strip("'")))
        found = {name.removeprefix("short_").removesuffix("_name") for name in groups}
        if missing := [name for name in _DATE if name not in found]:
            raise _bad(text, f"it has no {missing[0]}")
        return cls(f"^{pattern}$", groups)


def _verbatim(char: str) -> str:
    if char.isalnum() or char in " -/:,._":
        return f"[{char}]"
    raise _bad(char, f"{char!r} may not stand in a format")


def _bad(text: str, found: str) -> ConfigError:
    return ConfigError(
        f"the date format {text[:60]!r} cannot be used: {found}",
        code="bad_date_format",
        field="transformations",
        fix=f"write it with {', '.join(_FIELDS)} and marks between them; other letters in quotes: yyyy-MM-dd'T'HH:mm",
    )
