"""Changes of a feed as batches that a sink can apply."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from servicetsunami.sdk import OP, UNCHANGED, Changes, DataError, PermanentError, Stream
from servicetsunami.sdk.rows import to_batches

_NAMES = pa.list_(pa.string())
_KNOWN = ("c", "u", "d", "t")


def change_batches(changes: Changes, stream: Stream) -> Iterator[pa.RecordBatch]:
    """Yield the changes in their order: the stream's columns, `_op` and, where it was given, `_unchanged`."""
    if changes.stream != stream.id:
        raise PermanentError(
            f"the connector gave changes of '{changes.stream}' where those of '{stream.id}' were asked for",
            code="plugin_misbehaved",
        )
    for batch in to_batches(changes.rows, stream.schema):
        yield _applicable(batch, changes)


def _applicable(batch: pa.RecordBatch, changes: Changes) -> pa.RecordBatch:
    if changes.op not in batch.schema.names:
        raise DataError(f"changes of '{changes.stream}' lack the column '{changes.op}'", code="bad_changes")
    if changes.seq in batch.schema.names:
        batch = batch.take(pa.compute.sort_indices(batch, [(changes.seq, "ascending")]))
    own = [name for name in batch.schema.names if name not in (changes.op, changes.seq, changes.unchanged)]
    fields = [batch.schema.field(name) for name in own] + [pa.field(OP, pa.string())]
    columns = [batch.column(name) for name in own] + [_operations(batch.column(changes.op), changes.stream)]
    if changes.unchanged in batch.schema.names:
        fields.append(pa.field(UNCHANGED, _NAMES))
        columns.append(batch.column(changes.unchanged).cast(_NAMES))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields, metadata=batch.schema.metadata))


def _operations(values: pa.Array, stream: str) -> pa.Array:
    operations = values.cast(pa.string())
    unknown = sorted({str(value) for value in operations.unique().to_pylist()} - set(_KNOWN))
    if unknown:
        raise DataError(f"changes of '{stream}' hold the operation '{unknown[0]}'", code="bad_changes")
    return operations
