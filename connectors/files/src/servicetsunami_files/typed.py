"""Texts and the types that hold them exactly; what does not fit is kept as text beside its column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Misfits = dict[int, str]
"""Texts that did not fit their column, by row."""
_INT = r"^-?(?:0|[1-9]\d{0,17})$"
_DIGITS = r"^-?(?:0|[1-9]\d{0,37})$"
_DECIMAL = r"^-?(?:0|[1-9]\d*)(?:\.\d+)?$"
_FLOAT = r"^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?$"
_DATE = r"^\d{4}-\d\d-\d\d$"
_MOMENT = r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?"
_BOOL = r"^(?:true|false|True|False|TRUE|FALSE)$"
_NARROW, _WIDE = 18, 38
_HEADROOM = 3
"""Digits that a narrow decimal leaves for larger numbers than those of the sample."""


def find_type(texts: pa.Array) -> pa.DataType:
    """Return the type that holds all of these texts exactly; null if there are none."""
    import pyarrow as pa

    present = texts.drop_null()
    if not len(present):
        return pa.null()
    if (number := _number_type(present)) is not None:
        return number
    for pattern, kind in (
        (_BOOL, pa.bool_()),
        (_DATE, pa.date32()),
        (_MOMENT + "$", pa.timestamp("us")),
        (_MOMENT + r"(?:Z|[+-]\d\d:?\d\d)$", pa.timestamp("us", "UTC")),
    ):
        if _all_match(present, pattern):
            return kind if not fit(present, kind)[1] else pa.string()
    return pa.string()


def _number_type(texts: pa.Array) -> pa.DataType | None:
    import pyarrow as pa

    if _all_match(texts, _INT):
        return pa.int64()
    if _all_match(texts, _DIGITS):
        return pa.decimal128(_WIDE, 0)
    if _all_match(texts, _DECIMAL):
        return _decimal_type(texts)
    if _all_match(texts, _FLOAT):
        return pa.float64() if not fit(texts, pa.float64())[1] else pa.string()
    return None


def _decimal_type(texts: pa.Array) -> pa.DataType:
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pc.max(pc.utf8_length(pc.replace_substring_regex(texts, r"^-|\..*$", ""))).as_py()
    scale = pc.max(pc.utf8_length(pc.replace_substring_regex(texts, r"^[^.]*\.?", ""))).as_py()
    return decimal_of(whole, scale) or pa.string()


def decimal_of(whole: int, scale: int) -> pa.DataType | None:
    """Return a decimal with room for `whole` digits before and `scale` digits behind the point."""
    import pyarrow as pa

    if whole + scale <= _NARROW - _HEADROOM:
        return pa.decimal128(_NARROW, scale)
    return pa.decimal128(_WIDE, scale) if whole + scale <= _WIDE else None


def _all_match(texts: pa.Array, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())


def widest(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    """Return the type that holds the values of both exactly; text where there is none."""
    import pyarrow as pa

    if left == right or pa.types.is_null(right):
        return left
    if pa.types.is_null(left):
        return right
    sizes = [_size(kind) for kind in (left, right)]
    if None not in sizes:
        wholes, scales = zip(*(size for size in sizes if size), strict=True)
        return decimal_of(max(wholes), max(scales)) or pa.string()
    return pa.string()


def _size(kind: pa.DataType) -> tuple[int, int] | None:
    import pyarrow as pa

    if pa.types.is_int64(kind):
        return _NARROW - _HEADROOM, 0
    if pa.types.is_decimal(kind):
        spare = _HEADROOM if kind.precision == _NARROW else 0
        return kind.precision - spare - kind.scale, kind.scale
    return None


def fit(texts: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Misfits]:
    """Return the texts in a type, null where one does not fit, and those that did not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(kind):
        return texts, {}
    trimmed = pc.utf8_trim_whitespace(texts)
    trimmed = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
    shaped = pc.fill_null(pc.match_substring_regex(trimmed, _shape(kind)), fill_value=False)
    candidates = pc.if_else(shaped, trimmed, pa.scalar(None, pa.string()))
    array = _cast(candidates, kind)
    lost = pc.and_(pc.is_valid(trimmed), pc.is_null(array))
    if not pc.any(lost).as_py():
        return array, {}
    rows = pc.indices_nonzero(lost).to_pylist()
    return array, {row: texts[row].as_py() for row in rows}


def _shape(kind: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_integer(kind):
        return r"^-?(?:0|[1-9]\d*)$"
    if pa.types.is_decimal(kind):
        return r"^[+-]?(?:0|[1-9]\d*)(?:\.\d*)?$"
    return _FLOAT if pa.types.is_floating(kind) else _BOOL if pa.types.is_boolean(kind) else r"^\d{4}-"


def _cast(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast what can be, halving where something cannot."""
    import pyarrow as pa

    if texts.null_count == len(texts):
        return pa.nulls(len(texts), kind)
    try:
        return _exact_floats(texts) if pa.types.is_floating(kind) else texts.cast(kind)
    except pa.ArrowException:
        if len(texts) == 1:
            return pa.nulls(1, kind)
    middle = len(texts) // 2
    return pa.concat_arrays([_cast(texts.slice(0, middle), kind), _cast(texts.slice(middle), kind)])


def _exact_floats(texts: pa.Array) -> pa.Array:
    """Cast to doubles; null where the double's shortest text is another number."""
    import pyarrow as pa

    values = texts.cast(pa.float64()).to_pylist()
    kept = [
        value if value is None or Decimal(repr(value)) == Decimal(text) else None
        for value, text in zip(values, texts.to_pylist(), strict=True)
    ]
    return pa.array(kept, pa.float64())


def rescued(misfits: Mapping[str, Misfits], rows: int) -> pa.Array | None:
    """Return the column `_rescued` of a batch; None if every cell fitted."""
    import pyarrow as pa

    found: dict[int, dict[str, Any]] = {}
    for column, texts in misfits.items():
        for row, text in texts.items():
            found.setdefault(row, {})[column] = text
    if not found:
        return None
    cells = (json.dumps(found[row], ensure_ascii=False) if row in found else None for row in range(rows))
    return pa.array(list(cells), pa.string())
