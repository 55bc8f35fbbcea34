"""Completes updates that do not repeat every column: each value from the last change that brought it, or the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from servicetsunami.sdk.delta import STAGED_OP, STAGED_UNCHANGED, Column
from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_sink_lakehouse.keyed import PLACE, key_of, same_key
from servicetsunami_sink_lakehouse.scan import sql, text_literal

if TYPE_CHECKING:
    import duckdb

STAGED = "staged"
"""View of all changes, with their place."""
CHANGED = "changed"
"""Table of the keys that changed, with the place of the row each is left with."""
_PATCHES = "patches"
_HELD_AT = "held_at"


class Patches:
    """The rows whose last change names unchanged columns; `marks` are expressions that take a column's place."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        columns: Sequence[Column],
        key: Sequence[str],
        marks: Mapping[str, str],
    ) -> None:
        self._database = database
        self._columns = columns
        self._key = key
        self._marks = marks

        self._spellings = self._named()

    def is_partial(self, alias: str) -> str:
        """Write that a change in a query leaves out a column."""
        return _names_any(alias, [name for names in self._spellings.values() for name in names])

    def queries(self, held: str) -> list[str]:
        """Write the query for these rows, none if there are none; `held` is one for the rows of the table."""
        if not self._spellings:
            return []
        self._load_patches()
        joins = [
            f"LEFT JOIN {STAGED} AS from_{index} ON from_{index}.{PLACE} = {_PATCHES}.__ts_from_{index}"
            for index in range(len(self._spellings))
        ]
        if held:
            self._load_held(held)
            joins.append(f"LEFT JOIN {_HELD_AT} ON {same_key(_PATCHES, _HELD_AT, self._key)}")
            joins.append(sql("LEFT JOIN (", held, f") AS held ON held.{PLACE} = {_HELD_AT}.__ts_held"))
        wanted = values(self._columns, "whole", {**self._pieces(held=bool(held)), **self._marks})
        base = f"{_PATCHES} JOIN {STAGED} AS whole ON whole.{PLACE} = {_PATCHES}.__ts_row"
        return [sql("SELECT", wanted, "FROM", base, *joins)]

    def _named(self) -> dict[str, list[str]]:
        """Return the columns that some change does not repeat, each with the names it is called by."""
        query = sql("SELECT DISTINCT unnest(", STAGED_UNCHANGED, ") FROM", STAGED)
        fixed = {name.casefold() for name in (*self._key, *self._marks)}
        found: dict[str, list[str]] = {column.name.casefold(): [] for column in self._columns}
        for (name,) in self._database.execute(query).fetchall():
            found.get(str(name).casefold(), []).append(str(name))
        return {name: names for name, names in found.items() if names and name not in fixed}

    def _load_patches(self) -> None:
        """Make table `patches`: for each such row and column, the place of the value; none from before a delete."""
        partial = f"whole.{PLACE} = {CHANGED}.__ts_row AND {self.is_partial('whole')}"
        rows = sql("SELECT", f"{CHANGED}.*", "FROM", CHANGED, "JOIN", STAGED, "AS whole ON", partial)
        since = f"max({PLACE}) FILTER ({STAGED_OP} IN ('c', 'd')) AS __ts_since"
        last = [f"{_last_bringing(names)} AS __ts_from_{at}" for at, names in enumerate(self._spellings.values())]
        keys = f"{key_of('partial', self._key)}, __ts_row, __ts_dead, __ts_gone"
        known = sql(
            *("SELECT", ", ".join((keys, since, *last)), "FROM", STAGED, "JOIN (", rows, ") AS partial ON"),
            *(same_key(STAGED, "partial", self._key), f"AND {PLACE} <= __ts_row GROUP BY", keys),
        )
        valid = ", ".join(
            f"CASE WHEN {name} >= coalesce(__ts_since, 0) THEN {name} END AS {name}"
            for name in (f"__ts_from_{index}" for index in range(len(self._spellings)))
        )
        self._database.execute(sql("CREATE TABLE", _PATCHES, "AS SELECT * REPLACE (", valid, ") FROM (", known, ")"))

    def _load_held(self, held: str) -> None:
        """Make table `held_at`: where the table holds a row that gives what the changes do not."""
        keys = key_of("held", self._key)
        matching = f"{same_key('held', _PATCHES, self._key)} AND {_PATCHES}.__ts_since IS NULL"
        rows = sql("SELECT", keys, f", max({PLACE}) AS __ts_held", "FROM (", held, ") AS held SEMI JOIN", _PATCHES)
        self._database.execute(sql("CREATE TABLE", _HELD_AT, "AS", rows, "ON", matching, "GROUP BY", keys))

    def _pieces(self, *, held: bool) -> dict[str, str]:
        quoted = [(index, name, quote_identifier(name, "duckdb")) for index, name in enumerate(self._spellings)]
        return {
            name: f"CASE WHEN __ts_from_{index} IS NOT NULL THEN from_{index}.{column} "
            f"ELSE {f'held.{column}' if held else 'NULL'} END"
            for index, name, column in quoted
        }


def values(columns: Sequence[Column], alias: str, instead: Mapping[str, str] | None = None) -> str:
    """Write all columns of `alias`, some of them as another expression."""
    named = [(column.name.casefold(), quote_identifier(column.name, "duckdb")) for column in columns]
    return ", ".join(f"{(instead or {}).get(name, f'{alias}.{column}')} AS {column}" for name, column in named)


def _last_bringing(names: Sequence[str]) -> str:
    return f"max({PLACE}) FILTER ({STAGED_OP} <> 'd' AND NOT {_names_any(STAGED, names)})"


def _names_any(alias: str, names: Sequence[str]) -> str:
    listed = ", ".join(text_literal(name) for name in names)
    return f"coalesce(list_has_any({alias}.{STAGED_UNCHANGED}, [{listed}]::VARCHAR[]), false)"
