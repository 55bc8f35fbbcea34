"""Applies changes: rows created, updated, deleted, in the order in which they were staged.

A row that is there in the end is found by place: where its last change that is no delete lies (`__ts_row`) and, for
columns which that change does not repeat, where the last change lies that does (see `patching`). Only keys and places
are grouped, never values, so that memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from servicetsunami.sdk import DELETED_AT
from servicetsunami.sdk.delta import STAGED_OP, STAGED_UNCHANGED, Column
from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_sink_lakehouse.keyed import PLACE, KeyedChange, key_of, placed, same_key
from servicetsunami_sink_lakehouse.log import Change
from servicetsunami_sink_lakehouse.parts import Part
from servicetsunami_sink_lakehouse.patching import CHANGED, STAGED, Patches, values
from servicetsunami_sink_lakehouse.scan import sql, text_literal
from servicetsunami_sink_lakehouse.snapshot import DataFile, Snapshot

if TYPE_CHECKING:
    import duckdb

_SYNCED_AT = "_synced_at"
_TIMES = ("timestamp", "timestamp_ntz")
_DELETED = quote_identifier(DELETED_AT, "duckdb")


class Apply(KeyedChange):
    """The changes in some staged parts, for a table; with `soft`, rows deleted are kept and marked."""

    doing: ClassVar[str] = "applying changes by key"

    def __init__(
        self,
        folder: Path,
        key: Sequence[str],
        parts: Sequence[Part],
        cancelled: Callable[[], bool],
        *,
        soft: bool,
    ) -> None:
        super().__init__(folder, key, parts, cancelled)
        self._soft = soft

    def _planned(self, database: duckdb.DuckDBPyConnection, snapshot: Snapshot, change: Change) -> Change:
        columns = change.columns
        emptied_at = self._load_changes(database, columns)
        hit = snapshot.files if emptied_at else self._touched(database, snapshot, columns, CHANGED)
        touched = self._with_small_ones(snapshot, hit)
        files = [self._folder / file.name for file in touched]
        staying = [self._staying(database, files, columns, emptied_at)] if self._stays(touched, emptied_at) else []
        arriving = self._arriving(database, [] if emptied_at else files, columns)
        written = self._write(database, [*staying, *arriving], columns)
        ((arrived,),) = database.execute(sql("SELECT count(__ts_row) FROM", CHANGED)).fetchall()
        carried = sum(part.rows for part in written) - arrived
        return replace(change, add=written, remove=touched, carried_rows=carried)

    def _unneeded(self) -> Sequence[Part]:
        return self._parts

    def _stays(self, touched: Sequence[DataFile], emptied_at: str) -> bool:
        return bool(touched) and (self._soft or not emptied_at)

    def _load_changes(self, database: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> str:
        """Make view `staged`, all after the table was emptied last, and table `changed`: what became of each key.

        Returns when the table was emptied, as a literal; "" if it was not.
        """
        files = [part.path for part in self._parts]
        rows = placed(database, files, columns, STAGED_OP, STAGED_UNCHANGED, f"{_moment(columns)} AS __ts_when")
        database.execute(sql("CREATE VIEW arrived AS", rows))
        emptied = f"max({PLACE}), CAST(arg_max(__ts_when, {PLACE}) AS VARCHAR)"
        query = sql("SELECT", emptied, "FROM arrived WHERE", f"{STAGED_OP} = 't'")
        ((place, moment),) = database.execute(query).fetchall()
        after = f"{STAGED_OP} <> 't' AND {PLACE} > {-1 if place is None else int(place)}"
        database.execute(sql("CREATE VIEW", STAGED, "AS SELECT * FROM arrived WHERE", after))
        keys = key_of(STAGED, self._key)
        database.execute(
            sql("CREATE TABLE", CHANGED, "AS SELECT", keys, ",", self._fate(), "FROM", STAGED, "GROUP BY", keys)
        )
        return f"TIMESTAMPTZ {text_literal(moment)}" if place is not None else ""

    def _fate(self) -> str:
        """Write what is kept of each key: place of its last row, null if none is left; place and time of its delete."""
        row, dead = (f"max({PLACE}) FILTER ({STAGED_OP} {test} 'd')" for test in ("<>", "="))
        gone = f"arg_max(__ts_when, {PLACE}) FILTER ({STAGED_OP} = 'd')"
        left = row if self._soft else f"CASE WHEN coalesce({row} > {dead}, true) THEN {row} END"
        return f"{left} AS __ts_row, {dead} AS __ts_dead, {gone} AS __ts_gone"

    def _staying(
        self,
        database: duckdb.DuckDBPyConnection,
        files: Sequence[Path],
        columns: Sequence[Column],
        emptied_at: str,
    ) -> str:
        """Write the query for the rows of these files that no row replaces, marked where they were deleted softly."""
        kept = sql("(", placed(database, files, columns), ") AS kept")
        if not self._soft:
            wanted = values(columns, "kept")
            return sql("SELECT", wanted, "FROM", kept, "ANTI JOIN", CHANGED, "ON", same_key("kept", CHANGED, self._key))
        # Two joins, so that the one with the most rows holds keys only.
        keys = key_of(CHANGED, self._key)
        replaced = sql("(SELECT", keys, "FROM", CHANGED, "WHERE __ts_row IS NOT NULL) AS replaced")
        dead = sql("(SELECT", keys, ", __ts_gone FROM", CHANGED, "WHERE __ts_row IS NULL) AS dead")
        marked = f"coalesce(dead.__ts_gone, kept.{_DELETED}, {emptied_at or 'NULL'})"
        return sql(
            *("SELECT", values(columns, "kept", {DELETED_AT: marked}), "FROM", kept),
            *("ANTI JOIN", replaced, "ON", same_key("kept", "replaced", self._key)),
            *("LEFT JOIN", dead, "ON", same_key("kept", "dead", self._key)),
        )

    def _arriving(
        self, database: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: Sequence[Column]
    ) -> list[str]:
        """Write the queries for the rows that changes leave; `files` hold what they do not repeat."""
        marks = {DELETED_AT: "CASE WHEN __ts_dead > __ts_row THEN __ts_gone END"} if self._soft else {}
        held = placed(database, files, columns) if files else ""
        patches = Patches(database, columns, self._key, marks)
        matching = f"{STAGED}.{PLACE} = {CHANGED}.__ts_row"
        whole = sql(
            *("SELECT", values(columns, STAGED, marks), "FROM", STAGED, "JOIN", CHANGED, "ON", matching),
            *("WHERE NOT", patches.is_partial(STAGED)),
        )
        return [whole, *patches.queries(held)]


def _moment(columns: Sequence[Column]) -> str:
    """Write when a change was synced: its `_synced_at`, else now."""
    now = f"TIMESTAMPTZ {text_literal(datetime.now(UTC).isoformat())}"
    told = [column for column in columns if column.name.casefold() == _SYNCED_AT and column.type in _TIMES]
    if not told:
        return now
    return f"coalesce(CAST({quote_identifier(told[0].name, 'duckdb')} AS TIMESTAMPTZ), {now})"
