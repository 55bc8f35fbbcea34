"""What merging and applying share: finding the files of a table that hold given keys, and writing their rows anew.

Only files whose statistics allow one of the keys are looked at, only those that hold one are written anew, and what is
removed and added lands in one commit. Keys are compared null-safe. Everything runs in DuckDB, which spills.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from servicetsunami.sdk.delta import Column, arrow_schema
from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_sink_lakehouse.failures import on_disk
from servicetsunami_sink_lakehouse.log import Change
from servicetsunami_sink_lakehouse.parts import Part, PartsWriter
from servicetsunami_sink_lakehouse.scan import parquet, projection, sql, text_literal
from servicetsunami_sink_lakehouse.scratch import interruptible, scratch_database
from servicetsunami_sink_lakehouse.snapshot import DataFile, Snapshot

if TYPE_CHECKING:
    import duckdb

Bounds: TypeAlias = dict[str, tuple[Any, Any]]

PLACE = "__ts_place"
"""Where a row lies: the number of its file and its row there, in one whole number; names of ours begin with `__ts_`."""
_BATCH_ROWS = 65_536
_ROW_BITS = 40
_MANY_SMALL = 200
_SMALL_BYTES = 16 * 1024**2
_FOLDED_BYTES = 256 * 1024**2


class KeyedChange(ABC):
    """A change by key of staged parts to a table. `applied` may be called again when another writer came first."""

    doing: ClassVar[str]
    """What it does, for the message of an error."""

    def __init__(self, folder: Path, key: Sequence[str], parts: Sequence[Part], cancelled: Callable[[], bool]) -> None:
        self._folder = folder
        self._cancelled = cancelled
        self._wanted_key = tuple(key)
        self._key: tuple[str, ...] = ()
        self._parts = tuple(parts)
        self.written: list[Part] = []
        """What it wrote so far, for whoever has to clear up after an error."""

    def applied(self, snapshot: Snapshot, change: Change) -> Change:
        """Return `change` with the files to add and to remove for a change of `snapshot`."""
        self._delete_written()
        if not self._parts:
            return change
        names = {column.name.casefold(): column.name for column in change.columns}
        self._key = tuple(names[name.casefold()] for name in self._wanted_key)
        with (
            on_disk(self.doing),
            scratch_database(self._folder / "_spill") as database,
            interruptible(database, self._cancelled),
        ):
            return self._planned(database, snapshot, change)

    def finish(self, *, committed: bool) -> None:
        """Delete the files that no commit names."""
        if committed:
            delete(self._unneeded())
        else:
            self._delete_written()

    @abstractmethod
    def _planned(self, database: duckdb.DuckDBPyConnection, snapshot: Snapshot, change: Change) -> Change:
        """Write the files that take the place of others and say so."""

    @abstractmethod
    def _unneeded(self) -> Sequence[Part]:
        """Return the staged parts that did not become files of the table."""

    def _bounds(self, database: duckdb.DuckDBPyConnection, keys: str) -> Bounds:
        """Return the least and the greatest key in table `keys`, for the columns in which every key has a value."""
        found: Bounds = {}
        for name in self._key:
            quoted = quote_identifier(name, "duckdb")
            wanted = f"min({quoted}), max({quoted}), count(*) - count({quoted})"
            ((lowest, highest, nulls),) = database.execute(sql("SELECT", wanted, "FROM", keys)).fetchall()
            if not nulls and not isinstance(lowest, float):  # NaN lies outside of every bound
                found[name.casefold()] = (lowest, highest)
        return found

    def _touched(
        self, database: duckdb.DuckDBPyConnection, snapshot: Snapshot, columns: Sequence[Column], keys: str
    ) -> list[DataFile]:
        """Return the files of the table that hold a key that table `keys` has."""
        bounds = self._bounds(database, keys)
        likely = [file for file in snapshot.files if _may_hold(file, bounds)]
        if not likely:
            return []
        files = [snapshot.folder / file.name for file in likely]
        wanted = f"{projection(database, files, columns)}, filename AS __ts_file"
        rows = sql("(SELECT", wanted, "FROM", parquet(files, "filename = true"), ") AS kept")
        query = sql("SELECT DISTINCT __ts_file FROM", rows, "SEMI JOIN", keys, "ON", same_key("kept", keys, self._key))
        hit = {Path(name).name for (name,) in database.execute(query).fetchall()}
        return [file for file in likely if file.name in hit]

    @staticmethod
    def _with_small_ones(snapshot: Snapshot, touched: Sequence[DataFile]) -> list[DataFile]:
        """Return the touched files and, of a table that has very many small ones, some of those to fold together."""
        names, room, more = {file.name for file in touched}, _FOLDED_BYTES, []
        small = [file for file in snapshot.files if file.size_bytes < _SMALL_BYTES]
        for file in small if len(small) > _MANY_SMALL else ():
            room -= file.size_bytes
            if file.name not in names and room >= 0:
                more.append(file)
        return [*touched, *more]

    def _write(
        self, database: duckdb.DuckDBPyConnection, queries: Iterable[str], columns: Sequence[Column]
    ) -> Sequence[Part]:
        """Write the rows of the queries, one after the other, into new files."""
        schema, writer = arrow_schema(columns), PartsWriter(self._folder)
        try:
            for query in queries:
                for batch in database.sql(query).to_arrow_reader(_BATCH_ROWS):
                    writer.write(batch.cast(schema))
            parts = writer.finish()
        except BaseException:
            writer.discard()
            raise
        self.written += parts
        return parts

    def _delete_written(self) -> None:
        delete(self.written)
        self.written = []


def key_of(alias: str, key: Sequence[str]) -> str:
    """Write the key's columns of one table in a query."""
    return ", ".join(f"{alias}.{quote_identifier(name, 'duckdb')}" for name in key)


def same_key(alias: str, other: str, key: Sequence[str]) -> str:
    """Write that two tables in a query have the same key."""
    quoted = [quote_identifier(name, "duckdb") for name in key]
    return " AND ".join(f"{alias}.{name} IS NOT DISTINCT FROM {other}.{name}" for name in quoted)


def placed(database: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: Sequence[Column], *more: str) -> str:
    """Write the query for the rows of some files, `more` of their columns, and the place of each row."""
    parts = ", ".join(f"{text_literal(str(file))}: {index}" for index, file in enumerate(files))
    place = f"(MAP {{{parts}}}[filename]::BIGINT << {_ROW_BITS}) + file_row_number AS {PLACE}"
    wanted = ", ".join((projection(database, files, columns), *more, place))
    return sql("SELECT", wanted, "FROM", parquet(files, "filename = true", "file_row_number = true"))


def delete(parts: Sequence[Part]) -> None:
    """Delete the files of some parts."""
    for part in parts:
        part.path.unlink(missing_ok=True)


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
