"""Writes what a query selects into a table, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from servicetsunami.operations.transforms.compiling import OP
from servicetsunami.sdk import Commit, Json, Load, Sink, TableName, Transaction
from servicetsunami.sync import Progress
from servicetsunami.sync.committing import commit_surely
from servicetsunami.sync.failpoints import reach

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Target:
    """A table to be written, and as whom."""

    sink: Sink[Any]
    table: TableName
    app: str
    comment: str
    run_id: str
    progress: Progress

    def committed(self) -> Commit:
        """Return the table's last commit by this app."""
        return self.sink.committed(self.load(_no_columns(), ()))

    def replace(
        self, reader: pa.RecordBatchReader, key: tuple[str, ...], verify: Callable[[], None], last: Commit
    ) -> None:
        """Put the rows in the table's place; `verify` raises, before anybody sees them, if they are not to count."""
        final = self.load(reader.schema, key)
        load = replace(final, generation=self.run_id)
        try:
            with self._begun(load) as transaction:
                for batch in self._counted(reader):
                    transaction.stage(batch)
                transaction.commit(1, {})
            verify()
            commit_surely(self.sink, final, last, partial(self.sink.replace, load), "replace")
        except BaseException:
            self.sink.discard(self.table, self.run_id)
            raise

    def change(
        self,
        reader: pa.RecordBatchReader,
        key: tuple[str, ...],
        gone: Callable[[], pa.RecordBatchReader] | None,
        verify: Callable[[], None],
        last: Commit,
    ) -> None:
        """Merge the rows by key, and remove those whose keys `gone` selects."""
        load = replace(self.load(reader.schema, key), mode="merge" if gone is None else "apply")
        with self._begun(load) as transaction:
            for batch in self._counted(reader):
                transaction.stage(batch if gone is None else _as(batch, "u"))
            if gone is not None:
                with closing(gone()) as removed:
                    for batch in removed:
                        transaction.stage(_as(batch, "d"))
            verify()
            commit_surely(self.sink, load, last, transaction.commit)

    def load(self, schema: pa.Schema, key: tuple[str, ...]) -> Load:
        """Describe what is written: rows of a schema, with a key."""
        return Load(self.table, schema, app=self.app, key=key, comment=self.comment)

    @contextmanager
    def _begun(self, load: Load) -> Iterator[Transaction]:
        transaction = self.sink.begin(load)
        try:
            yield transaction
        finally:
            transaction.abort()

    def _counted(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        for batch in reader:
            self.progress.rows_written += batch.num_rows
            yield batch
            reach("after_first_batch")


def last_commit(before: Commit, state: Json) -> Commit:
    """Return the commit that follows."""
    return Commit(before.seq + 1, state)


def _as(batch: pa.RecordBatch, op: str) -> pa.RecordBatch:
    import pyarrow as pa

    return batch.append_column(OP, pa.repeat(op, batch.num_rows))


def _no_columns() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([])
