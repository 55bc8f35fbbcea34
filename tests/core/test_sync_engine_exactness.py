"""However a sync breaks off, and whoever else writes, its table ends as its source is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest

from servicetsunami.sdk import (
    ChangeFeed,
    Changes,
    Checkpoint,
    Commit,
    Config,
    ConfigError,
    Item,
    Json,
    Load,
    PermanentError,
    Read,
    Source,
    Split,
    Splittable,
    Stream,
    TableName,
    Transaction,
    TransientError,
    Watermark,
)
from servicetsunami.sdk.testing import LocalContext
from servicetsunami.sync import Progress, SyncJob, SyncMode, SyncOutcome
from servicetsunami.sync.engine import Engine
from servicetsunami.sync.failpoints import arm
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink

TABLE = TableName("bronze", "goods")
SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("at", pa.int64())])
Row = tuple[int, str, int]
KEYLESS: dict[str, Any] = {"key": ()}


@dataclass
class World:
    """What there is at the source, and what it was asked."""

    rows: dict[int, Row] = field(default_factory=dict)
    log: list[tuple[str, Row]] = field(default_factory=list)
    watermark: list[int | None] = field(default_factory=list)
    parts: int = 1
    asked: list[str] = field(default_factory=list)
    on_read: dict[str, Callable[[], None]] = field(default_factory=dict)
    """Done once, after the rows of a part were given and before it ends."""
    acked: list[int] = field(default_factory=list)
    away: bool = False

    def put(self, *rows: Row) -> None:
        for row in rows:
            self.log.append(("u" if row[0] in self.rows else "c", row))
            self.rows[row[0]] = row

    def delete(self, key: int) -> None:
        self.log.append(("d", self.rows.pop(key)))


class Shop(Source[Config], Splittable, ChangeFeed):
    """Reads the world, a part by the remainder of its ids."""

    name = "shop"

    def __init__(self, ctx: LocalContext, world: World) -> None:
        super().__init__(Config(), ctx)
        self.world = world

    def streams(self) -> Iterable[Stream]:
        yield Stream("goods", schema=SCHEMA, key=("id",), cursor="at")

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        splits = [Split(str(number)) for number in range(self.world.parts)]
        return splits if read.split is None and len(splits) > 1 < target else ()

    def read(self, read: Read) -> Iterator[Item]:
        part = read.split.id if read.split else "all"
        self.world.asked.append(part if read.since is None else f"since {read.since}")
        rows = [row for row in self.world.rows.values() if read.since is None or row[2] >= read.since]
        rows = [row for row in rows if read.split is None or row[0] % self.world.parts == int(read.split.id)]
        yield [dict(zip(SCHEMA.names, row, strict=True)) for row in rows]
        self.world.on_read.pop(part, lambda: None)()
        yield from (Watermark(value) for value in self.world.watermark)

    def position(self, streams: Sequence[Stream]) -> Json:
        assert [stream.name for stream in streams] == ["goods"]
        self.world.asked.append("position")
        return {"at": len(self.world.log)}

    def changes(self, streams: Sequence[Stream], state: Json) -> Iterator[Item]:
        self.world.asked.append(f"changes of {streams[0].name} from {state['at']}")
        for op, row in self.world.log[state["at"] :]:
            yield Changes("goods", [{**dict(zip(SCHEMA.names, row, strict=True)), "_op": op}])
        yield Checkpoint({"at": len(self.world.log)})

    def ack(self, state: Json) -> None:
        if self.world.away:
            raise TransientError("away")
        self.world.acked.append(state["at"])

    def release(self, streams: Sequence[Stream]) -> None:
        self.world.asked += ["release" for _ in streams]


class Forgetful(LakehouseSink):
    """Does the work of the next commits and then fails as if the answer were lost, also to those who ask."""

    lost = 0
    silent = 0
    tidies = True

    def begin(self, load: Load) -> Transaction:
        return Lossy(self, super().begin(load)) if load.generation is None else super().begin(load)

    def lose(self) -> None:
        if self.lost:
            self.lost -= 1
            raise TransientError("the answer was lost")

    def discard(self, table: TableName, generation: str) -> None:
        if self.tidies:
            super().discard(table, generation)

    def replace(self, load: Load, seq: int, state: Json) -> None:
        super().replace(load, seq, state)
        self.lose()

    def committed(self, load: Load) -> Commit:
        if self.silent and not self.lost:
            self.silent -= 1
            raise TransientError("nobody answers")
        return super().committed(load)


class Lossy(Transaction):
    """Passes on what it is told, and may lose the answer."""

    def __init__(self, sink: Forgetful, inner: Transaction) -> None:
        self._sink = sink
        self._inner = inner

    def stage(self, batch: pa.RecordBatch) -> None:
        self._inner.stage(batch)

    def commit(self, seq: int, state: Json) -> None:
        self._inner.commit(seq, state)
        self._sink.lose()

    def abort(self) -> None:
        self._inner.abort()


@dataclass
class Lab:
    """A world, a sink, and syncs between them."""

    path: Path
    sink: Forgetful
    world: World = field(default_factory=World)
    runs: int = 0

    def sync(self, mode: SyncMode = "incremental", *, sink: LakehouseSink | None = None, **changes: Any) -> SyncOutcome:
        self.runs += 1
        settings = changes.pop("settings", {})
        recorded = changes.pop("recorded_seq", None)
        stream = Stream("goods", **{"schema": SCHEMA, "key": ("id",), "cursor": "at", **changes})
        job = SyncJob(
            f"run_{self.runs}",
            "conn_1/goods",
            stream,
            TABLE,
            mode,
            settings=settings,
            recorded_seq=recorded,
            backoff_seconds=0,
        )
        ctx = LocalContext(data_dir=self.path / "source")
        engine = Engine(job, lambda: Shop(ctx, self.world), sink or self.sink, Progress(), threading.Event())
        return engine.run()

    def landed(self) -> list[Row]:
        from deltalake import DeltaTable

        folder = self.sink._folders.table(TABLE)
        rows = DeltaTable(str(folder)).to_pyarrow_table(columns=SCHEMA.names).to_pylist()
        return sorted((row["id"], row["name"], row["at"]) for row in rows)

    def source(self) -> list[Row]:
        return sorted(self.world.rows.values())

    def aside(self) -> list[Path]:
        return [path for path in (self.sink._folders.home / "_generations").rglob("*") if path.is_file()]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    sink = Forgetful(LakehouseConfig(), LocalContext(data_dir=tmp_path / "data", tenant="acme"))
    lab = Lab(tmp_path, sink)
    lab.world.put(*((number, f"name {number}", number) for number in range(10)))
    yield lab
    arm("")
    sink.close()


def fail(error: Exception) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


# fencing


@pytest.mark.parametrize("mode", ["full", "incremental"])
@pytest.mark.parametrize("keys", [{}, KEYLESS])
def test_a_sync_that_another_overtook_reads_again_and_doubles_nothing(
    lab: Lab, mode: SyncMode, keys: dict[str, Any]
) -> None:
    lab.sync("full", **keys)
    lab.world.put((10, "ten", 10), (11, "eleven", 11))
    overtaken: list[SyncOutcome] = []
    lab.world.on_read["all"] = lambda: overtaken.append(lab.sync(mode, **keys))

    outcome = lab.sync(mode, **keys)

    assert lab.landed() == lab.source()
    assert outcome.seq >= overtaken[0].seq
    assert lab.aside() == []


def test_a_sync_that_is_overtaken_each_time_fails_and_says_so(lab: Lab) -> None:
    lab.sync("full")

    overtaken = []

    def overtake() -> None:
        overtaken.append(lab.sync("full"))
        lab.world.on_read["all"] = overtake

    lab.world.on_read["all"] = overtake

    with pytest.raises(TransientError) as failure:
        lab.sync("full")

    assert (failure.value.code, len(overtaken)) == ("superseded", 3)


class Startled(LakehouseSink):
    """Lets somebody else commit right after it was first asked for the table's last commit."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def committed(self, load: Load) -> Commit:
        found = super().committed(load)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return found


