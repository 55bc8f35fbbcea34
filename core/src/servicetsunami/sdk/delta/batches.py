"""Batches as a table holds them: its names, its types."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from servicetsunami.sdk.delta.columns import Column
from servicetsunami.sdk.delta.lowering import lower_array
from servicetsunami.sdk.delta.types import to_arrow


def lowered(batch: pa.RecordBatch, columns: Sequence[Column]) -> pa.RecordBatch:
    """Return the batch under the table's names, its values lowered, nulls in the table's type."""
    known = {column.name.casefold(): column for column in columns}
    arrays, names = [], []
    for field, values in zip(batch.schema, batch.columns, strict=True):
        column = known[field.name.casefold()]
        arrays.append(_typed(lower_array(values), column, is_null=pa.types.is_null(field.type)))
        names.append(column.name)
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _typed(values: pa.Array, column: Column, *, is_null: bool) -> pa.Array:
    """Return the values in the table's type, if it is a wider one; nested ones keep theirs and are cast when read."""
    kind = to_arrow(column.type)
    if is_null:
        return pa.nulls(len(values), kind)
    return values if values.type.equals(kind) or pa.types.is_nested(kind) else values.cast(kind)
