"""Whatever happens to a table, and wherever a sync dies, the lakehouse holds what a model says."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from fault_memory import Database, DeadError, MemorySource, NoConfig, Row, sink_in
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from servicetsunami.sdk import TableName
from servicetsunami.sdk.testing import LocalContext
from servicetsunami.sync import Progress, SyncJob, SyncMode, failpoints
from servicetsunami.sync.engine import Engine

KEYS = st.integers(1, 12)
NUMBERS = st.one_of(st.none(), st.integers(-5, 5))
KINDS = st.sampled_from([pa.int32(), pa.int64(), pa.string(), pa.float64()])
PLACES = st.sampled_from(failpoints.NAMES)
EXAMPLES = int(os.environ.get("FAULTS_EXAMPLES", "12"))
"""How many histories are tried; the same ones each time, unless somebody asks for more of them."""
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=20,
    deadline=None,
    database=None,
    derandomize=EXAMPLES == 12,
    suppress_health_check=list(HealthCheck),
)


class Syncs(RuleBasedStateMachine):
    """A table at a source, its copy in a lakehouse, and a model of that copy."""

    mode: ClassVar[SyncMode]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="model-"))
        self.context = LocalContext(data_dir=self.folder)
        self.database = Database()
        self.expected: dict[int, Row] = {}
        self.other: dict[int, Row] | None = None
        """What the table may hold instead, after a sync that died: it may have got so far before."""
        self.columns: set[str] = set()
        self.names = 0
        self.runs = 0

    @rule(key=KEYS, number=NUMBERS)
    def put(self, key: int, number: int | None) -> None:
        self.database.put(key, {"n": number} if "n" in self.database.columns else {})

    @rule(name=st.data(), key=KEYS)
    def fill_another_column(self, name: st.DataObject, key: int) -> None:
        chosen = name.draw(st.sampled_from(sorted(self.database.columns)))
        if chosen not in ("id", "seqno"):
            self.database.put(key, {chosen: _value(self.database.columns[chosen], key)})

    @precondition(lambda self: self.deletes)
    @rule(key=KEYS)
    def delete(self, key: int) -> None:
        if key in self.database.rows:
            self.database.delete(key)

    @precondition(lambda self: self.deletes)
    @rule(key=KEYS, to=st.integers(13, 20))
    def change_a_key(self, key: int, to: int) -> None:
        if key in self.database.rows and to not in self.database.rows:
            self.database.move(key, to)

    @precondition(lambda self: self.deletes)
    @rule()
    def empty(self) -> None:
        self.database.empty()

    @precondition(lambda self: len(self.database.columns) < 6)
    @rule(kind=KINDS)
    def add_a_column(self, kind: pa.DataType) -> None:
        self.names += 1
        self.database.add_column(f"c{self.names}", kind)

    @precondition(lambda self: len(self.database.columns) > 3)
    @rule(number=st.integers(0, 5))
    def drop_a_column(self, number: int) -> None:
        droppable = [name for name in self.database.columns if name.startswith("c")]
        if droppable:
            self.database.drop_column(droppable[number % len(droppable)])

    @rule()
    def widen_a_column(self) -> None:
        self.database.columns["n"] = pa.int64()

    @rule()
    def sync(self) -> None:
        assert self._run()

        self.other = None
        self._note()

    @rule(place=PLACES, time=st.integers(1, 3))
    def sync_and_die(self, place: str, time: int) -> None:
        before = self._actual()

        finished = self._run(f"{place}:{time}=raise")

        self._note()
        self.other = None if finished else before

    @invariant()
    def the_table_is_what_the_model_says(self) -> None:
        actual = self._actual()

        assert actual in ([self.expected] if self.other is None else [self.expected, self.other])

    def teardown(self) -> None:
        failpoints.arm("")
        shutil.rmtree(self.folder)

    @property
    def deletes(self) -> bool:
        """Tell whether the mode sees that rows are gone."""
        return self.mode != "incremental"

    def _run(self, death: str = "") -> bool:
        self.runs += 1
        failpoints.arm(death)
        source = type("Bound", (MemorySource,), {"database": self.database})
        job = SyncJob(
            f"run_{self.runs}", "app", self.database.stream(), TABLE, self.mode, evolve="widen", backoff_seconds=0
        )
        sink = sink_in(self.context, dies=bool(death))
        engine = Engine(job, lambda: source(NoConfig(), self.context), sink, Progress(), threading.Event())
        try:
            engine.run()
        except (DeadError, RuntimeError):
            assert death
            return False
        finally:
            failpoints.arm("")
        return True

    def _note(self) -> None:
        """Expect what the source holds now."""
        self.expected = {key: dict(row) for key, row in self.database.rows.items()}
        self.columns = set(self.database.columns)

    def _actual(self) -> dict[int, Row]:
        """Return what a reader sees, in the columns that the last sync saw."""
        folder = self.folder / "tenant_default" / "bronze" / TABLE.name
        if not any(folder.glob("_delta_log/*.json")):
            return {}
        rows = DeltaTable(folder).to_pyarrow_table().to_pylist()
        assert len({row["id"] for row in rows}) == len(rows), "a row is there twice"
        return {row["id"]: {name: row[name] for name in row if name in self.columns} for row in rows}


TABLE = TableName("bronze", "things")


def _value(kind: pa.DataType, seed: int) -> Any:
    return str(seed) if pa.types.is_string(kind) else float(seed) if pa.types.is_floating(kind) else seed


class FullSyncs(Syncs):
    mode = "full"


class IncrementalSyncs(Syncs):
    mode = "incremental"


class ChangeSyncs(Syncs):
    mode = "changes"


@pytest.mark.parametrize("machine", [FullSyncs, IncrementalSyncs, ChangeSyncs], ids=["full", "incremental", "changes"])
def test_every_sync_leaves_what_the_model_says_wherever_it_dies(machine: type[Syncs]) -> None:
    run_state_machine_as_test(machine, settings=SETTINGS)
