"""The sink contract passes a good sink, and each broken one fails the check that names its fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from servicetsunami.sdk import Commit, Config, DataError, Json, Load, NotFound, Sink, TableName, Transaction
from servicetsunami.sdk.testing import SinkContract, SinkProbe, failing_checks


@dataclass
class Stored:
    """One table: its visible rows and the last commit of each app."""

    table: pa.Table
    commits: dict[str, Commit] = field(default_factory=dict)


Tables = dict[tuple[TableName, str | None], Stored]


class MemoryConfig(Config):
    place: str


class MemoryTransaction(Transaction):
    def __init__(self, sink: Memory, load: Load) -> None:
        self.sink = sink
        self.load = load
        self.staged: list[pa.RecordBatch] = []

    def stage(self, batch: pa.RecordBatch) -> None:
        self.staged.append(batch)

    def commit(self, seq: int, state: Json) -> None:
        if seq > self.sink.committed(self.load).seq:
            self.show()
            self.sink.stored(self.load).commits[self.load.app] = Commit(seq, state)
        self.staged = []

    def show(self) -> None:
        stored = self.sink.stored(self.load)
        rows = pa.Table.from_batches(self.staged, self.load.schema)
        stored.table = self.combined(stored.table, rows)

    def evolved(self, known: pa.Schema) -> pa.Schema:
        try:
            unified = pa.unify_schemas([known, self.load.schema], promote_options="permissive")
        except pa.ArrowException as error:
            raise DataError(f"{self.load.table} has other types") from error
        kept = pa.schema([unified.field(name) for name in known.names])
        if (self.load.evolve != "widen" and kept != known) or (self.load.evolve == "freeze" and unified != known):
            raise DataError(f"{self.load.table} may not change its columns")
        return unified

    def combined(self, old: pa.Table, new: pa.Table) -> pa.Table:
        both = pa.Table.from_pylist(old.to_pylist() + new.to_pylist(), schema=self.evolved(old.schema))
        if self.load.mode == "append":
            return both
        by_key = {tuple(row[name] for name in self.load.key): row for row in both.to_pylist()}
        return pa.Table.from_pylist(list(by_key.values()), schema=both.schema)

    def abort(self) -> None:
        self.staged = []


class Memory(Sink[MemoryConfig]):
    """Tables that lie in memory, one set for each place and tenant."""

    name = "memory"
    write_modes = frozenset({"append", "merge"})
    places: ClassVar[dict[tuple[str, str], Tables]] = {}
    transaction: ClassVar[type[MemoryTransaction]] = MemoryTransaction

    @property
    def tables(self) -> Tables:
        return self.places.setdefault((self.config.place, self.ctx.tenant), {})

    def stored(self, load: Load) -> Stored:
        return self.tables.setdefault((load.table, load.generation), Stored(load.schema.empty_table()))

    def check(self) -> None:
        pass

    def catalog(self) -> str:
        return f"tenant_{self.ctx.tenant}"

    def begin(self, load: Load) -> Transaction:
        known = self.tables.get((load.table, load.generation))
        transaction = self.transaction(self, load)
        if known:
            transaction.evolved(known.table.schema)
        return transaction

    def committed(self, load: Load) -> Commit:
        stored = self.tables.get((load.table, load.generation))
        return stored.commits.get(load.app, Commit()) if stored else Commit()

    def replace(self, load: Load, seq: int, state: Json) -> None:
        if self.committed(replace(load, generation=None)).seq >= seq:
            return
        loaded = self.tables.pop((load.table, load.generation), Stored(load.schema.empty_table()))
        self.tables[load.table, None] = Stored(loaded.table, {load.app: Commit(seq, state)})

    def discard(self, table: TableName, generation: str) -> None:
        self.tables.pop((table, generation), None)


class MemoryContract(SinkContract):
    sink = Memory

    def read_back(self, sink: Sink[Any], table: TableName) -> pa.Table:
        assert isinstance(sink, Memory)
        if (table, None) not in sink.tables:
            raise NotFound(f"there is no table {table}")
        return sink.tables[table, None].table


class TestMemoryContract(MemoryContract):
    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"place": str(tmp_path)}


def mutant(changed: type[MemoryTransaction]) -> type[Memory]:
    return type(changed.__name__, (Memory,), {"transaction": changed, "__doc__": "A broken sink."})


class CommitsTwice(MemoryTransaction):
    def commit(self, seq: int, state: Json) -> None:
        self.sink.stored(self.load).commits.pop(self.load.app, None)
        super().commit(seq, state)


class ShowsStagedRows(MemoryTransaction):
    def stage(self, batch: pa.RecordBatch) -> None:
        super().stage(batch)
        self.show()
        self.staged = []


class AbortThatShows(MemoryTransaction):
    def abort(self) -> None:
        self.show()
        super().abort()


class AbortOnlyOnce(MemoryTransaction):
    aborted = False

    def abort(self) -> None:
        if self.aborted:
            raise RuntimeError("already closed")
        self.aborted = True
        super().abort()


class ForgetsTheState(MemoryTransaction):
    def commit(self, seq: int, state: Json) -> None:
        super().commit(seq, {} if state else state)


class AppendOverwrites(MemoryTransaction):
    def combined(self, old: pa.Table, new: pa.Table) -> pa.Table:
        return super().combined(old.schema.empty_table() if self.load.mode == "append" else old, new)


class FirstOfAKeyWins(MemoryTransaction):
    def combined(self, old: pa.Table, new: pa.Table) -> pa.Table:
        if self.load.mode == "append":
            return super().combined(old, new)
        return super().combined(new.take(list(range(len(new)))[::-1]), old)


class MergeAppends(MemoryTransaction):
    def combined(self, old: pa.Table, new: pa.Table) -> pa.Table:
        self.load = replace(self.load, mode="append")
        return super().combined(old, new)


class DropsNewColumns(MemoryTransaction):
    def combined(self, old: pa.Table, new: pa.Table) -> pa.Table:
        return super().combined(old, new.select([name for name in new.schema.names if name in old.schema.names]))


class ClosesAfterACommit(MemoryTransaction):
    done = False

    def commit(self, seq: int, state: Json) -> None:
        if not self.done:
            super().commit(seq, state)
        self.done = True


class EmptyTextIsNull(MemoryTransaction):
    def stage(self, batch: pa.RecordBatch) -> None:
        rows = [{name: None if value == "" else value for name, value in row.items()} for row in batch.to_pylist()]
        super().stage(pa.RecordBatch.from_pylist(rows, schema=batch.schema))


class RoundsNumbers(MemoryTransaction):
    def stage(self, batch: pa.RecordBatch) -> None:
        rows = [
            {**row, "real": row["real"] and round(row["real"])} if "real" in row else row for row in batch.to_pylist()
        ]
        super().stage(pa.RecordBatch.from_pylist(rows, schema=batch.schema))


class WidensByRounding(MemoryTransaction):
    def combined(self, old: pa.Table, new: pa.Table) -> pa.Table:
        if self.load.evolve == "widen":
            rows = [{**row, "value": type(row["value"])(float(row["value"]))} for row in new.to_pylist()]
            new = pa.Table.from_pylist(rows, schema=new.schema)
        return super().combined(old, new)


class AlwaysWidens(MemoryTransaction):
    def evolved(self, known: pa.Schema) -> pa.Schema:
        self.load = replace(self.load, evolve="widen" if self.load.evolve == "add" else self.load.evolve)
        return super().evolved(known)


class TakesAnyType(MemoryTransaction):
    def evolved(self, known: pa.Schema) -> pa.Schema:
        texts = any(pa.types.is_string(each.type) for each in self.load.schema if each.name == "value")
        return known if texts else super().evolved(known)


class AddsColumnsWhenAppendingOnly(MemoryTransaction):
    def evolved(self, known: pa.Schema) -> pa.Schema:
        unified = super().evolved(known)
        return unified if self.load.mode == "append" else pa.schema([unified.field(name) for name in known.names])


class FreezesWhenAppendingOnly(MemoryTransaction):
    def evolved(self, known: pa.Schema) -> pa.Schema:
        if self.load.mode != "append" and self.load.evolve == "freeze":
            self.load = replace(self.load, evolve="widen")
        return super().evolved(known)


class OneSequenceForAll(Memory):
    def committed(self, load: Load) -> Commit:
        stored = self.tables.get((load.table, load.generation))
        return max(stored.commits.values(), key=lambda commit: commit.seq, default=Commit()) if stored else Commit()


class ReplaceAppends(Memory):
    def replace(self, load: Load, seq: int, state: Json) -> None:
        old = self.stored(replace(load, generation=None)).table
        if self.committed(replace(load, generation=None)).seq < seq and old.num_rows:
            aside = self.stored(load)
            aside.table = pa.concat_tables([old, aside.table]) if aside.table.num_rows else aside.table
        super().replace(load, seq, state)


class ReplaceTwice(Memory):
    def replace(self, load: Load, seq: int, state: Json) -> None:
        self.tables.pop((load.table, None), None)
        super().replace(load, seq, state)


class EmptyGenerationLeavesTheOldRows(Memory):
    def replace(self, load: Load, seq: int, state: Json) -> None:
        if (load.table, load.generation) in self.tables or self.committed(replace(load, generation=None)).seq >= seq:
            super().replace(load, seq, state)


class DiscardOnlyOnce(Memory):
    def discard(self, table: TableName, generation: str) -> None:
        del self.tables[table, generation]


class NeverFreezes(Memory):
    def begin(self, load: Load) -> Transaction:
        return super().begin(replace(load, evolve="add") if load.evolve == "freeze" else load)


class OneHouseForAllTenants(Memory):
    @property
    def tables(self) -> Tables:
        return self.places.setdefault((self.config.place, "everybody"), {})


class OneCatalogForAllTenants(Memory):
    def catalog(self) -> str:
        return "main"


MUTANTS: dict[type[Memory], str] = {
    mutant(CommitsTwice): "test_commit_is_idempotent_by_app_and_seq",
    mutant(ShowsStagedRows): "test_staged_rows_are_invisible",
    mutant(AbortThatShows): "test_abort_leaves_nothing",
    mutant(AbortOnlyOnce): "test_abort_leaves_nothing",
    mutant(ForgetsTheState): "test_state_comes_back",
    mutant(AppendOverwrites): "test_append_keeps_what_was_there",
    mutant(FirstOfAKeyWins): "test_merge_replaces_by_key_and_the_last_wins",
    mutant(MergeAppends): "test_merge_replaces_by_key_and_the_last_wins",
    mutant(DropsNewColumns): "test_new_columns_are_added",
    mutant(ClosesAfterACommit): "test_a_transaction_takes_several_commits",
    mutant(EmptyTextIsNull): "test_unicode_and_quotes_come_back",
    mutant(RoundsNumbers): "test_every_type_comes_back_as_written",
    mutant(WidensByRounding): "test_wider_types_hold_every_value",
    mutant(AlwaysWidens): "test_a_wider_type_is_refused_unless_it_may_widen",
    mutant(TakesAnyType): "test_a_type_that_is_no_wider_one_is_refused",
    mutant(AddsColumnsWhenAppendingOnly): "test_new_columns_are_added_in_every_mode",
    mutant(FreezesWhenAppendingOnly): "test_freeze_refuses_in_every_mode",
    OneSequenceForAll: "test_apps_count_their_commits_apart",
    ReplaceAppends: "test_replace_swaps_the_table",
    ReplaceTwice: "test_replace_is_idempotent",
    EmptyGenerationLeavesTheOldRows: "test_an_empty_generation_leaves_an_empty_table",
    DiscardOnlyOnce: "test_a_discarded_generation_leaves_nothing",
    NeverFreezes: "test_freeze_refuses_new_columns",
    OneHouseForAllTenants: "test_tenants_do_not_see_each_other",
    OneCatalogForAllTenants: "test_catalog_is_named_after_the_tenant",
}

ALSO_FAIL: dict[str, set[str]] = {
    "ShowsStagedRows": {
        "test_abort_leaves_nothing",
        "test_close_is_safe",
        "test_commit_is_idempotent_by_app_and_seq",
        "test_rows_and_state_become_visible_together",
    },
    "ForgetsTheState": {
        "test_a_transaction_takes_several_commits",
        "test_commit_is_idempotent_by_app_and_seq",
        "test_interleaved_transactions_keep_both",
        "test_replace_is_idempotent",
    },
    "AppendOverwrites": {
        "test_a_transaction_takes_several_commits",
        "test_abort_leaves_nothing",
        "test_apps_count_their_commits_apart",
        "test_commit_is_idempotent_by_app_and_seq",
        "test_freeze_refuses_in_every_mode",
        "test_interleaved_transactions_keep_both",
        "test_new_columns_are_added",
        "test_new_columns_are_added_in_every_mode",
        "test_wider_types_hold_every_value",
        "test_replace_is_idempotent",
        "test_staged_rows_are_invisible",
    },
    "FirstOfAKeyWins": {"test_new_columns_are_added_in_every_mode", "test_wider_types_hold_every_value"},
    "DropsNewColumns": {"test_new_columns_are_added_in_every_mode"},
    "NeverFreezes": {"test_freeze_refuses_in_every_mode"},
    "OneSequenceForAll": {"test_interleaved_transactions_keep_both"},
}
"""Checks that a fault breaks besides the one that names it, because they build on what is broken."""


@pytest.mark.parametrize("broken", MUTANTS, ids=lambda cls: cls.__name__)
def test_a_broken_sink_fails_the_check_that_names_its_fault(broken: type[Memory], tmp_path: Path) -> None:
    probe = SinkProbe(broken, {"place": str(tmp_path)}, tmp_path)

    failed = failing_checks(MemoryContract(), probe)

    assert failed == {MUTANTS[broken]} | ALSO_FAIL.get(broken.__name__, set())
