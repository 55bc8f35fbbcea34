"""Rows on their way into one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from servicetsunami.sdk import Commit, ConfigError, Json, Load, Transaction, TsunamiError
from servicetsunami.sdk.delta import Column, evolved, landing, lowered, row_of, with_changes
from servicetsunami_sink_lakehouse import log
from servicetsunami_sink_lakehouse.applying import Apply
from servicetsunami_sink_lakehouse.failures import on_disk
from servicetsunami_sink_lakehouse.keyed import KeyedChange, delete
from servicetsunami_sink_lakehouse.merging import Merge
from servicetsunami_sink_lakehouse.parts import Part, PartsWriter
from servicetsunami_sink_lakehouse.snapshot import Snapshot, open_snapshot


class LakehouseTransaction(Transaction):
    """Stages Parquet files in the table's folder, where nobody sees them until the log names them.

    `frozen_to` is the table that a generation will replace, whose columns a frozen load must have.
    """

    def __init__(
        self, folder: Path, load: Load, *, cancelled: Callable[[], bool], frozen_to: Path | None = None
    ) -> None:
        self._folder = folder
        self._cancelled = cancelled
        self._load = load
        self._writer = PartsWriter(folder)
        self._columns = self._allowed(open_snapshot(folder), landing(load, load.schema))
        if frozen_to is not None and load.evolve == "freeze":
            self._allowed(open_snapshot(frozen_to), landing(load, load.schema))
        self._seen = load.schema
        self._closed = False

    def stage(self, batch: pa.RecordBatch) -> None:
        """Write the batch, in the types that the lakehouse has for it."""
        if self._closed:
            raise ConfigError("the transaction was aborted; begin another", code="transaction_closed")
        if not batch.schema.equals(self._seen):
            self._columns = evolved(self._columns, landing(self._load, batch.schema), self._load.evolve)
            self._seen = batch.schema
        with self._writing():
            rows = lowered(row_of(self._load, batch), self._columns)
            self._writer.write(with_changes(rows, batch) if self._load.mode == "apply" else rows)

    def commit(self, seq: int, state: Json) -> None:
        """Put the staged rows into the table, with `state`, unless the app has come so far before."""
        with self._writing():
            parts = self._writer.finish()
        try:
            done = self._append(parts, seq, state) if self._load.mode == "append" else self._keyed(parts, seq, state)
        except BaseException:
            self._delete_unless_named(parts)
            raise
        if not done:
            delete(parts)

    def abort(self) -> None:
        """Delete the staged files."""
        self._closed = True
        self._writer.discard()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Drop what was staged if it cannot be written: a file that failed cannot be gone on with."""
        try:
            with on_disk(f"writing rows of {self._load.table}"):
                yield
        except BaseException:
            self.abort()
            raise

    def _append(self, parts: Sequence[Part], seq: int, state: Json) -> bool:
        return log.commit(self._folder, self._load.app, Commit(seq, state), lambda now: self._change(now, parts))

    def _keyed(self, parts: Sequence[Part], seq: int, state: Json) -> bool:
        change, committed = self._by_key(parts), False
        last = Commit(seq, state)
        try:
            committed = log.commit(
                self._folder, self._load.app, last, lambda now: change.applied(now, self._change(now, parts))
            )
        except BaseException:
            self._delete_unless_named(change.written)
            raise
        change.finish(committed=committed)
        return committed

    def _delete_unless_named(self, parts: Sequence[Part]) -> None:
        """Delete files after an error, but none that the log names: an error may follow a commit that stands.

        Where that cannot be told they stay, until they are swept.
        """
        with suppress(TsunamiError):
            named = {file.name for file in open_snapshot(self._folder).files}
            delete([part for part in parts if part.name not in named])

    def _by_key(self, parts: Sequence[Part]) -> KeyedChange:
        if self._load.mode == "merge":
            return Merge(self._folder, self._load.key, parts, self._cancelled)
        return Apply(self._folder, self._load.key, parts, self._cancelled, soft=self._load.deletes == "soft")

    def _change(self, snapshot: Snapshot, parts: Sequence[Part]) -> log.Change:
        return log.Change(
            "WRITE" if self._load.mode == "append" else "MERGE",
            self._allowed(snapshot, self._columns),
            parts if self._load.mode != "apply" else (),
            comment=self._load.comment,
            key=self._load.key,
        )

    def _allowed(self, snapshot: Snapshot, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        return evolved(snapshot.columns, columns, self._load.evolve) if snapshot.exists else columns
