"""Which type holds every value of two exactly.

byte < short < integer < long, float < double, larger decimals; besides, as Delta's type widening has it, whole numbers
in decimals that are large enough, those up to integer in double, and date in timestamp_ntz.
"""

from __future__ import annotations

from typing import Any

from servicetsunami.sdk.delta.types import DeltaType, decimal_of

_CHAINS = (("byte", "short", "integer", "long"), ("float", "double"), ("date", "timestamp_ntz"))
_DIGITS = {"byte": 10, "short": 10, "integer": 10, "long": 20}
_IN_DOUBLE = frozenset(("byte", "short", "integer", "float", "double"))


class WidensError(Exception):
    """The table's type cannot hold the values; `possible` if it could after widening."""

    def __init__(self, *, possible: bool) -> None:
        super().__init__()
        self.possible = possible


def unify(table: DeltaType, incoming: DeltaType, *, widen: bool, add: bool) -> DeltaType:
    """Return the table's type once values of `incoming` are in it; raises `WidensError` if that may not be.

    With `widen` it may be the wider of the two; with `add`, structs may get more fields.
    """
    if table == incoming:
        return table
    if isinstance(table, dict) and isinstance(incoming, dict) and table["type"] == incoming["type"]:
        return _unify_nested(table, incoming, widen=widen, add=add)
    if isinstance(table, dict) or isinstance(incoming, dict):
        raise WidensError(possible=False)
    wider = _wider(table, incoming)
    if wider is None or (wider != table and not widen):
        raise WidensError(possible=wider is not None)
    return wider


def _wider(one: str, other: str) -> str | None:
    for chain in _CHAINS:
        if one in chain and other in chain:
            return chain[max(chain.index(one), chain.index(other))]
    if _IN_DOUBLE.issuperset((one, other)):
        return "double"
    first, second = _as_decimal(one), _as_decimal(other)
    if first is None or second is None:
        return None
    scale = max(first[1], second[1])
    precision = max(first[0] - first[1], second[0] - second[1]) + scale
    return f"decimal({precision},{scale})" if precision <= 38 else None


def _as_decimal(kind: str) -> tuple[int, int] | None:
    return (_DIGITS[kind], 0) if kind in _DIGITS else decimal_of(kind)


def _unify_nested(table: dict[str, Any], incoming: dict[str, Any], *, widen: bool, add: bool) -> DeltaType:
    if table["type"] == "struct":
        return _unify_structs(table, incoming, widen=widen, add=add)
    parts = ("elementType",) if table["type"] == "array" else ("keyType", "valueType")
    return {**table, **{part: unify(table[part], incoming[part], widen=widen, add=add) for part in parts}}


def _unify_structs(table: dict[str, Any], incoming: dict[str, Any], *, widen: bool, add: bool) -> DeltaType:
    arriving = {entry["name"]: entry for entry in incoming["fields"]}
    known = {entry["name"] for entry in table["fields"]}
    new = [entry for name, entry in arriving.items() if name not in known]
    if new and not add:
        raise WidensError(possible=False)
    fields = [
        {**entry, "type": unify(entry["type"], arriving[entry["name"]]["type"], widen=widen, add=add)}
        if entry["name"] in arriving
        else entry
        for entry in table["fields"]
    ]
    return {**table, "fields": fields + new}
