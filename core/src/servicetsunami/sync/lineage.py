"""The columns the host adds to every row: when it came, with which run, and what did not fit."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from servicetsunami.sdk import RESCUED, DataError

SYNCED_AT = "_synced_at"
SYNC_ID = "_sync_id"

_FIELDS = (
    pa.field(
        SYNCED_AT, pa.timestamp("us", tz="UTC"), metadata={"comment": "When the sync that brought the row began."}
    ),
    pa.field(SYNC_ID, pa.string(), metadata={"comment": "The run that brought the row."}),
    pa.field(RESCUED, pa.string(), metadata={"comment": "JSON of the cells that did not fit their column."}),
)


class Lineage:
    """Adds the columns of one run to its batches."""

    def __init__(self, run_id: str, synced_at: datetime) -> None:
        self.synced_at = synced_at
        self._values = (pa.scalar(synced_at, _FIELDS[0].type), pa.scalar(run_id, pa.string()))

    @staticmethod
    def schema(schema: pa.Schema) -> pa.Schema:
        """Return `schema` as `add` will make it; raises `DataError` where the source has a column of that name."""
        taken = [name for name in (SYNCED_AT, SYNC_ID) if name in schema.names]
        if taken:
            raise DataError(
                f"the source has a column '{taken[0]}', a name that every synced table keeps for itself",
                code="reserved_column",
                fix="rename the column at the source, or sync a view that does",
            )
        fields = [field for field in schema if field.name != RESCUED]
        return pa.schema([*fields, *_FIELDS], metadata=schema.metadata)

    def add(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with the lineage columns at its end; a `_rescued` of its own is kept."""
        schema = self.schema(batch.schema)
        columns = [batch.column(name) for name in schema.names[: -len(_FIELDS)]]
        columns += [pa.repeat(value, batch.num_rows) for value in self._values]
        columns.append(self._rescued(batch))
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    @staticmethod
    def _rescued(batch: pa.RecordBatch) -> pa.Array:
        if RESCUED in batch.schema.names:
            return batch.column(RESCUED).cast(pa.string())
        return pa.nulls(batch.num_rows, pa.string())


def count_rescued(batch: pa.RecordBatch) -> int:
    """Count the rows with a cell that did not fit."""
    column: pa.Array = batch.column(RESCUED)
    return int(len(column) - column.null_count)