@pytest.mark.parametrize(("mode", "keys"), [("incremental", {}), ("incremental", KEYLESS), ("changes", {})])
def test_a_sync_that_was_overtaken_before_it_read_doubles_nothing(
    lab: Lab, mode: SyncMode, keys: dict[str, Any]
) -> None:
    lab.sync("changes" if mode == "changes" else "full", **keys)
    lab.world.put((10, "ten", 10), (11, "eleven", 11))
    sink = Startled(lab.sink.config, lab.sink.ctx)
    overtaken: list[SyncOutcome] = []
    sink.meanwhile = lambda: overtaken.append(lab.sync(mode, **keys))

    outcome = lab.sync(mode, sink=sink, **keys)

    assert lab.landed() == lab.source()
    assert outcome.state.get("cursor", {}).get("value") == overtaken[0].state.get("cursor", {}).get("value")


# lost answers


@pytest.mark.parametrize("mode", ["full", "incremental"])
@pytest.mark.parametrize("silent", [0, 1])
@pytest.mark.parametrize("keys", [{}, KEYLESS])
def test_a_commit_whose_answer_is_lost_counts_once(lab: Lab, mode: SyncMode, silent: int, keys: dict[str, Any]) -> None:
    lab.sync("full", **keys)
    lab.world.put((10, "ten", 10))
    lab.sink.lost, lab.sink.silent = 1, silent

    lab.sync(mode, **keys)

    assert lab.landed() == lab.source()


