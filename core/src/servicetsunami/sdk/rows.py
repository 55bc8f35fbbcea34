"""Rows of any form become Arrow batches: with a schema they fit it exactly, and what cannot is rescued as text.

A cell that does not fit its column becomes null, and its text goes to the column `_rescued`, a JSON object by column
name. Nothing is rounded, truncated or dropped on the way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from servicetsunami.sdk.errors import DataError
from servicetsunami.sdk.infer import natural, same_value, text_of
from servicetsunami.sdk.items import RESCUED, Rows

if TYPE_CHECKING:
    import pyarrow as pa

Misfits = dict[int, str]
"""Text of the cells that did not fit, by their row in the batch."""


def to_batches(rows: Rows, schema: pa.Schema | None) -> Iterator[pa.RecordBatch]:
    """Yield `rows` as Arrow batches of `schema`; without one, of the types found in them.

    Columns the schema does not know are kept behind the others. Columns that are missing are null. Without a schema,
    a column whose values are all None has no type yet and is left out. A batch gets a column `_rescued` when a cell
    did not fit, or when it brought one. Raises `DataError` for what is not rows.
    """
    if isinstance(rows, list):
        if rows:
            yield _from_dicts(rows, schema)
        return
    for batch in _arrow_batches(rows):
        yield batch if schema is None or batch.schema.equals(schema) else _fit_batch(batch, schema)


def _arrow_batches(rows: Any) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    if isinstance(rows, pa.RecordBatch):
        batches, schema = iter((rows,)), rows.schema
    elif hasattr(rows, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(rows)
        batches, schema = iter(reader), reader.schema
    else:
        raise DataError(
            f"a read gave {type(rows).__name__}, which is not rows",
            code="not_rows",
            fix="yield a RecordBatch, a Table, a list of dicts or an object with __arrow_c_stream__",
        )
    if len(set(schema.names)) < len(schema.names):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise DataError(f"a batch has two columns called '{twice}'", code="duplicate_column", fix="rename one of them")
    yield from batches


def _from_dicts(rows: list[dict[str, Any]], schema: pa.Schema | None) -> pa.RecordBatch:
    import pyarrow as pa

    if not all(isinstance(row, dict) for row in rows):
        raise DataError("a list of rows holds something that is not a dict", code="not_rows", fix="yield dicts")
    names = dict.fromkeys(name for row in rows for name in row)
    if not all(isinstance(name, str) for name in names):
        raise DataError("a row has a column name that is not text", code="not_rows", fix="use text as column names")
    declared = {field.name: field.type for field in schema} if schema is not None else {}
    columns = {name: [row.get(name) for row in rows] for name in names}
    arrays, misfits = {}, {}
    for name, values in columns.items():
        arrays[name], misfits[name] = _from_values(values, declared.get(name))
    if schema is None:
        typed = {name: array for name, array in arrays.items() if not pa.types.is_null(array.type)}
        arrays = typed or {name: array.cast(pa.string()) for name, array in arrays.items()}
    if not arrays:
        raise DataError("every row of a batch is empty", code="not_rows", fix="yield rows with at least one column")
    batch = pa.RecordBatch.from_pydict(arrays)
    return batch if schema is None else _fit_batch(batch, schema, misfits)


def _from_values(values: list[Any], declared: pa.DataType | None) -> tuple[pa.Array, Misfits]:
    """Return the values as the array that shows them exactly; where the declared type is nested, in that type."""
    import pyarrow as pa

    if declared is None or not pa.types.is_nested(declared):
        return natural(values, nested=declared is None), {}
    with suppress(pa.ArrowException, TypeError, ValueError, OverflowError):
        array = pa.array(values, declared)
        if all(map(same_value, values, array.to_pylist())):
            return array, {}
    if len(values) == 1:
        return pa.nulls(1, declared), {0: text_of(values[0])}
    middle = len(values) // 2
    return _joined(_from_values(values[:middle], declared), _from_values(values[middle:], declared))


def _joined(left: tuple[pa.Array, Misfits], right: tuple[pa.Array, Misfits]) -> tuple[pa.Array, Misfits]:
    import pyarrow as pa

    moved = {len(left[0]) + row: text for row, text in right[1].items()}
    return pa.concat_arrays([left[0], right[0]]), left[1] | moved


def _fit_batch(
    batch: pa.RecordBatch, schema: pa.Schema, misfits: Mapping[str, Misfits] = MappingProxyType({})
) -> pa.RecordBatch:
    import pyarrow as pa

    fields, arrays, misfits = [], [], dict(misfits)
    for field in schema:
        if field.name == RESCUED:
            continue
        array, more = _fit_or_null(batch, field)
        misfits[field.name] = misfits.get(field.name, {}) | more
        fields.append(field if field.nullable or not array.null_count else field.with_nullable(True))
        arrays.append(array)
    for field in batch.schema:
        if field.name not in schema.names and field.name != RESCUED:
            fields.append(field)
            arrays.append(batch.column(field.name))
    if RESCUED in batch.schema.names or any(misfits.values()):
        fields.append(pa.field(RESCUED, pa.string()))
        arrays.append(_rescued(batch, misfits))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, metadata=schema.metadata))


def _fit_or_null(batch: pa.RecordBatch, field: pa.Field) -> tuple[pa.Array, Misfits]:
    import pyarrow as pa

    if field.name not in batch.schema.names:
        return pa.nulls(batch.num_rows, field.type), {}
    return _fit(_plain(batch.column(field.name), field.type), field.type)


def _plain(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Undo encodings that are not part of the value: dictionaries and extension types."""
    import pyarrow as pa

    if array.type != target and isinstance(array, pa.ExtensionArray):
        array = array.storage
    if array.type != target and isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    return array


