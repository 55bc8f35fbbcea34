"""Answers guarded queries as the principal that only reads."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain

import pyarrow as pa

from servicetsunami.sdk import ConfigError, QueryLimits, TableName, TsunamiError, nearest
from servicetsunami.sdk.delta import table_not_found
from servicetsunami.sdk.sql import GuardedQuery
from servicetsunami_sink_databricks.catalogue import summaries
from servicetsunami_sink_databricks.failures import StatementError
from servicetsunami_sink_databricks.places import Places
from servicetsunami_sink_databricks.schemas import read_columns
from servicetsunami_sink_databricks.statements import Statements

_DOING = "the query"
_QUOTED = re.compile(r"`((?:[^`]|``)+)`")


def answer(reader: Statements, places: Places, query: GuardedQuery, limits: QueryLimits) -> pa.RecordBatchReader:
    """Run the query and stream its rows."""
    tables = reader.stream(query.sql, rows=limits.rows, seconds=limits.timeout_seconds, doing=_DOING)
    try:
        first = next(tables)
    except StatementError as error:
        raise _explained(error, reader, places, query.tables) from error
    schema = pa.schema([pa.field(one.name, _type(one.type)) for one in first.schema])
    return pa.RecordBatchReader.from_batches(schema, _batches(first, tables, schema, limits))


def _batches(
    first: pa.Table, others: Generator[pa.Table, None, None], schema: pa.Schema, limits: QueryLimits
) -> Iterator[pa.RecordBatch]:
    """Yield the rows up to the limits; the statement is let go of at their end, or when nobody reads on."""
    with closing(others):
        yield from _limited(chain([first], others), schema, limits)


def _limited(tables: Iterable[pa.Table], schema: pa.Schema, limits: QueryLimits) -> Iterator[pa.RecordBatch]:
    rows, size = limits.rows, limits.size_bytes
    for table in tables:
        for batch in table.to_batches(max_chunksize=4_096):
            if rows <= 0 or size <= 0:
                return
            columns = [column.cast(one.type) for column, one in zip(batch.columns, schema, strict=True)]
            shown = pa.RecordBatch.from_arrays(columns, schema=schema).slice(0, rows)
            rows -= shown.num_rows
            size -= shown.nbytes
            yield shown


def _type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC") if kind.tz else pa.timestamp("us")
    return pa.string() if pa.types.is_null(kind) else kind


def _explained(error: StatementError, reader: Statements, places: Places, tables: Sequence[TableName]) -> TsunamiError:
    """Turn what the warehouse said of a name into an error with near ones."""
    found = _QUOTED.findall(error.described)
    family = error.name.partition(".")[0]
    if family == "NO_SUCH_CATALOG_EXCEPTION" and tables:
        return table_not_found(tables[0], ())
    if family in ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND"):
        missing = next((table for table in tables if table.name in found), tables[0] if tables else None)
        if missing is not None:
            return table_not_found(missing, [one.table for one in summaries(reader, places, None)])
    if family == "UNRESOLVED_COLUMN" and found:
        known = [one.name for table in tables for one in read_columns(reader, places, places.of(table))]
        return ConfigError(
            f"there is no column '{found[0]}' in what the query reads",
            code="column_not_found",
            field="sql",
            fix="describe the table to see its columns",
            did_you_mean=nearest(found[0], known),
        )
    return error
