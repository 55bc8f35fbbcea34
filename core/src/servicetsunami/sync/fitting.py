"""Cells into the type their column landed with: exactly, or told as text.

A number lands as a number where nothing of it is rounded; text lands where it is the usual writing of the value; a
text column takes the text of anything. Numbers are no moments, and a wall-clock time is no moment either: those never
turn into each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from servicetsunami.sdk.infer import text_of

_UNFIT = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)
_INT_TEXT = r"^(0|-?[1-9][0-9]{0,18})$"
_DECIMAL_TEXT = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
_FLOAT_DIGITS = {16: 3, 32: 6, 64: 15}
"""How many digits a float of so many bits gives back as they were written."""

Misfits: TypeAlias = dict[int, str]
"""The text of the cells that did not fit, by row."""


@dataclass(frozen=True)
class Fitted:
    """A column in the type it lands with, null where a cell did not fit."""

    array: pa.Array
    misfits: Misfits


def fit(array: pa.Array, target: pa.DataType) -> Fitted:
    """Cast a column; what cannot be cast exactly becomes null and is told in `misfits`."""
    if array.type == target:
        return Fitted(array, {})
    array = plain(array)
    if array.null_count == len(array):
        return Fitted(pa.nulls(len(array), target), {})
    if is_text(target):
        return Fitted(texts(array).cast(target), {})
    if not _castable(array.type, target):
        return _only(array, target, pa.array([False] * len(array)))
    if _rounds(array.type, target):
        array = texts(array)  # how a number is written tells whether it is the same in both
    whole = None if is_text(array.type) else _cast_exactly(array, target)
    return Fitted(whole, {}) if whole is not None else _fit_some(array, target)


def texts(array: pa.Array) -> pa.Array:
    """Return a column as text that tells all of each cell: JSON for nested ones, ISO 8601 for times, hex for bytes."""
    array = plain(array)
    if not (pa.types.is_nested(array.type) or is_binary(array.type)):
        try:
            return array.cast(pa.string())
        except _UNFIT:
            pass  # a type Arrow has no text for
    return pa.array([text_of(cell.as_py()) if cell.is_valid else None for cell in array], pa.string())


def settled(kind: pa.DataType) -> pa.DataType:
    """Return the type with text in the place of parts that have no type yet, such as those of an empty list."""
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(settled(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(settled(kind.value_type)))
    return pa.map_(kind.key_type, settled(kind.item_type)) if pa.types.is_map(kind) else kind


def plain(array: pa.Array) -> pa.Array:
    """Undo encodings that are not part of the value: chunks of a dictionary, extension types."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a type holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_binary(kind: pa.DataType) -> bool:
    """Tell whether a type holds bytes."""
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _fit_some(array: pa.Array, target: pa.DataType) -> Fitted:
    likely = _likely(array, target)
    kept = pc.if_else(likely, array, pa.scalar(None, array.type))
    whole = _cast_exactly(kept, target)
    if whole is not None:
        return _only(array, target, likely, whole)
    return _halved(array, target, kept)


def _halved(array: pa.Array, target: pa.DataType, kept: pa.Array) -> Fitted:
    """Halve what does not fit as a whole until the cells at fault are found."""
    whole = _cast_exactly(kept, target)
    if whole is not None:
        return _only(array, target, kept.is_valid(), whole)
    if len(kept) == 1:
        return _only(array, target, pa.array([False]))
    middle = len(kept) // 2
    left = _halved(array.slice(0, middle), target, kept.slice(0, middle))
    right = _halved(array.slice(middle), target, kept.slice(middle))
    moved = {middle + row: text for row, text in right.misfits.items()}
    return Fitted(pa.concat_arrays([left.array, right.array]), left.misfits | moved)


def _only(array: pa.Array, target: pa.DataType, good: pa.Array, fitted: pa.Array | None = None) -> Fitted:
    rows = pc.indices_nonzero(pc.and_(array.is_valid(), pc.invert(pc.fill_null(good, False))))
    found = texts(array.take(rows)).to_pylist()
    result = pa.nulls(len(array), target) if fitted is None else fitted
    return Fitted(result, dict(zip(rows.to_pylist(), found, strict=True)))