def _fit(array: pa.Array, target: pa.DataType) -> tuple[pa.Array, Misfits]:
    """Cast a column; where a part of it does not fit, halve that part until the cells at fault are found."""
    import pyarrow as pa

    if array.type == target:
        return array, {}
    if array.null_count == len(array):
        return pa.nulls(len(array), target), {}
    cast_array = _cast_exactly(array, target)
    if cast_array is not None:
        return cast_array, {}
    if len(array) == 1:
        return pa.nulls(1, target), {0: _cell_text(array)}
    middle = len(array) // 2
    return _joined(_fit(array.slice(0, middle), target), _fit(array.slice(middle), target))


def _cast_exactly(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    """Return the column in its new type, None if it holds a value that would not be the same."""
    import pyarrow as pa

    try:
        result = array.cast(target)
        if _is_text(array.type) or _is_text(target):
            return result
        back = result.cast(array.type, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None
    return result if _equal(array, back) else None


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _equal(left: pa.Array, right: pa.Array) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if left.equals(right):
        return True
    if not pa.types.is_floating(left.type):
        return False
    both_nan = pc.and_(pc.is_nan(left), pc.is_nan(right))
    return bool(pc.all(pc.or_(pc.equal(left, right), both_nan)).as_py())


def _cell_text(array: pa.Array) -> str:
    import pyarrow as pa

    try:
        return cast("str", array.cast(pa.string())[0].as_py())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return text_of(array[0].as_py())


def _rescued(batch: pa.RecordBatch, misfits: dict[str, Misfits]) -> pa.Array:
    import pyarrow as pa

    texts: list[str | None] = [None] * batch.num_rows
    if RESCUED in batch.schema.names:
        texts = batch.column(RESCUED).cast(pa.string()).to_pylist()
    for row in sorted({row for rows in misfits.values() for row in rows}):
        cells = {column: rows[row] for column, rows in misfits.items() if row in rows}
        texts[row] = json.dumps(_brought(texts[row]) | cells, ensure_ascii=False)
    return pa.array(texts, pa.string())


def _brought(text: str | None) -> dict[str, Any]:
    """Read what the batch itself rescued; text that is no JSON object is kept under the column's own name."""
    try:
        cells = json.loads(text) if text is not None else {}
    except ValueError:
        cells = None
    return cells if isinstance(cells, dict) else {RESCUED: text}
