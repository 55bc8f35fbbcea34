"""Batches with their lineage, and what becomes of records that are none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from servicetsunami.sdk import RESCUED, Read
from servicetsunami_files.names import SOURCE_FILE, SOURCE_MODIFIED, SOURCE_ROW
from servicetsunami_files.places import Place

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Quarantined:
    """A record that cannot be read as a row."""

    row: int
    """Number of the record, counted from 1 with good ones, from where its rows begin."""
    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Parsed:
    """Some records of a file: those that are rows, and those that are not."""

    batches: Sequence[pa.RecordBatch]
    bad: Sequence[Quarantined] = ()
    numbers: Sequence[int] | None = None
    """Numbers of the rows of all batches where records are not counted from 1, such as the rows of a sheet."""

    @property
    def records(self) -> int:
        """How many records these were."""
        rows: int = sum(batch.num_rows for batch in self.batches)
        return rows + len(self.bad)


@dataclass
class Labeller:
    """Adds lineage to what is read of one file, and counts."""

    place: Place
    read: Read
    row: int = 0
    bad: int = field(default=0, init=False)

    def label(self, parsed: Parsed) -> Iterator[pa.RecordBatch]:
        """Yield the batches with lineage, and one of the records that are no rows."""
        wrong = {one.row for one in parsed.bad}
        before = 0
        for batch in parsed.batches:
            if batch.num_rows:
                yield self._with_lineage(batch, self._numbers(parsed, before, batch.num_rows, wrong))
            before += batch.num_rows
        if parsed.bad:
            yield self._quarantine(parsed.bad)
        self.bad += len(parsed.bad)
        self.row += parsed.records if parsed.numbers is None else 0

    def _numbers(self, parsed: Parsed, before: int, count: int, wrong: set[int]) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        if parsed.numbers is not None:
            return pa.array(parsed.numbers[before : before + count], pa.int64())
        if not wrong:
            return pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), count), start=self.row + before)
        good = (number for number in range(1, before + count + len(wrong) + 1) if number not in wrong)
        return pa.array([self.row + number for number in good][before : before + count], pa.int64())

    def _with_lineage(self, batch: pa.RecordBatch, numbers: pa.Array) -> pa.RecordBatch:
        import pyarrow as pa

        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        columns.update(self._partitions(batch.num_rows))
        columns.update(self._lineage(numbers))
        wanted = self.read.columns
        kept = {name: array for name, array in columns.items() if not wanted or name in wanted or name == RESCUED}
        return pa.RecordBatch.from_pydict(kept)

    def _partitions(self, count: int) -> dict[str, pa.Array]:
        import pyarrow as pa

        return {name: pa.repeat(pa.scalar(value, pa.string()), count) for name, value in self.place.partitions.items()}

    def _lineage(self, numbers: pa.Array) -> dict[str, pa.Array]:
        import pyarrow as pa

        moment = pa.scalar(self.place.changed, pa.timestamp("us", "UTC"))
        return {
            SOURCE_FILE: pa.repeat(self.place.name, len(numbers)),
            SOURCE_ROW: numbers,
            SOURCE_MODIFIED: pa.repeat(moment, len(numbers)),
        }

    def _quarantine(self, bad: Sequence[Quarantined]) -> pa.RecordBatch:
        import pyarrow as pa

        texts = [_told(one) for one in bad]
        numbers = pa.array([self.row + one.row for one in bad], pa.int64())
        return self._with_lineage(pa.RecordBatch.from_pydict({RESCUED: pa.array(texts, pa.string())}), numbers)


def _told(one: Quarantined) -> str:
    found: Mapping[str, Any] = {"_line": one.line, "_reason": one.reason, "_text": one.text}
    return json.dumps(found, ensure_ascii=False)