@pytest.mark.parametrize("mode", ["full", "incremental", "changes"])
@pytest.mark.parametrize("place", ["before_verify", "after_commit", "before_commit", "after_replace", "before_replace"])
@pytest.mark.parametrize("time", [1, 2, 3])
def test_a_commit_that_could_not_be_looked_up_at_once_counts_once(
    lab: Lab, mode: SyncMode, place: str, time: int
) -> None:
    lab.sync("changes" if mode == "changes" else "full")
    lab.world.put((10, "ten", 10))
    arm(f"{place}:{time}=transient")

    lab.sync(mode)
    lab.world.put((11, "eleven", 11))
    lab.world.delete(3)
    lab.sync("changes" if mode == "changes" else "full")

    assert lab.landed() == lab.source()


# resuming


def test_a_first_load_reads_only_the_parts_that_a_dead_run_had_not_loaded(lab: Lab) -> None:
    lab.world.parts = 3
    lab.world.on_read["2"] = fail(PermanentError("the source fell"))
    with pytest.raises(PermanentError):
        lab.sync(resumable=True)
    done = {part for part in lab.world.asked if part != "2"}
    lab.world.asked.clear()
    lab.world.put((0, "changed meanwhile", 50), (30, "new meanwhile", 51))

    outcome = lab.sync(resumable=True)

    reread = [part for part in lab.world.asked if part in ("0", "1", "2")]
    assert set(reread) <= {"0", "1", "2"} - (done - set(reread))
    assert "2" in reread
    assert len(reread) < 3
    assert lab.landed() == lab.source()
    assert "had loaded before it ended" in " ".join(outcome.notes)
    assert lab.aside() == []


@pytest.mark.parametrize(
    ("mode", "stream"),
    [("incremental", {}), ("full", {"resumable": True}), ("incremental", {"resumable": True, "cursor": None})],
)
def test_what_cannot_be_gone_on_with_exactly_is_begun_anew(lab: Lab, mode: SyncMode, stream: dict[str, Any]) -> None:
    lab.world.parts = 3
    lab.world.on_read["2"] = fail(PermanentError("the source fell"))
    with pytest.raises(PermanentError):
        lab.sync(mode, **stream)
    left = lab.aside()
    lab.world.asked.clear()

    lab.sync(mode, **stream)

    assert left == []
    assert sorted(lab.world.asked) == ["0", "1", "2"]
    assert lab.landed() == lab.source()


@pytest.mark.parametrize("mode", ["full", "incremental", "changes"])
@pytest.mark.parametrize("resumable", [False, True])
def test_what_a_killed_run_left_aside_is_gone_after_the_next(lab: Lab, mode: SyncMode, resumable: bool) -> None:
    lab.world.parts = 3
    # A process that is killed tidies nothing up.
    lab.sink.tidies = False
    arm("before_replace=raise")
    with pytest.raises(RuntimeError):
        lab.sync(mode, resumable=resumable)
    left = lab.aside()
    lab.sink.tidies = True
    lab.world.put((0, "changed", 60))
    lab.world.delete(1)

    lab.sync(mode, resumable=resumable)

    assert left
    assert lab.aside() == []
    expected = lab.source()
    if mode == "incremental" and resumable:
        expected = sorted([*expected, (1, "name 1", 1)])
    assert lab.landed() == expected


def test_what_a_run_left_that_died_after_its_load_was_in_place_is_gone_after_the_next(lab: Lab) -> None:
    arm("after_replace=raise")
    lab.sink.tidies = False
    lab.sync("full")
    left = lab.aside()
    lab.sink.tidies = True

    lab.sync()

    assert left
    assert lab.aside() == []
    assert lab.landed() == lab.source()


