"""A source in memory that changes as a test wishes, and a sink that does nothing more once its process has died."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

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
    Stream,
    TableName,
    Transaction,
)
from servicetsunami.sdk.testing import LocalContext
from servicetsunami.sync import failpoints
from servicetsunami_sink_lakehouse.config import LakehouseConfig
from servicetsunami_sink_lakehouse.sink import LakehouseSink

BATCH_ROWS = 3
Row = dict[str, Any]


@dataclass
class Database:
    """One table, and the log of all that happened to it."""

    columns: dict[str, pa.DataType] = field(
        default_factory=lambda: {"id": pa.int64(), "seqno": pa.int64(), "n": pa.int32()}
    )
    rows: dict[int, Row] = field(default_factory=dict)
    log: list[tuple[str, Row]] = field(default_factory=list)
    steps: int = 0
    acknowledged: int = 0

    def put(self, key: int, values: Row) -> None:
        """Insert a row or change it."""
        self.steps += 1
        row = {**dict.fromkeys(self.columns), **self.rows.get(key, {}), **values, "id": key, "seqno": self.steps}
        self.log.append(("u" if key in self.rows else "c", row))
        self.rows[key] = row

    def delete(self, key: int) -> None:
        self.log.append(("d", self.rows.pop(key)))

    def empty(self) -> None:
        self.log.append(("t", dict.fromkeys(self.columns)))
        self.rows.clear()

    def move(self, key: int, to: int) -> None:
        """Change the key of a row."""
        row = self.rows[key]
        self.delete(key)
        self.put(to, row)

    def add_column(self, name: str, kind: pa.DataType) -> None:
        self.columns[name] = kind
        for row in self.rows.values():
            row[name] = None

    def drop_column(self, name: str) -> None:
        del self.columns[name]
        for row in self.rows.values():
            del row[name]

    def stream(self) -> Stream:
        return Stream("things", schema=pa.schema(list(self.columns.items())), key=("id",), cursor="seqno")


class NoConfig(Config):
    """Nothing to set."""


class MemorySource(Source[NoConfig], ChangeFeed):
    """Reads a `Database`."""

    name: ClassVar[str] = "memory"
    database: ClassVar[Database]

    def streams(self) -> Iterable[Stream]:
        return [self.database.stream()]

    def read(self, read: Read) -> Iterator[Item]:
        found = [row for row in self.database.rows.values() if read.since is None or row["seqno"] >= read.since]
        for begin in range(0, len(found), BATCH_ROWS):
            yield _batch(found[begin : begin + BATCH_ROWS], self.database.columns, read.columns)

    def position(self, streams: Sequence[Stream]) -> Json:
        assert [stream.id for stream in streams] == ["things"]
        return {"at": len(self.database.log)}

    def changes(self, streams: Sequence[Stream], state: Json) -> Iterator[Item]:
        end = len(self.database.log)
        assert state["at"] >= self.database.acknowledged, "the log was forgotten before it was committed"
        for begin in range(state["at"], end, BATCH_ROWS):
            entries = self.database.log[begin : min(begin + BATCH_ROWS, end)]
            rows = [{**row, "_op": op, "_seq": begin + place} for place, (op, row) in enumerate(entries)]
            columns = {**self.database.columns, "_op": pa.string(), "_seq": pa.int64()}
            yield Changes(streams[0].id, _batch(rows, columns))
        yield Checkpoint({"at": end})

    def ack(self, state: Json) -> None:
        self.database.acknowledged = max(self.database.acknowledged, state["at"])


class MortalSink(LakehouseSink):
    """The lakehouse of a process that is dead once an armed fail point was reached: it clears nothing up."""

    dies = False

    def begin(self, load: Load) -> Transaction:
        return _MortalTransaction(super().begin(load), self)

    def committed(self, load: Load) -> Commit:
        self.live()
        return super().committed(load)

    def replace(self, load: Load, seq: int, state: Json) -> None:
        self.live()
        super().replace(load, seq, state)

    def discard(self, table: TableName, generation: str) -> None:
        self.live()
        super().discard(table, generation)

    def live(self) -> None:
        """Raise what no handler takes for an error of the sync, if the process is dead."""
        if self.dies and not failpoints._armed:
            raise DeadError


class DeadError(BaseException):
    """The process is not there any more."""


class _MortalTransaction(Transaction):
    def __init__(self, own: Transaction, sink: MortalSink) -> None:
        self._own = own
        self._sink = sink

    def stage(self, batch: pa.RecordBatch) -> None:
        self._sink.live()
        self._own.stage(batch)

    def commit(self, seq: int, state: Json) -> None:
        self._sink.live()
        self._own.commit(seq, state)

    def abort(self) -> None:
        if self._sink.dies and not failpoints._armed:
            return
        self._own.abort()


def sink_in(context: LocalContext, *, dies: bool) -> MortalSink:
    """Open the lakehouse of a process that may die."""
    sink = MortalSink(LakehouseConfig(), context)
    sink.dies = dies
    return sink


def _batch(rows: Sequence[Row], columns: dict[str, pa.DataType], wanted: Sequence[str] | None = None) -> pa.RecordBatch:
    names = [name for name in columns if wanted is None or name in wanted]
    return pa.RecordBatch.from_arrays(
        [pa.array([row.get(name) for row in rows], columns[name]) for name in names], names=names
    )
