"""For sinks whose tables are Delta: which types they have, how rows come to have them, how columns may change.

Two sinks that use this agree on every table: what a column is called, what type it gets, when a schema is refused and
with which words. It imports Arrow, so import it when rows flow, not when a plugin is found.
"""

from __future__ import annotations

from servicetsunami.sdk.delta.batches import lowered
from servicetsunami.sdk.delta.changes import STAGED_OP, STAGED_UNCHANGED, landing, own_columns, row_of, with_changes
from servicetsunami.sdk.delta.columns import Column, arrow_schema, columns_of, evolved
from servicetsunami.sdk.delta.lowering import lower_array, lower_type
from servicetsunami.sdk.delta.refusals import check_key, table_not_found
from servicetsunami.sdk.delta.types import (
    DeltaType,
    decimal_of,
    delta_field,
    from_arrow,
    to_arrow,
    to_databricks,
    to_duckdb,
)
from servicetsunami.sdk.delta.widening import WidensError, unify

__all__ = [
    "STAGED_OP",
    "STAGED_UNCHANGED",
    "Column",
    "DeltaType",
    "WidensError",
    "arrow_schema",
    "check_key",
    "columns_of",
    "decimal_of",
    "delta_field",
    "evolved",
    "from_arrow",
    "landing",
    "lower_array",
    "lower_type",
    "lowered",
    "own_columns",
    "row_of",
    "table_not_found",
    "to_arrow",
    "to_databricks",
    "to_duckdb",
    "unify",
    "with_changes",
]