def test_a_generation_that_cannot_be_removed_fails_no_sync(lab: Lab) -> None:
    arm("before_discard=raise")

    outcome = lab.sync("full")

    assert (outcome.seq, lab.landed()) == (1, lab.source())


def test_a_resumed_load_by_changes_holds_no_row_that_was_deleted_meanwhile(lab: Lab) -> None:
    lab.world.parts = 3
    lab.world.on_read["2"] = fail(PermanentError("the source fell"))
    with pytest.raises(PermanentError):
        lab.sync("changes", resumable=True)
    lab.world.delete(0)
    lab.world.put((1, "changed", 99), (40, "new", 1))

    lab.sync("changes", resumable=True)

    assert lab.world.asked.count("position") == 1
    assert lab.landed() == lab.source()


# boundaries


def test_rows_at_the_boundary_of_two_syncs_come_once_without_a_key(lab: Lab) -> None:
    lab.sync("full", **KEYLESS)
    lab.world.put((10, "late, at the same moment", 9), (11, "later", 12))

    lab.sync(**KEYLESS)
    again = lab.sync(**KEYLESS)

    assert lab.landed() == lab.source()
    assert again.rows_written == 0


def test_rows_that_are_equal_are_counted_and_not_taken_for_one(lab: Lab) -> None:
    columns = {"columns": ["name", "at"]}
    lab.world.rows = {1: (1, "same", 5), 2: (2, "same", 5)}
    lab.sync("full", settings=columns, **KEYLESS)
    lab.world.put((3, "same", 5))

    outcome = lab.sync(settings=columns, **KEYLESS)

    assert outcome.rows_written == 1


def test_a_boundary_of_too_many_rows_leads_to_a_full_sync_and_is_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servicetsunami.sync.boundary.Boundary.__init__.__defaults__", (3,))
    lab.world.put(*((number, "crowd", 7) for number in range(20, 30)))
    lab.world.rows = {key: row for key, row in lab.world.rows.items() if row[2] <= 7}

    first = lab.sync("full", **KEYLESS)
    lab.world.asked.clear()
    lab.sync(**KEYLESS)

    assert "too many rows" in " ".join(first.notes)
    assert lab.world.asked == ["all"]
    assert lab.landed() == lab.source()


def test_a_watermark_holds_the_mark_back_and_lets_a_late_row_in(lab: Lab) -> None:
    lab.world.watermark = [5]
    lab.sync("full")
    lab.world.put((50, "committed late", 6))

    lab.sync()

    assert lab.landed() == lab.source()
    assert lab.world.asked[-1] == "since 5"


def test_a_source_that_says_nothing_is_settled_stays_where_it_was(lab: Lab) -> None:
    lab.sync("full")
    lab.world.put((10, "ten", 20))
    lab.world.watermark = [None]

    lab.sync()
    lab.sync()

    assert lab.world.asked[-1] == "since 9"
    assert lab.landed() == lab.source()


@pytest.mark.parametrize("keys", [{}, KEYLESS])
def test_a_lag_reads_again_what_may_have_come_late(lab: Lab, keys: dict[str, Any]) -> None:
    lab.sync("full", settings={"lag": 4}, **keys)
    lab.world.put((50, "committed late", 6))

    lab.sync(settings={"lag": 4}, **keys)

    assert lab.world.asked[-1] == "since 5"
    assert lab.landed() == lab.source()


def test_a_lag_steps_back_from_a_watermark_too(lab: Lab) -> None:
    lab.world.watermark = [8]
    lab.sync("full", settings={"lag": 3})
    lab.world.put((50, "by a clock that is behind", 6))

    lab.sync(settings={"lag": 3})

    assert lab.world.asked[-1] == "since 5"
    assert lab.landed() == lab.source()


def test_a_cursor_of_another_type_begins_anew_and_is_told(lab: Lab) -> None:
    lab.sync("full")
    schema = pa.schema([("id", pa.int64()), ("name", pa.string()), ("at", pa.string())])
    texts: dict[int, Any] = {1: (1, "one", "x")}
    lab.world.rows = texts

    outcome = lab.sync(schema=schema)

    assert lab.world.asked[-1] == "all"
    assert "changed its type" in " ".join(outcome.notes)


