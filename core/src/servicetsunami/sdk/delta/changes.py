"""What a batch to apply brings besides the row: what happened to it, and which columns it does not repeat."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from servicetsunami.sdk.delta.columns import Column, columns_of
from servicetsunami.sdk.delta.lowering import lower_array
from servicetsunami.sdk.errors import DataError
from servicetsunami.sdk.items import DELETED_AT, OP, UNCHANGED
from servicetsunami.sdk.sink import Load

STAGED_OP = "__ts_op"
STAGED_UNCHANGED = "__ts_unchanged"
_OPS = frozenset("cudt")
_UNCHANGED_TYPE = pa.list_(pa.field("element", pa.string()))


def landing(load: Load, schema: pa.Schema) -> tuple[Column, ...]:
    """Return the columns of the table that rows of `schema` go to."""
    return columns_of(_row_schema(load, schema)) + own_columns(load)


def own_columns(load: Load) -> tuple[Column, ...]:
    """Return the columns that the table gets from the sink: `_deleted_at`, where rows deleted are kept."""
    if load.deletes != "soft":
        return ()
    return (Column(DELETED_AT, "timestamp", comment="When the source deleted the row; null while it is there."),)


def row_of(load: Load, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return what of a batch goes to the table."""
    return batch.select(_row_schema(load, batch.schema).names) if load.mode == "apply" else batch


def with_changes(row: pa.RecordBatch, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the lowered `row`s with what `batch` says of each, as it is staged; raises `DataError` if it does not."""
    named = {name.casefold(): index for index, name in enumerate(batch.schema.names)}
    ops = lower_array(batch.column(named[OP])) if OP in named else pa.nulls(len(batch), pa.string())
    if unknown := {str(op) for op in pc.unique(ops).to_pylist()} - _OPS:
        raise DataError(
            f"a row cannot be applied: its column {OP} holds {', '.join(sorted(unknown))}, which is no change",
            code="bad_change",
            field=OP,
            fix="use c (created), u (updated), d (deleted) or t (table emptied), or merge the rows instead",
        )
    columns = [*row.columns, ops, _unchanged(batch, named.get(UNCHANGED))]
    return pa.RecordBatch.from_arrays(columns, names=[*row.schema.names, STAGED_OP, STAGED_UNCHANGED])


def _unchanged(batch: pa.RecordBatch, at: int | None) -> pa.Array:
    if at is None or pa.types.is_null(batch.schema.field(at).type):
        return pa.nulls(len(batch), _UNCHANGED_TYPE)
    return lower_array(batch.column(at)).cast(_UNCHANGED_TYPE)


def _row_schema(load: Load, schema: pa.Schema) -> pa.Schema:
    if load.mode != "apply":
        return schema
    without: Sequence[str] = (OP, UNCHANGED, *(column.name for column in own_columns(load)))
    return pa.schema([field for field in schema if field.name.casefold() not in without])
