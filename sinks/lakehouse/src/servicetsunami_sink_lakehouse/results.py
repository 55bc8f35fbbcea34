"""Gives results the types that Databricks gives them."""

from __future__ import annotations

import pyarrow as pa


def databricks_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema a reader of Databricks would see."""
    return pa.schema([pa.field(field.name, _type(field.type)) for field in schema])


def databricks_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch in that schema."""
    columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC") if kind.tz else pa.timestamp("us")
    return pa.string() if pa.types.is_null(kind) else kind