def test_a_key_that_was_chosen_since_begins_anew(lab: Lab) -> None:
    lab.sync("full", **KEYLESS)
    lab.world.put((1, "changed", 20))
    lab.sync(**KEYLESS)

    lab.sync()

    assert lab.landed() == lab.source()


# changes


def test_what_changes_during_the_first_read_arrives_with_the_next_sync(lab: Lab) -> None:
    lab.world.on_read["all"] = lambda: lab.world.put((1, "changed while it was read", 90))

    lab.sync("changes")
    lab.world.delete(2)
    lab.sync("changes")

    assert lab.world.asked.index("position") < lab.world.asked.index("all")
    assert lab.landed() == lab.source()


@pytest.mark.parametrize("place", ["before_commit", "before_verify", "after_commit", "before_ack", "after_ack"])
def test_changes_are_acknowledged_after_their_commit_and_healed_by_the_next_run(lab: Lab, place: str) -> None:
    lab.sync("changes")
    lab.world.put((1, "changed", 90), (70, "new", 91))
    lab.world.delete(2)
    lab.world.acked.clear()
    # The position is acknowledged once more before the changes are read.
    arm(f"{place}:2=raise" if place.endswith("ack") else f"{place}=raise")
    try:
        lab.sync("changes")
    except RuntimeError:
        acked_too_early = [at for at in lab.world.acked if at > 10 and lab.landed() != lab.source()]
        assert acked_too_early == []

    lab.sync("changes")

    assert lab.landed() == lab.source()
    assert lab.world.acked[-1] == len(lab.world.log)


@pytest.mark.parametrize("resumable", [False, True])
@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_a_first_load_by_changes_that_died_holds_no_log_once_the_table_is_synced_another_way(
    lab: Lab, mode: SyncMode, resumable: bool
) -> None:
    arm("before_stage=raise")
    with pytest.raises(RuntimeError):
        lab.sync("changes", resumable=resumable)

    lab.sync(mode, resumable=resumable)
    lab.sync(mode, resumable=resumable)

    assert lab.world.asked.count("release") == 1
    assert lab.landed() == lab.source()


def test_a_source_that_cannot_be_told_is_a_note_and_no_failure(lab: Lab) -> None:
    lab.sync("changes")
    lab.world.put((70, "new", 91))
    lab.world.away = True

    outcome = lab.sync("changes")

    assert lab.landed() == lab.source()
    assert "was not told" in " ".join(outcome.notes)


def test_a_table_that_keeps_deleted_rows_has_their_mark_from_its_first_load(lab: Lab) -> None:
    soft = {"deletes": "soft"}

    shown = []
    for mode, key in (("changes", ("id",)), ("changes", ("id",)), ("changes", ("id", "name")), ("full", ("id",))):
        lab.world.put((len(lab.world.rows), "new", 90))
        lab.sync(cast("SyncMode", mode), key=key, settings=soft)
        shown.append("_deleted_at" in [column.name for column in lab.sink.describe(TABLE).columns])

    assert shown == [True, True, True, False]
    assert lab.landed() == lab.source()


def test_deleted_rows_that_a_table_filled_anew_has_no_more_are_told(lab: Lab) -> None:
    soft = {"deletes": "soft"}
    lab.sync("changes", settings=soft)
    lab.world.delete(2)
    kept = lab.sync("changes", settings=soft)
    still = lab.landed()

    anew = lab.sync("changes", key=("id", "name"), settings=soft)

    assert len(still) == len(lab.source()) + 1
    assert lab.landed() == lab.source()
    assert ["_deleted_at" in " ".join(outcome.notes) for outcome in (kept, anew)] == [False, True]


def test_changes_of_a_stream_without_key_are_refused(lab: Lab) -> None:
    with pytest.raises(ConfigError) as refused:
        lab.sync("changes", **KEYLESS)

    assert refused.value.code == "no_key"


# record and table


def test_a_commit_whose_end_was_not_recorded_counts_and_is_told(lab: Lab) -> None:
    lab.sync("full")

    outcome = lab.sync(recorded_seq=0)

    assert "Run run_1 had committed" in " ".join(outcome.notes)


def test_a_table_older_than_its_record_is_told(lab: Lab) -> None:
    lab.sync("full")

    outcome = lab.sync(recorded_seq=7)

    assert "older than the record" in " ".join(outcome.notes)
