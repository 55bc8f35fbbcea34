"""What texts look like: patterns that every warehouse reads alike, and names that suggest personal data."""

from __future__ import annotations

import re
from collections.abc import Mapping

DATE_FORMATS: Mapping[str, str] = {
    "yyyy-MM-dd": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "yyyy/MM/dd": "^[0-9]{4}/[0-9]{2}/[0-9]{2}$",
    "dd/MM/yyyy": "^[0-9]{2}/[0-9]{2}/[0-9]{4}$",
    "dd.MM.yyyy": "^[0-9]{2}[.][0-9]{2}[.][0-9]{4}$",
    "d MMM yyyy": "^[0-9]{1,2} [A-Za-z]{3} [0-9]{4}$",
    "MMM d, yyyy": "^[A-Za-z]{3} [0-9]{1,2}, [0-9]{4}$",
}
"""Formats of dates, as `parse_date` has them, by the pattern of a text in them."""

SHAPES: Mapping[str, str] = {
    "e-mail": "^[^@ ]+@[^@ ]+[.][A-Za-z]{2,}$",
    "phone number": "^[+(]?[0-9][0-9 ()/.-]{6,18}[0-9]$",
    "web address": "^https?://",
    "IP address": "^[0-9]{1,3}([.][0-9]{1,3}){3}$",
    "UUID": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "whole number": "^[+-]?[0-9]+$",
    "number": "^[+-]?[0-9]+[.][0-9]+$",
    "number with commas": "^[+-]?[0-9]{1,3}(,[0-9]{3})*([.][0-9]+)?$",
    "JSON": "^[{\\[]",
    "yes or no": "^([Tt]rue|[Ff]alse|[Yy]es|[Nn]o|[YyNn])$",
}
"""What a whole text may be, by its pattern."""

NULL_SPELLINGS = ("", "null", "none", "nil", "n/a", "na", "-", "unknown")
"""Texts that stand for no value; those that `nullify` takes by default."""

_PERSONAL_SHAPES = ("e-mail", "phone number", "IP address")
_PERSONAL_NAMES = {
    "e-mail": r"e_?mail",
    "phone number": r"phone|mobile|telefon|fax",
    "name": r"(^|_)(first|last|full|given|family|sur|nick)_?name$|^name$",
    "address": r"street|address|postal|post_?code|zip",
    "birthday": r"birth|dob$",
    "account or card": r"iban|card_?number|ssn|passport|tax_?id",
}


def suspected(column: str, looks_like: tuple[str, ...]) -> str:
    """Say which personal data a column seems to hold; "" for none."""
    for shape in _PERSONAL_SHAPES:
        if shape in looks_like:
            return shape
    spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).casefold()
    return next((kind for kind, pattern in _PERSONAL_NAMES.items() if re.search(pattern, spelled)), "")
