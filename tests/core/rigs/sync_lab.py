"""A source, a sink and a table to sync between them, whose every move a test can disturb."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import (
    ChangeFeed,
    Changes,
    Checkpoint,
    Commit,
    Config,
    Item,
    Json,
    Load,
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
from servicetsunami_sink_lakehouse import LakehouseSink

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


def fail(error: Exception) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it