def _likely(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Mark the cells that may fit; those that are left out do not."""
    everything = array.is_valid()
    if is_text(array.type):
        return _likely_text(array, target)
    if _family(array.type) != "number" or _family(target) != "number":
        return everything
    try:
        back = array.cast(target, safe=False).cast(array.type, safe=False)
    except _UNFIT:
        return everything
    return _same(array, back)


def _likely_text(array: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_floating(target):
        brief = pc.replace_substring_regex(array, r"(\.[0-9]*?)0+$", r"\1")
        short = pc.less_equal(pc.utf8_length(brief), _FLOAT_DIGITS[target.bit_width])
        return pc.and_(short, pc.match_substring_regex(array, _DECIMAL_TEXT))
    if pa.types.is_integer(target):
        return pc.match_substring_regex(array, _INT_TEXT)
    if pa.types.is_decimal(target):
        return pc.match_substring_regex(array, _DECIMAL_TEXT)
    return pc.match_substring_regex(array, "^(true|false)$") if pa.types.is_boolean(target) else array.is_valid()


def _cast_exactly(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    """Return the column in its new type, None if it holds a value that would not be the same."""
    try:
        result = array.cast(target)
        if is_text(array.type):
            return result
        array = array.cast(settled(array.type))
        back = result.cast(array.type, safe=False)
    except _UNFIT:
        return None
    return result if array.equals(back) or bool(pc.all(_same(array, back)).as_py()) else None


def _same(left: pa.Array, right: pa.Array) -> pa.Array:
    """Compare cell by cell, where NaN equals NaN; null for cells that are null."""
    if pa.types.is_nested(left.type):
        return pa.array([one.equals(other) for one, other in zip(left, right, strict=True)])
    equal = pc.equal(left, right)
    if pa.types.is_floating(left.type):
        return pc.or_(equal, pc.and_(pc.is_nan(left), pc.is_nan(right)))
    return equal


def _castable(source: pa.DataType, target: pa.DataType) -> bool:
    if pa.types.is_nested(source) and pa.types.is_nested(target):
        return _castable_inside(source, target)
    ends = _family(source), _family(target)
    return ends[0] == ends[1] or (ends[0] == "text" and ends[1] not in ("nested", "binary"))


def _castable_inside(source: pa.DataType, target: pa.DataType) -> bool:
    """Compare parts more strictly than whole cells: Arrow casts them itself, and to more than is equal."""
    if source == target or pa.types.is_null(source):
        return True
    if not pa.types.is_nested(source):
        same = _family(source) == _family(target) or (is_text(target) and not is_binary(source))
        return same and not _rounds(source, target)
    if source.id != target.id:
        return False
    if pa.types.is_struct(source):
        names = {field.name for field in source} & {field.name for field in target}
        return all(_castable_inside(source.field(name).type, target.field(name).type) for name in names)
    if pa.types.is_map(source):
        return _castable_inside(source.key_type, target.key_type) and _castable_inside(
            source.item_type, target.item_type
        )
    return _castable_inside(source.value_type, target.value_type)


def _rounds(source: pa.DataType, target: pa.DataType) -> bool:
    """Tell whether Arrow rounds from one to the other, and back, without a word: between decimals and floats."""
    ends = (source, target)
    return any(map(pa.types.is_decimal, ends)) and any(map(pa.types.is_floating, ends))


def _family(kind: pa.DataType) -> str:
    if is_text(kind):
        return "text"
    if is_binary(kind):
        return "binary"
    if pa.types.is_nested(kind):
        return "nested"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "moment" if pa.types.is_timestamp(kind) and kind.tz else "wall clock"
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    return "number" if pa.types.is_decimal(kind) else "time" if pa.types.is_time(kind) else str(kind).split("[")[0]
