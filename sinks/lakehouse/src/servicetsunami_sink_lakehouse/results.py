"""Gives results the types that Databricks gives them."""

from __future__ import annotations

import pyarrow as pa

from servicetsunami.sdk import DataError


def databricks_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema a reader of Databricks would see."""
    return pa.schema([pa.field(field.name, _type(field.type)) for field in schema])


def databricks_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch in that schema; raises `DataError` where a sum outgrew a BIGINT, as Databricks does."""
    try:
        columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
    except pa.ArrowInvalid as error:
        raise DataError(
            "a whole number in the result does not fit BIGINT",
            code="arithmetic_overflow",
            fix="cast the numbers to DECIMAL(38, 0) before adding them up",
        ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_decimal(kind) and (kind.precision, kind.scale) == (38, 0):
        return pa.int64()  # DuckDB adds whole numbers up as HUGEINT, which comes as this
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC") if kind.tz else pa.timestamp("us")
    if pa.types.is_null(kind):
        return pa.string()
    return kind
