"""Analyses a table: its profile, its keys, and where it leads; kept until the table has another version."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from servicetsunami.assistant.asking import TableAsker
from servicetsunami.assistant.joining import joins
from servicetsunami.assistant.models import SchemaAnalysis
from servicetsunami.assistant.profiling import PROFILED_COLUMNS, PROFILED_ROWS, SAMPLED_ROWS, Profile, profile
from servicetsunami.operations.answers.warehouses import with_warehouse
from servicetsunami.sdk import NotFound, Sink, TableDetails, TableName, Warehouse

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_OTHERS = 20
"""Other tables that joins are looked for in."""
_KEPT = 64
"""Profiles that a process keeps."""
Key = tuple[str, str, int]
_PROFILES: WeakKeyDictionary[Any, OrderedDict[Key, Profile]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Studied:
    """A table with its profile."""

    details: TableDetails
    profile: Profile
    left_out: int
    """Columns that were not profiled, but for those of ours, which begin with _."""


async def analyze_schema(app: App, caller: Caller, table: str) -> SchemaAnalysis:
    """Return the evidence about one table; raises `NotFound` with near names."""

    def work(sink: Sink[Any], warehouse: Warehouse) -> SchemaAnalysis:
        studied = study(app, sink, warehouse, table)
        return _told(studied, sink.catalog(), joins(studied.details, _others(warehouse, studied.details)))

    return await with_warehouse(app, caller, work)


def study(app: App, sink: Sink[Any], warehouse: Warehouse, table: str) -> Studied:
    """Describe and profile a table; a profile of the same version is taken from memory."""
    name = TableName.parse(table.removeprefix(f"{sink.catalog()}."))
    details = warehouse.describe(name)
    told = [column for column in details.columns if not column.name.startswith("_")]
    named = [column for column in told if _can_be_named(column.name)][:PROFILED_COLUMNS]
    kept = _PROFILES.setdefault(app, OrderedDict())
    key = (sink.catalog(), str(name), details.version)
    found = kept.get(key) if details.summary.kind == "table" else None
    if found is None:
        asker = TableAsker(warehouse, sink.catalog(), name, app.settings.query_timeout_seconds)
        found = kept[key] = profile(asker, named)
        while len(kept) > _KEPT:
            kept.popitem(last=False)
    return Studied(details, found, len(told) - len(named))


def _others(warehouse: Warehouse, table: TableDetails) -> list[TableDetails]:
    """Describe other tables of the same layer first, then of the rest."""
    mine = table.summary.table
    names = [one.table for one in warehouse.tables() if one.table != mine]
    nearest_first = sorted(names, key=lambda name: (name.layer != mine.layer, name))[:_OTHERS]
    found = []
    for name in nearest_first:
        with suppress(NotFound):  # it was dropped a moment ago
            found.append(warehouse.describe(name))
    return found


def _told(studied: Studied, catalog: str, hints: Sequence[Any]) -> SchemaAnalysis:
    details, measured = studied.details, studied.profile
    return SchemaAnalysis(
        table=f"{catalog}.{details.summary.table}",
        rows=details.summary.rows if details.summary.rows is not None else measured.rows,
        profiled_rows=measured.rows,
        version=details.version,
        updated_at=details.summary.updated_at,
        key=details.key,
        candidate_keys=_candidates(measured),
        columns=measured.columns,
        joins=tuple(hints),
        notes=tuple(_notes(studied)),
    )


def _candidates(measured: Profile) -> tuple[str, ...]:
    """Return the columns whose values all seem to differ: counts of distinct values are near, not exact."""
    rows = measured.rows
    return tuple(
        one.name
        for one in measured.columns
        if rows > 1
        and not one.nulls
        and (one.distinct or 0) >= rows * 0.97
        and not one.type.casefold().startswith(("double", "float", "decimal", "timestamp", "boolean"))
    )


def _notes(studied: Studied) -> list[str]:
    notes = []
    if studied.left_out:
        notes.append(f"{studied.left_out} columns are not profiled; describe_table lists them.")
    if studied.profile.rows >= PROFILED_ROWS:
        notes.append(f"Counts are of {PROFILED_ROWS:,} rows, in no order.")
    if studied.profile.rows > SAMPLED_ROWS:
        notes.append(f"What texts look like, and frequent values, are of {SAMPLED_ROWS:,} rows.")
    if any(column.personal for column in studied.profile.columns):
        notes.append("Values of columns that seem to hold personal data are not shown.")
    return notes


def _can_be_named(name: str) -> bool:
    """Tell whether the guard would let the name through: it refuses what cannot be seen, and templates."""
    return name.isprintable() and not {"{", "\\"} & set(name)
