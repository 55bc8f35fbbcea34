"""Drift: how a source's columns differ from those that landed, and what that does to the landed ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

import pyarrow as pa

from servicetsunami.sdk import Evolve, Json
from servicetsunami.sync.fitting import is_binary, is_text

FindingKind = Literal["added", "removed", "widened", "narrowed", "retyped", "rescued"]

_INTS = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
_RANKS = {kind: rank for rank, kind in enumerate(_INTS)} | {pa.uint8(): 1, pa.uint16(): 2, pa.uint32(): 3}
"""How wide an integer lies in a table; an unsigned one needs the next wider column, and the widest has none."""
_UNITS = ("s", "ms", "us", "ns")
_DECIMAL_DIGITS = 38
_MOST_TOLD = 20


@dataclass(frozen=True)
class Finding:
    """One difference: `before` is the type that landed, `after` the source's; empty where there is none."""

    kind: FindingKind
    column: str
    """The name in the table."""
    before: str = ""
    after: str = ""


def describe(findings: Iterable[Finding]) -> list[str]:
    """Tell findings in sentences, the first ones each and of the others how many there are."""
    told = [_SENTENCES[finding.kind].format(**vars(finding)) for finding in findings]
    more = len(told) - _MOST_TOLD
    return told if more <= 0 else [*told[:_MOST_TOLD], f"{more} more columns differ; the run's drift names them."]


def to_json(findings: Iterable[Finding]) -> list[Json]:
    """Write findings as JSON, as they are kept with a run."""
    return [asdict(finding) for finding in findings]


def landing_type(known: pa.DataType, source: pa.DataType, evolve: Evolve) -> pa.DataType:
    """Return the type a known column lands with now: its own, or a wider one where `evolve` lets it grow."""
    return _merged(known, source, widen=evolve == "widen") or known


def change_of(known: pa.DataType, source: pa.DataType) -> FindingKind | None:
    """Say how the source's type differs from the one that landed; None if both are the same to a table."""
    merged = _merged(known, source, widen=True)
    if merged is None:
        return "retyped"
    if merged != known:
        return "widened"
    return None if known == source or _is_alike(known, source) else "narrowed"


def _merged(known: pa.DataType, source: pa.DataType, *, widen: bool) -> pa.DataType | None:
    """Return what holds values of both, as far as tables can grow; None if nothing does."""
    if known == source or _is_alike(known, source) or pa.types.is_null(source):
        return known
    if pa.types.is_nested(known):
        return _merged_nested(known, source, widen=widen)
    if pa.types.is_timestamp(known) and pa.types.is_timestamp(source) and (known.tz is None) == (source.tz is None):
        return pa.timestamp(max(known.unit, source.unit, key=_UNITS.index), known.tz)
    wider = _wider_number(known, source)
    return known if wider is not None and not widen and not _lies_alike(known, wider) else wider


def _wider_number(known: pa.DataType, source: pa.DataType) -> pa.DataType | None:
    if known in _RANKS and source in _RANKS:
        return _INTS[max(_RANKS[known], _RANKS[source])]
    if pa.types.is_floating(known) and pa.types.is_floating(source):
        return max(known, source, key=lambda kind: kind.bit_width)
    if pa.types.is_decimal(known) and pa.types.is_decimal(source):
        scale = max(known.scale, source.scale)
        precision = max(known.precision - known.scale, source.precision - source.scale) + scale
        return pa.decimal128(precision, scale) if precision <= _DECIMAL_DIGITS else None
    return None


def _lies_alike(known: pa.DataType, wider: pa.DataType) -> bool:
    return known in _RANKS and wider in _RANKS and _RANKS[known] == _RANKS[wider]


def _merged_nested(known: pa.DataType, source: pa.DataType, *, widen: bool) -> pa.DataType | None:
    if known.id != source.id:
        return None
    if pa.types.is_struct(known):
        return _merged_structs(known, source, widen=widen)
    if pa.types.is_map(known):
        key = _merged(known.key_type, source.key_type, widen=widen)
        item = _merged(known.item_type, source.item_type, widen=widen)
        return pa.map_(key, item) if key is not None and item is not None else None
    value = _merged(known.value_type, source.value_type, widen=widen)
    if value == known.value_type or value is None:
        return None if value is None else known
    make = pa.large_list if pa.types.is_large_list(known) else pa.list_
    return make(known.value_field.with_type(value).with_nullable(True))


def _merged_structs(known: pa.StructType, source: pa.StructType, *, widen: bool) -> pa.DataType | None:
    arriving = {field.name: field for field in source}
    fields = []
    for field in known:
        other = arriving.pop(field.name, None)
        kind = field.type if other is None else _merged(field.type, other.type, widen=widen)
        if kind is None:
            return None
        fields.append(pa.field(field.name, kind))
    return pa.struct([*fields, *(field.with_nullable(True) for field in arriving.values())])


def _is_alike(known: pa.DataType, source: pa.DataType) -> bool:
    if pa.types.is_dictionary(source):
        return _is_alike(known, source.value_type) or known == source.value_type
    return (is_text(known) and is_text(source)) or (is_binary(known) and is_binary(source))


_SENTENCES: dict[FindingKind, str] = {
    "added": "Column '{column}' is new ({after}).",
    "removed": "Column '{column}' ({before}) is gone at the source; it stays in the table and is null in new rows.",
    "widened": "Column '{column}' became wider at the source: {before} to {after}.",
    "narrowed": "Column '{column}' became narrower at the source: {before} to {after}; the table's type holds it.",
    "retyped": "Column '{column}' changed its type at the source: {before} to {after}; what does not fit is rescued.",
    "rescued": "Column '{column}' ({before}) had values that do not fit it; they are in `_rescued` as text.",
}
