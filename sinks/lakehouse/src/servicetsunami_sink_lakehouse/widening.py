"""Which type can hold the values of two: byte < short < integer < long, float < double, and larger decimals."""

from __future__ import annotations

from typing import Any

from servicetsunami_sink_lakehouse.delta_types import DeltaType, decimal_of

_CHAINS = (("byte", "short", "integer", "long"), ("float", "double"))


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
    first, second = decimal_of(one), decimal_of(other)
    if first is None or second is None:
        return None
    scale = max(first[1], second[1])
    precision = max(first[0] - first[1], second[0] - second[1]) + scale
    return f"decimal({precision},{scale})" if precision <= 38 else None


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
