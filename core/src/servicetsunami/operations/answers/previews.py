"""A look at a table's rows and at what its columns hold, computed by the warehouse within bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeVar

from servicetsunami.operations.models import Cell, ColumnProfile, ColumnView, TableDescription
from servicetsunami.operations.paging import shortened
from servicetsunami.operations.results import UNTRUSTED, rows_of, size_of
from servicetsunami.sdk import Cancelled, QueryLimits, TableName, TsunamiError, Warehouse
from servicetsunami.sdk.sql import guard_databricks, quote_identifier, quote_path

SAMPLE_ROWS = 20
PROFILED_ROWS = 100_000
PROFILED_COLUMNS = 50
LONGEST_CELL = 100
_SHORTEST_CELL = 10
_SAMPLE_CHARACTERS = 40_000
_WHOLE_NUMBERS = ("tinyint", "smallint", "int", "bigint")
_COMPARED = (*_WHOLE_NUMBERS, "float", "double", "decimal", "date", "timestamp", "timestamp_ntz", "boolean", "string")
T = TypeVar("T")
Rows = tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Preview:
    """A look at some columns of a table."""

    sample: Rows
    """Rows in the order of the columns asked for; long texts are cut."""
    profiles: Mapping[str, ColumnProfile] = field(default_factory=dict)
    profiled_rows: int | None = None
    notice: str = UNTRUSTED


@dataclass(frozen=True)
class Looking:
    """A warehouse, and the table in it to look at."""

    warehouse: Warehouse
    catalog: str
    table: TableName
    timeout_seconds: float

    def preview(self, columns: Sequence[ColumnView]) -> Preview:
        """Sample the columns and profile the first of them; what cannot be had is left out, and the notice says so."""
        notes: list[str] = []
        sample = _kept(notes, "no rows are shown", lambda: self._sample([column.name for column in columns]))
        named = [column for column in columns if _can_be_named(column.name)][:PROFILED_COLUMNS]
        found = _kept(notes, "no column is profiled", lambda: self._profiles(named)) if named else None
        profiled, profiles = found or (None, {})
        if profiled == PROFILED_ROWS:
            notes.append(f"Profiles are of {PROFILED_ROWS:,} rows, in no order.")
        if found and len(profiles) < len(columns):
            notes.append(f"Profiles are of the first {len(profiles)} columns here.")
        return Preview(sample or (), profiles, profiled, " ".join((*notes, UNTRUSTED)))

    def _sample(self, names: Sequence[str]) -> Rows:
        left = _SAMPLE_CHARACTERS
        longest = max(_SHORTEST_CELL, min(LONGEST_CELL, _SAMPLE_CHARACTERS // (3 * len(names))))
        sample: list[tuple[Cell, ...]] = []
        found_names, found = self._asked(["*"], SAMPLE_ROWS)
        places = [found_names.index(name) for name in names]
        for row in found:
            shown = tuple(_cut(row[place], longest) for place in places)
            left -= size_of(shown)
            if left < 0:
                break
            sample.append(shown)
        return tuple(sample)

    def _profiles(self, columns: Sequence[ColumnView]) -> tuple[int, Mapping[str, ColumnProfile]]:
        outputs = ["count(*)"]
        for column in columns:
            outputs.extend(_measures(column))
        names = ", ".join(_quoted(column.name) for column in columns)
        within = " ".join(("(SELECT", names, "FROM", self._name, "LIMIT", str(PROFILED_ROWS), ")"))
        _, ((rows, *values),) = self._asked(outputs, 1, within)
        return _whole(rows), _read_profiles(columns, _whole(rows), values)

    def _asked(self, outputs: Sequence[str], most: int, within: str = "") -> tuple[list[str], Rows]:
        # Every name in it is quoted, and the guard reads the whole before it runs.
        sql = " ".join(("SELECT", ", ".join(outputs), "FROM", within or self._name, "LIMIT", str(most)))
        query = guard_databricks(sql, catalog=self.catalog, layers=(self.table.layer,))
        limits = QueryLimits(most, timeout_seconds=self.timeout_seconds)
        with closing(self.warehouse.query(query, limits)) as reader:
            return list(reader.schema.names), tuple(rows_of(reader))

    @property
    def _name(self) -> str:
        return quote_path(self.table.layer, self.table.name, dialect="databricks")


def previewed(table: TableDescription, seen: Preview) -> TableDescription:
    """Return the description with what was seen of its columns."""
    columns = (column.model_copy(update={"profile": seen.profiles.get(column.name)}) for column in table.columns)
    return table.model_copy(
        update={
            "columns": tuple(columns),
            "sample": seen.sample,
            "profiled_rows": seen.profiled_rows,
            "notice": seen.notice,
        }
    )


def _kept(notes: list[str], without: str, look: Callable[[], T]) -> T | None:
    """Return what was found; None with a note if the warehouse could not tell."""
    try:
        return look()
    except Cancelled:
        raise
    except TsunamiError as error:
        notes.append(f"The warehouse could not tell ({error.problem().code}), so {without}.")
        return None


def _measures(column: ColumnView) -> Sequence[str]:
    name = _quoted(column.name)
    if not _is_compared(column):
        return [f"count({name})"]
    least, most = f"min({name})", f"max({name})"
    if column.type.casefold() == "string":
        least, most = f"left({least}, {LONGEST_CELL})", f"left({most}, {LONGEST_CELL})"
    return [f"count({name})", f"approx_count_distinct({name})", least, most]


def _read_profiles(columns: Sequence[ColumnView], rows: int, values: Sequence[Cell]) -> Mapping[str, ColumnProfile]:
    left = iter(values)
    profiles = {}
    for column in columns:
        nulls = rows - _whole(next(left))
        if _is_compared(column):
            distinct, least, most = _whole(next(left)), next(left), next(left)
            profiles[column.name] = ColumnProfile(nulls=nulls, distinct=distinct, minimum=least, maximum=most)
        else:
            profiles[column.name] = ColumnProfile(nulls=nulls)
    return profiles


def _is_compared(column: ColumnView) -> bool:
    return column.type.partition("(")[0].strip().casefold() in _COMPARED


def _can_be_named(name: str) -> bool:
    """Tell whether the guard would let the name through: it refuses what cannot be seen, and templates."""
    return name.isprintable() and not {"{", "\\"} & set(name)


def _quoted(name: str) -> str:
    return quote_identifier(name, "databricks")


def _whole(value: Cell) -> int:
    return int(value or 0)


def _cut(value: Cell, longest: int) -> Cell:
    return shortened(value, longest) if isinstance(value, str) else value
