"""Reading JSON that others wrote, where two readers must not see two things."""

from __future__ import annotations

import json
from typing import Any


class NotStrict(Exception):
    """Not one JSON object that reads the same everywhere."""


def strict_object(raw: bytes) -> dict[str, Any]:
    """Return one JSON object; raises `NotStrict` for repeated names, NaN, Infinity and anything that is not UTF-8."""
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NotStrict from None
    if not isinstance(value, dict):
        raise NotStrict
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrict
    return found


def _refuse(_constant: str) -> Any:
    raise NotStrict
