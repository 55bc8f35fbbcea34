"""Parts that a dead run planned are planned again: what moved between them or was written since arrives once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest

from servicetsunami.sdk import (
    Config,
    Item,
    PermanentError,
    Read,
    Source,
    Split,
    Splittable,
    Stream,
    TableName,
    TransientError,
    TsunamiError,
    Watermark,
)
from servicetsunami.sdk.testing import LocalContext
from servicetsunami.sync import Progress, SyncJob, SyncOutcome
from servicetsunami.sync.engine import Engine
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("at", pa.int64())])
STREAM = Stream("goods", schema=SCHEMA, key=("id",), cursor="at", resumable=True)
TABLE = TableName("bronze", "goods")
SHELVES = 3


@dataclass
class Version:
    """A row as it lies on a shelf."""

    shelf: int
    written: int
    name: str
    at: int


@dataclass
class Store:
    """Rows on shelves, a clock that counts writes, and what readers asked for."""

    rows: dict[int, Version] = field(default_factory=dict)
    clock: int = 0
    settled: int = 5
    asked: list[str] = field(default_factory=list)
    broken: str = ""
    """The part that cannot be read."""
    refusal: str = ""
    """Why no plan is made again: `lost`, or `forgets` a part."""

    def put(self, key: int, shelf: int, name: str, at: int = 1) -> None:
        self.clock += 1
        self.rows[key] = Version(shelf, self.clock, name, at)


class Shop(Source[Config], Splittable):
    """Has a part for each shelf."""

    name = "shop"

    def __init__(self, ctx: LocalContext, store: Store) -> None:
        super().__init__(Config(), ctx)
        self.store = store

    def streams(self) -> Iterator[Stream]:
        yield STREAM

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        assert (read.split, target) == (None, 8)
        return [Split(str(shelf), {"planned": self.store.clock}) for shelf in range(SHELVES)]

    def replan(self, read: Read, splits: Sequence[Split]) -> Sequence[Split]:
        assert read.stream == STREAM
        if self.store.refusal == "lost":
            raise TransientError("the shelves were moved", code="plan_lost")
        planned = splits[0].params["planned"]
        again = [Split(split.id, {"planned": planned, "until": planned}) for split in splits]
        return [*again[self.store.refusal == "forgets" :], Split("since", {"after": planned})]

    def read(self, read: Read) -> Iterator[Item]:
        part = read.split.id if read.split else f"since {read.since}"
        self.store.asked.append(part)
        yield [
            {"id": key, "name": row.name, "at": row.at}
            for key, row in self.store.rows.items()
            if _holds(read, row) and (read.since is None or row.at >= read.since)
        ]
        if part == self.store.broken:
            raise PermanentError("the shelf fell")
        yield Watermark(self.store.settled)


def _holds(read: Read, row: Version) -> bool:
    params = read.split.params if read.split else {}
    if "after" in params:
        return bool(row.written > params["after"])
    return read.split is None or (str(row.shelf) == read.split.id and row.written <= params.get("until", row.written))


@dataclass
class Lab:
    """A store, a sink, and syncs between them."""

    path: Path
    sink: LakehouseSink
    store: Store
    runs: int = 0

    def sync(self) -> SyncOutcome:
        self.runs += 1
        job = SyncJob(f"run_{self.runs}", "conn_1/goods", STREAM, TABLE, "incremental", backoff_seconds=0)
        ctx = LocalContext(data_dir=self.path / "source")
        return Engine(job, lambda: Shop(ctx, self.store), self.sink, Progress(), threading.Event()).run()

    def broken_off(self) -> None:
        """Sync until the last shelf falls."""
        self.store.broken = "2"
        with pytest.raises(PermanentError):
            self.sync()
        self.store.broken = ""
        self.store.asked.clear()

    def landed(self) -> list[tuple[int, str]]:
        from deltalake import DeltaTable

        rows = DeltaTable(str(self.sink._folders.table(TABLE))).to_pyarrow_table(columns=["id", "name"]).to_pylist()
        return sorted((row["id"], row["name"]) for row in rows)

    def source(self) -> list[tuple[int, str]]:
        return sorted((key, row.name) for key, row in self.store.rows.items())


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    sink = LakehouseSink(LakehouseConfig(), LocalContext(data_dir=tmp_path / "data", tenant="acme"))
    store = Store()
    for key in range(9):
        store.put(key, key % SHELVES, f"name {key}")
    yield Lab(tmp_path, sink, store)
    sink.close()


def test_rows_that_moved_between_parts_are_neither_lost_nor_doubled(lab: Lab) -> None:
    lab.broken_off()
    lab.store.put(2, 0, "moved to a shelf that was read")
    lab.store.put(0, 2, "moved to the shelf that was not")
    lab.store.put(20, 1, "new")

    outcome = lab.sync()

    assert lab.landed() == lab.source()
    assert lab.store.asked[-1] == "since"
    assert "had loaded before it ended" in " ".join(outcome.notes)


def test_a_load_that_breaks_off_twice_still_has_every_row_once(lab: Lab) -> None:
    lab.broken_off()
    lab.store.put(2, 0, "moved")
    lab.broken_off()
    lab.store.put(0, 2, "moved too")
    lab.store.put(2, 1, "moved again")

    lab.sync()

    assert lab.landed() == lab.source()


def test_the_next_sync_goes_on_from_what_was_settled_when_the_last_part_was_planned(lab: Lab) -> None:
    lab.broken_off()
    lab.store.put(20, 1, "new", at=30)
    lab.store.settled = 25
    lab.sync()
    lab.store.put(21, 1, "late", at=26)

    lab.sync()

    assert lab.store.asked[-1] == "since 25"
    assert lab.landed() == lab.source()


def test_a_plan_that_is_lost_is_made_anew_and_told(lab: Lab) -> None:
    lab.broken_off()
    lab.store.refusal = "lost"
    lab.store.rows.pop(0)

    outcome = lab.sync()

    assert sorted(lab.store.asked) == ["0", "1", "2"]
    assert lab.landed() == lab.source()
    assert "the shelves were moved" in " ".join(outcome.notes)
    assert [path for path in (lab.sink._folders.home / "_generations").rglob("*") if path.is_file()] == []


def test_a_plan_without_one_of_its_parts_is_the_connectors_fault(lab: Lab) -> None:
    lab.broken_off()
    lab.store.refusal = "forgets"

    with pytest.raises(TsunamiError) as refused:
        lab.sync()

    assert refused.value.code == "plugin_misbehaved"
