"""Merge by key: rows that came replace those of the same key; of rows that came twice, the last one stays.

Only files whose statistics allow a matching key are looked at, only those that hold one are written anew, and what is
removed and added lands in one commit. Keys are compared null-safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_sink_lakehouse.columns import Column, arrow_schema
from servicetsunami_sink_lakehouse.failures import on_disk
from servicetsunami_sink_lakehouse.log import Change
from servicetsunami_sink_lakehouse.parts import Part, PartsWriter
from servicetsunami_sink_lakehouse.scan import parquet, projection, sql, text_literal
from servicetsunami_sink_lakehouse.scratch import scratch_database
from servicetsunami_sink_lakehouse.snapshot import DataFile, Snapshot

if TYPE_CHECKING:
    import duckdb

Bounds: TypeAlias = dict[str, tuple[Any, Any]]

_BATCH_ROWS = 65_536
_ROW_BITS = 40


class Merge:
    """The merge of some staged parts into a table. `applied` may be called again when another writer came first."""

    def __init__(self, folder: Path, key: Sequence[str], parts: Sequence[Part]) -> None:
        self._folder = folder
        self._key = tuple(quote_identifier(name, "duckdb") for name in key)
        self._names = tuple(key)
        self._parts = tuple(parts)
        self._written: list[Part] = []
        self._replaced: tuple[Part, ...] = ()

    def applied(self, snapshot: Snapshot, change: Change) -> Change:
        """Return `change` with the files to add and to remove for a merge into `snapshot`."""
        self._delete_written()
        if not self._parts:
            return change
        with on_disk("merging rows by key"), scratch_database(self._folder / "_spill") as database:
            bounds = self._load_keys(database, change.columns)
            staged = self._without_repeats(database, change.columns)
            touched = self._touched(database, snapshot, change.columns, bounds)
            rewritten = self._rewritten(database, touched, change.columns)
        carried = sum(part.rows for part in rewritten)
        return replace(change, add=[*rewritten, *staged], remove=touched, carried_rows=carried)

    def finish(self, *, committed: bool) -> None:
        """Delete the files that no commit names."""
        if committed:
            _delete(self._replaced)
        else:
            self._delete_written()

    def _load_keys(self, database: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> Bounds:
        """Make view `staged` and table `staged_keys`: each key once, with the place of its last row."""
        files = [part.path for part in self._parts]
        parts = ", ".join(f"{text_literal(str(file))}: {index}" for index, file in enumerate(files))
        place = f"(MAP {{{parts}}}[filename]::BIGINT << {_ROW_BITS}) + file_row_number AS _place"
        source = parquet(files, "filename = true", "file_row_number = true")
        wanted = f"{projection(database, files, columns)}, {place}"
        database.execute(sql("CREATE VIEW staged AS SELECT", wanted, "FROM", source))
        keys = ", ".join(self._key)
        database.execute(
            sql("CREATE TABLE staged_keys AS SELECT", keys, ", max(_place) AS _last FROM staged GROUP BY", keys)
        )
        return self._bounds(database)

    def _bounds(self, database: duckdb.DuckDBPyConnection) -> Bounds:
        """Return the least and the greatest key, for the columns in which every key has a value."""
        found: Bounds = {}
        for name, quoted in zip(self._names, self._key, strict=True):
            wanted = f"min({quoted}), max({quoted}), count(*) - count({quoted})"
            query = sql("SELECT", wanted, "FROM staged_keys")
            ((lowest, highest, nulls),) = database.execute(query).fetchall()
            if not nulls and not isinstance(lowest, float):  # NaN lies outside of every bound
                found[name.casefold()] = (lowest, highest)
        return found

    def _without_repeats(self, database: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> Sequence[Part]:
        """Return the staged parts, written anew if a key came twice."""
        query = "SELECT (SELECT count(*) FROM staged) - (SELECT count(*) FROM staged_keys)"
        ((repeats,),) = database.execute(query).fetchall()
        self._replaced = self._parts if repeats else ()
        if not repeats:
            return self._parts
        names = ", ".join(quote_identifier(column.name, "duckdb") for column in columns)
        last = sql("SELECT", names, "FROM staged SEMI JOIN staged_keys ON staged._place = staged_keys._last")
        return self._write(database, last, columns)

    def _touched(
        self, database: duckdb.DuckDBPyConnection, snapshot: Snapshot, columns: Sequence[Column], bounds: Bounds
    ) -> list[DataFile]:
        """Return the files of the table that hold a key that came."""
        likely = [file for file in snapshot.files if _may_hold(file, bounds)]
        if not likely:
            return []
        files = [snapshot.folder / file.name for file in likely]
        wanted = f"{projection(database, files, columns)}, filename AS _file"
        rows = sql("(SELECT", wanted, "FROM", parquet(files, "filename = true"), ") AS kept")
        query = sql("SELECT DISTINCT _file FROM", rows, "SEMI JOIN staged_keys ON", self._same_key("kept"))
        hit = {Path(name).name for (name,) in database.execute(query).fetchall()}
        return [file for file in likely if file.name in hit]

    def _rewritten(
        self, database: duckdb.DuckDBPyConnection, touched: Sequence[DataFile], columns: Sequence[Column]
    ) -> Sequence[Part]:
        """Write the rows of the touched files that stay into new ones."""
        if not touched:
            return ()
        files = [self._folder / file.name for file in touched]
        rows = sql("(SELECT", projection(database, files, columns), "FROM", parquet(files), ") AS kept")
        query = sql("SELECT kept.* FROM", rows, "ANTI JOIN staged_keys ON", self._same_key("kept"))
        return self._write(database, query, columns)

    def _same_key(self, alias: str) -> str:
        return " AND ".join(f"{alias}.{name} IS NOT DISTINCT FROM staged_keys.{name}" for name in self._key)

    def _write(self, database: duckdb.DuckDBPyConnection, query: str, columns: Sequence[Column]) -> Sequence[Part]:
        schema, writer = arrow_schema(columns), PartsWriter(self._folder)
        try:
            for batch in database.sql(query).to_arrow_reader(_BATCH_ROWS):
                writer.write(batch.cast(schema))
            parts = writer.finish()
        except BaseException:
            writer.discard()
            raise
        self._written += parts
        return parts

    def _delete_written(self) -> None:
        _delete(self._written)
        self._written = []


def _may_hold(file: DataFile, bounds: Bounds) -> bool:
    """Tell whether the file's statistics leave room for a key within the bounds."""
    lowest = {name.casefold(): value for name, value in file.lowest.items()}
    highest = {name.casefold(): value for name, value in file.highest.items()}
    return all(
        low is None
        or lowest.get(name) is None
        or highest.get(name) is None
        or _overlap((low, high), (lowest[name], highest[name]))
        for name, (low, high) in bounds.items()
    )


def _overlap(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    try:
        return bool(one[0] <= other[1] and other[0] <= one[1])
    except TypeError:  # a type that changed: look into the file
        return True


def _delete(parts: Sequence[Part]) -> None:
    for part in parts:
        part.path.unlink(missing_ok=True)
