"""Merge by key: rows that came replace those of the same key; of rows that came twice, the last one stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from servicetsunami.sdk.delta import Column
from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_sink_lakehouse.keyed import PLACE, KeyedChange, key_of, placed, same_key
from servicetsunami_sink_lakehouse.log import Change
from servicetsunami_sink_lakehouse.parts import Part
from servicetsunami_sink_lakehouse.scan import parquet, projection, sql
from servicetsunami_sink_lakehouse.snapshot import DataFile, Snapshot

if TYPE_CHECKING:
    import duckdb

_KEYS = "staged_keys"


class Merge(KeyedChange):
    """The merge of some staged parts into a table."""

    doing: ClassVar[str] = "merging rows by key"
    _replaced: tuple[Part, ...] = ()

    def _planned(self, database: duckdb.DuckDBPyConnection, snapshot: Snapshot, change: Change) -> Change:
        self._load_keys(database, change.columns)
        staged = self._without_repeats(database, change.columns)
        touched = self._with_small_ones(snapshot, self._touched(database, snapshot, change.columns, _KEYS))
        rewritten = self._rewritten(database, touched, change.columns)
        carried = sum(part.rows for part in rewritten)
        return replace(change, add=[*rewritten, *staged], remove=touched, carried_rows=carried)

    def _unneeded(self) -> Sequence[Part]:
        return self._replaced

    def _load_keys(self, database: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> None:
        """Make view `staged` and table `staged_keys`: each key once, with the place of its last row."""
        files = [part.path for part in self._parts]
        database.execute(sql("CREATE VIEW staged AS", placed(database, files, columns)))
        keys, last = key_of("staged", self._key), f"max({PLACE}) AS __ts_last"
        database.execute(sql("CREATE TABLE", _KEYS, "AS SELECT", f"{keys}, {last}", "FROM staged GROUP BY", keys))

    def _without_repeats(self, database: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> Sequence[Part]:
        """Return the staged parts, written anew if a key came twice."""
        query = "SELECT (SELECT count(*) FROM staged) - (SELECT count(*) FROM staged_keys)"
        ((repeats,),) = database.execute(query).fetchall()
        self._replaced = self._parts if repeats else ()
        if not repeats:
            return self._parts
        names = ", ".join(quote_identifier(column.name, "duckdb") for column in columns)
        last = sql("SELECT", names, "FROM staged SEMI JOIN", _KEYS, "ON", f"staged.{PLACE} = {_KEYS}.__ts_last")
        return self._write(database, [last], columns)

    def _rewritten(
        self, database: duckdb.DuckDBPyConnection, touched: Sequence[DataFile], columns: Sequence[Column]
    ) -> Sequence[Part]:
        """Write the rows of the touched files that stay into new ones."""
        if not touched:
            return ()
        files = [self._folder / file.name for file in touched]
        rows = sql("(SELECT", projection(database, files, columns), "FROM", parquet(files), ") AS kept")
        query = sql("SELECT kept.* FROM", rows, "ANTI JOIN", _KEYS, "ON", same_key("kept", _KEYS, self._key))
        return self._write(database, [query], columns)
