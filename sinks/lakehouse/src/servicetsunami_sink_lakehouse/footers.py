"""The statistics of a Parquet file, in the JSON of the Delta log (protocol section "Per-file Statistics")."""

from __future__ import annotations

import json
import math
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_LONGEST_TEXT = 64
# A reader that takes decimals for doubles could skip a file by a rounded bound, so longer ones get none.
_EXACT_DIGITS = 15


def statistics_of(footer: pq.FileMetaData, schema: pa.Schema) -> str:
    """Return row count, and per top-level column the bounds and the number of nulls, as far as the footer has them."""
    lowest: dict[str, Any] = {}
    highest: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for position, name in _leaves(footer, schema).items():
        groups = [footer.row_group(group).column(position).statistics for group in range(footer.num_row_groups)]
        if any(group is None for group in groups):
            continue
        if all(group.has_null_count for group in groups):
            nulls[name] = sum(group.null_count for group in groups)
        _bound(name, groups, lowest, highest)
    stats = {"numRecords": footer.num_rows, "minValues": lowest, "maxValues": highest, "nullCount": nulls}
    return json.dumps(stats, separators=(",", ":"))


def _leaves(footer: pq.FileMetaData, schema: pa.Schema) -> dict[int, str]:
    """Map the position of each column that is not nested to its name."""
    flat = {field.name for field in schema if _has_bounds(field.type)}
    leaves = ((position, footer.schema.column(position)) for position in range(footer.num_columns))
    return {position: leaf.path for position, leaf in leaves if leaf.path in flat and leaf.max_definition_level <= 1}


def _has_bounds(kind: pa.DataType) -> bool:
    if pa.types.is_decimal(kind):
        return bool(kind.precision <= _EXACT_DIGITS)
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_boolean(kind))


def _bound(name: str, groups: list[Any], lowest: dict[str, Any], highest: dict[str, Any]) -> None:
    bounded = [group for group in groups if group.has_min_max]
    all_null = [group for group in groups if not group.has_min_max and group.num_values == 0]
    if not bounded or len(bounded) + len(all_null) < len(groups):
        return
    low, high = _written(min(group.min for group in bounded)), _written(max(group.max for group in bounded))
    if low is not None and high is not None:
        lowest[name], highest[name] = low, high


def _written(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else None
    if isinstance(value, datetime):
        return f"{value.replace(tzinfo=None).isoformat(timespec='microseconds')}{'Z' if value.tzinfo else ''}"
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, int) else float(value)
