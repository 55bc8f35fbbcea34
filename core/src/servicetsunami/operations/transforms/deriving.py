"""Writes what a query selects where the warehouse computes it, so that no row leaves it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

from servicetsunami.operations.answers.warehouses import LAYERS
from servicetsunami.operations.transforms.asking import Asker
from servicetsunami.operations.transforms.writing import Target
from servicetsunami.sdk import Commit, Derives, Json
from servicetsunami.sdk.sql import GuardedQuery, guard_databricks
from servicetsunami.sync.committing import commit_surely


@dataclass(frozen=True)
class Derivation:
    """A target in a warehouse that derives tables itself."""

    deriver: Derives
    target: Target
    asker: Asker

    def replace(self, sql: str, key: tuple[str, ...], verify: Callable[[], None], last: Commit) -> None:
        """Put the rows in the table's place."""
        self._write(sql, key, verify, last, gone=None, whole=True)

    def change(
        self, sql: str, key: tuple[str, ...], gone: str | None, verify: Callable[[], None], last: Commit
    ) -> None:
        """Merge the rows by key, and remove those whose keys `gone` selects."""
        self._write(sql, key, verify, last, gone=gone, whole=False)

    def _write(
        self, sql: str, key: tuple[str, ...], verify: Callable[[], None], last: Commit, *, gone: str | None, whole: bool
    ) -> None:
        query, removed = self._guarded(sql), self._guarded(gone) if gone is not None else None
        with closing(self.asker.stream(sql, 0)) as reader:
            load = self.target.load(reader.schema, key)
        verify()

        def act(seq: int, state: Json) -> None:
            mode = load if whole else replace(load, mode="merge")
            rows = self.deriver.derive(mode, query, seq, state, gone=removed)
            self.target.progress.rows_written = rows or 0

        commit_surely(self.target.sink, load, last, act, "replace" if whole else "commit")

    def _guarded(self, sql: str) -> GuardedQuery:
        return guard_databricks(sql, catalog=self.target.sink.catalog(), layers=LAYERS)
