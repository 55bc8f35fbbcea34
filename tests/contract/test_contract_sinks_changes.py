"""The sink contract's checks of changes pass a good sink; each broken one fails the one it must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from servicetsunami.sdk import (
    DELETED_AT,
    OP,
    UNCHANGED,
    Commit,
    Config,
    DataError,
    Json,
    Load,
    NotFound,
    Sink,
    TableName,
    Transaction,
)
from servicetsunami.sdk.testing import SinkContract, SinkProbe, failing_checks

Row = dict[str, Any]
Key = tuple[Any, ...]
MARKS = (OP, UNCHANGED)


@dataclass
class Stored:
    schema: pa.Schema
    rows: list[Row] = field(default_factory=list)
    commits: dict[str, Commit] = field(default_factory=dict)


class LedgerConfig(Config):
    place: str


class LedgerTransaction(Transaction):
    """Carries out what was staged, one row after the other."""

    lands: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, ledger: Ledger, load: Load) -> None:
        self.ledger = ledger
        self.load = load
        self.staged: list[list[Row]] = []
        self.fresh: set[Key] = set()
        stored = ledger.shelf.get((load.table, load.generation))
        if stored:
            self.evolved(stored.schema)

    @property
    def soft(self) -> bool:
        return self.load.mode == "apply" and self.load.deletes == "soft"

    def stage(self, batch: pa.RecordBatch) -> None:
        self.staged.append(batch.to_pylist())

    def commit(self, seq: int, state: Json) -> None:
        if self.is_new(seq):
            self.show()
            self.note(Commit(seq, state))
        self.staged = []

    def is_new(self, seq: int) -> bool:
        return seq > self.ledger.committed(self.load).seq

    def note(self, commit: Commit) -> None:
        self.ledger.stored(self.load).commits[self.load.app] = commit

    def show(self) -> None:
        stored = self.ledger.stored(self.load)
        stored.schema = self.evolved(stored.schema)
        stored.rows = getattr(self, self.load.mode)(stored.rows, self.ordered())

    def abort(self) -> None:
        self.staged = []

    def ordered(self) -> list[Row]:
        return [row for batch in self.staged for row in batch]

    def landing(self) -> pa.Schema:
        fields = [each for each in self.load.schema if each.name not in MARKS or self.load.mode != "apply"]
        return pa.schema([*fields, *([pa.field(DELETED_AT, pa.timestamp("us", tz="UTC"))] if self.soft else [])])

    def evolved(self, known: pa.Schema) -> pa.Schema:
        incoming = self.landing()
        try:
            unified = pa.unify_schemas([known, incoming], promote_options="permissive")
        except pa.ArrowException as error:
            raise DataError(f"{self.load.table} has other types") from error
        kept = pa.schema([unified.field(name) for name in known.names])
        if (self.load.evolve != "widen" and kept != known) or (self.load.evolve == "freeze" and unified != known):
            raise DataError(f"{self.load.table} may not change its columns")
        return unified

    def append(self, old: list[Row], new: list[Row]) -> list[Row]:
        return old + new

    def key(self, row: Row) -> Key:
        return tuple(row[name] for name in self.load.key)

    def merge(self, old: list[Row], new: list[Row]) -> list[Row]:
        return list({self.key(row): row for row in old + new}.values())

    def apply(self, old: list[Row], new: list[Row]) -> list[Row]:
        rows = {self.key(row): row for row in old}
        emptied = max((at for at, change in enumerate(new) if change[OP] == "t"), default=-1)
        if emptied >= 0:
            rows = self.emptied(rows, new[emptied])
        self.fresh = set(rows) if emptied >= 0 else set()
        for change in new[emptied + 1 :]:
            self.carry_out(rows, change)
        return list(rows.values())

    def emptied(self, rows: dict[Key, Row], change: Row) -> dict[Key, Row]:
        return {key: self.marked(row, change) for key, row in rows.items()} if self.soft else {}

    def carry_out(self, rows: dict[Key, Row], change: Row) -> None:
        key = self.key(change)
        if change[OP] == "d":
            self.delete(rows, key, change)
            self.fresh.add(key)
        else:
            rows[key] = self.put(rows, key, change)
            self.fresh.discard(key)

    def delete(self, rows: dict[Key, Row], key: Key, change: Row) -> None:
        row = rows.pop(key, None)
        if row and self.soft:
            rows[key] = self.marked(row, change)

    def marked(self, row: Row, change: Row) -> Row:
        return {**row, DELETED_AT: change["_synced_at"]}

    def put(self, rows: dict[Key, Row], key: Key, change: Row) -> Row:
        before = {} if change[OP] == "c" or key in self.fresh else rows.get(key, {})
        row = {name: value for name, value in change.items() if name not in MARKS}
        return {**row, **{name: before.get(name) for name in self.unchanged(change)}}

    def unchanged(self, change: Row) -> Sequence[str]:
        return change.get(UNCHANGED) or ()


class Ledger(Sink[LedgerConfig]):
    """Tables as lists of rows, one set for each place and tenant."""

    name = "ledger"
    write_modes = frozenset({"append", "merge", "apply"})
    places: ClassVar[dict[tuple[str, str], dict[tuple[TableName, str | None], Stored]]] = {}
    transaction: ClassVar[type[LedgerTransaction]] = LedgerTransaction

    @property
    def shelf(self) -> dict[tuple[TableName, str | None], Stored]:
        return self.places.setdefault((self.config.place, self.ctx.tenant), {})

    def stored(self, load: Load) -> Stored:
        landing = self.transaction(self, replace(load, generation="none")).landing()
        return self.shelf.setdefault((load.table, load.generation), Stored(landing))

    def check(self) -> None:
        pass

    def catalog(self) -> str:
        return f"tenant_{self.ctx.tenant}"

    def begin(self, load: Load) -> Transaction:
        return self.transaction(self, load)

    def committed(self, load: Load) -> Commit:
        stored = self.shelf.get((load.table, load.generation))
        return stored.commits.get(load.app, Commit()) if stored else Commit()

    def replace(self, load: Load, seq: int, state: Json) -> None:
        if self.committed(replace(load, generation=None)).seq < seq:
            loaded = self.stored(load)
            self.shelf[load.table, None] = replace(loaded, commits={load.app: Commit(seq, state)})
            self.discard(load.table, load.generation or "")

    def discard(self, table: TableName, generation: str) -> None:
        self.shelf.pop((table, generation), None)


class LedgerContract(SinkContract):
    sink: ClassVar[type[Sink[Any]]] = Ledger

    def read_back(self, sink: Sink[Any], table: TableName) -> pa.Table:
        assert isinstance(sink, Ledger)
        if (table, None) not in sink.shelf:
            raise NotFound(f"there is no table {table}")
        stored = sink.shelf[table, None]
        return pa.Table.from_pylist(stored.rows, stored.schema)


class TestLedgerContract(LedgerContract):
    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"place": str(tmp_path)}


class DeletesLast(LedgerTransaction):
    def apply(self, old: list[Row], new: list[Row]) -> list[Row]:
        return super().apply(old, sorted(new, key=lambda change: bool(change[OP] == "d")))


class BatchesBackwards(LedgerTransaction):
    def ordered(self) -> list[Row]:
        if self.load.mode == "apply":
            self.staged.reverse()
        return super().ordered()


class CreatesOnlyWhatIsMissing(LedgerTransaction):
    def apply(self, old: list[Row], new: list[Row]) -> list[Row]:
        known = {self.key(row) for row in old}
        return super().apply(old, [each for each in new if each[OP] != "c" or self.key(each) not in known])


class UpdatesOnlyWhatIsThere(LedgerTransaction):
    def carry_out(self, rows: dict[Key, Row], change: Row) -> None:
        if change[OP] != "u" or self.key(change) in rows or self.key(change) in self.fresh:
            super().carry_out(rows, change)


class DeleteOfNothingMarks(LedgerTransaction):
    def delete(self, rows: dict[Key, Row], key: Key, change: Row) -> None:
        if self.soft:
            rows.setdefault(key, dict(zip(self.load.key, key, strict=True)))
        super().delete(rows, key, change)


class UnchangedIsNull(LedgerTransaction):
    def unchanged(self, change: Row) -> Sequence[str]:
        return super().unchanged({**change, UNCHANGED: None})


class NullIsUnchanged(LedgerTransaction):
    def unchanged(self, change: Row) -> Sequence[str]:
        return [name for name in change if change[name] is None and name not in MARKS]


class Remembers(LedgerTransaction):
    def apply(self, old: list[Row], new: list[Row]) -> list[Row]:
        self.old = {self.key(row): row for row in old}
        return super().apply(old, new)


class UnchangedAsBeforeTheCommit(Remembers):
    def put(self, rows: dict[Key, Row], key: Key, change: Row) -> Row:
        return super().put({**rows, **self.old}, key, change)


class RemembersWhatWasDeleted(Remembers):
    def put(self, rows: dict[Key, Row], key: Key, change: Row) -> Row:
        self.fresh.discard(key)
        return super().put({**self.old, **rows}, key, change)


class IgnoresTruncates(LedgerTransaction):
    def apply(self, old: list[Row], new: list[Row]) -> list[Row]:
        return super().apply(old, [change for change in new if change[OP] != "t"])


class TruncateSparesEarlierChanges(LedgerTransaction):
    def apply(self, old: list[Row], new: list[Row]) -> list[Row]:
        return super().apply(old, sorted(new, key=lambda change: bool(change[OP] != "t")))


class SoftDeletesHard(LedgerTransaction):
    def delete(self, rows: dict[Key, Row], key: Key, change: Row) -> None:
        super().delete(rows, key, change)
        rows.pop(key, None)


class SoftDeleteKeepsTheKeyOnly(LedgerTransaction):
    def delete(self, rows: dict[Key, Row], key: Key, change: Row) -> None:
        super().delete(rows, key, change)
        if key in rows:
            rows[key] = {name: rows[key][name] for name in (*self.load.key, DELETED_AT)}


class MarksWithThePresent(LedgerTransaction):
    def marked(self, row: Row, change: Row) -> Row:
        return super().marked(row, {**change, "_synced_at": datetime.now(UTC)})


class StaysMarked(LedgerTransaction):
    def put(self, rows: dict[Key, Row], key: Key, change: Row) -> Row:
        return {**super().put(rows, key, change), DELETED_AT: rows.get(key, {}).get(DELETED_AT)}


class SoftTruncateRemoves(LedgerTransaction):
    def apply(self, old: list[Row], new: list[Row]) -> list[Row]:
        return super().apply([] if any(change[OP] == "t" for change in new) else old, new)


class LandsTheMarks(LedgerTransaction):
    def landing(self) -> pa.Schema:
        return self.load.schema if self.load.mode == "apply" and not self.soft else super().landing()


class AppliesAgain(LedgerTransaction):
    def is_new(self, seq: int) -> bool:
        return self.load.mode == "apply" or super().is_new(seq)


class DeletesWhenStaged(LedgerTransaction):
    def stage(self, batch: pa.RecordBatch) -> None:
        super().stage(batch)
        if self.load.mode == "apply":
            stored = self.ledger.stored(self.load)
            stored.rows = self.apply(stored.rows, [row for row in batch.to_pylist() if row[OP] == "d"])


class MergeKeepsTheMark(LedgerTransaction):
    def merge(self, old: list[Row], new: list[Row]) -> list[Row]:
        marks = {self.key(row): row[DELETED_AT] for row in old if DELETED_AT in row}
        return [{**row, DELETED_AT: marks.get(self.key(row))} for row in super().merge(old, new)]


class OneAppATable(LedgerTransaction):
    def note(self, commit: Commit) -> None:
        if self.load.mode == "apply":
            self.ledger.stored(self.load).commits.clear()
        super().note(commit)


class GenerationsKeepWhatWasDeleted(LedgerTransaction):
    def delete(self, rows: dict[Key, Row], key: Key, change: Row) -> None:
        if self.load.generation is None:
            super().delete(rows, key, change)


MUTANTS: dict[type[LedgerTransaction], str] = {
    DeletesLast: "test_changes_of_one_key_are_applied_in_order",
    BatchesBackwards: "test_changes_of_later_batches_come_later",
    CreatesOnlyWhatIsMissing: "test_a_changed_key_moves_its_row",
    UpdatesOnlyWhatIsThere: "test_an_update_of_an_unknown_key_inserts",
    DeleteOfNothingMarks: "test_a_delete_of_an_unknown_key_is_nothing",
    UnchangedIsNull: "test_a_column_left_unchanged_keeps_the_table_s_value",
    NullIsUnchanged: "test_a_column_left_unchanged_keeps_the_table_s_value",
    UnchangedAsBeforeTheCommit: "test_a_column_left_unchanged_keeps_an_earlier_change_s_value",
    RemembersWhatWasDeleted: "test_no_value_is_taken_from_before_a_delete",
    IgnoresTruncates: "test_an_emptied_table_has_only_what_came_afterwards",
    TruncateSparesEarlierChanges: "test_an_emptied_table_has_only_what_came_afterwards",
    SoftDeletesHard: "test_a_soft_delete_keeps_the_row_and_says_when",
    SoftDeleteKeepsTheKeyOnly: "test_a_soft_delete_keeps_the_row_and_says_when",
    MarksWithThePresent: "test_a_soft_delete_keeps_the_row_and_says_when",
    StaysMarked: "test_a_row_that_comes_again_is_no_longer_marked",
    SoftTruncateRemoves: "test_an_emptied_table_is_marked_where_deletes_are_soft",
    LandsTheMarks: "test_the_marks_of_changes_do_not_land",
    AppliesAgain: "test_applied_changes_are_not_applied_again",
    DeletesWhenStaged: "test_staged_changes_leave_nothing_before_their_commit",
    MergeKeepsTheMark: "test_changes_and_merges_share_a_table",
    OneAppATable: "test_two_apps_apply_to_one_table",
    GenerationsKeepWhatWasDeleted: "test_changes_are_applied_to_a_generation",
}

ALSO_FAIL: dict[type[LedgerTransaction], set[str]] = {
    DeletesLast: {
        "test_a_changed_key_moves_its_row",
        "test_a_row_that_comes_again_is_no_longer_marked",
        "test_no_value_is_taken_from_before_a_delete",
    },
    CreatesOnlyWhatIsMissing: {
        "test_a_row_that_comes_again_is_no_longer_marked",
        "test_an_emptied_table_has_only_what_came_afterwards",
        "test_an_emptied_table_is_marked_where_deletes_are_soft",
    },
    UnchangedIsNull: {"test_a_column_left_unchanged_keeps_an_earlier_change_s_value"},
    IgnoresTruncates: {"test_an_emptied_table_is_marked_where_deletes_are_soft"},
    SoftDeletesHard: {"test_changes_and_merges_share_a_table"},
    SoftDeleteKeepsTheKeyOnly: {"test_changes_and_merges_share_a_table"},
    MarksWithThePresent: {
        "test_an_emptied_table_is_marked_where_deletes_are_soft",
        "test_changes_and_merges_share_a_table",
    },
    StaysMarked: {"test_an_emptied_table_is_marked_where_deletes_are_soft"},
}
"""Checks that a fault breaks besides the one that names it, because they build on what is broken."""


@pytest.mark.parametrize("broken", MUTANTS, ids=lambda cls: cls.__name__)
def test_a_broken_sink_of_changes_fails_the_check_that_names_its_fault(
    broken: type[LedgerTransaction], tmp_path: Path
) -> None:
    sink = type(broken.__name__, (Ledger,), {"transaction": broken, "__doc__": "A broken sink."})
    probe = SinkProbe(sink, {"place": str(tmp_path)}, tmp_path)

    failed = failing_checks(LedgerContract(), probe)

    assert failed == {MUTANTS[broken]} | ALSO_FAIL.get(broken, set())
