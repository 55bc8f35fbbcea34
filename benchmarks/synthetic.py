"""A source that costs nothing: batches like lineitem that lie ready, so that only what carries them is measured."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal

import pyarrow as pa

from servicetsunami.sdk import Config, Item, Read, Source, Stream

_BATCH_ROWS = 65_536


class SyntheticConfig(Config):
    """How many rows there are, and whether the read hangs after them."""

    rows: int = 6_001_215
    hangs: bool = False


class Synthetic(Source[SyntheticConfig]):
    """Yields one batch again and again."""

    name = "synthetic"

    def streams(self) -> Iterable[Stream]:
        """Yield the only stream."""
        yield Stream("lineitem", schema=_batch().schema)

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the rows, up to the limit."""
        batch, left = _batch(), read.limit or self.config.rows
        while left > 0:
            yield batch.slice(0, min(left, _BATCH_ROWS))
            left -= _BATCH_ROWS
        while self.config.hangs:
            signal.pause()


def _batch() -> pa.RecordBatch:
    numbers = pa.array(range(_BATCH_ROWS), pa.int64())
    money = pa.array([Decimal(number) / 100 for number in range(_BATCH_ROWS)], pa.decimal128(15, 2))
    days = pa.array([date(1992, 1, 2 + number % 28) for number in range(_BATCH_ROWS)], pa.date32())
    columns = {
        **{f"key_{number}": numbers for number in range(3)},
        "linenumber": numbers.cast(pa.int32()),
        **{f"money_{number}": money for number in range(4)},
        **{f"flag_{number}": pa.array([("R", "A", "N")[n % 3] for n in range(_BATCH_ROWS)]) for number in range(2)},
        **{f"day_{number}": days for number in range(3)},
        "shipinstruct": pa.array([("DELIVER IN PERSON", "COLLECT COD", "NONE")[n % 3] for n in range(_BATCH_ROWS)]),
        "shipmode": pa.array([("AIR", "RAIL", "TRUCK")[n % 3] for n in range(_BATCH_ROWS)]),
        "comment": pa.array([f"carefully final deposits {n}" for n in range(_BATCH_ROWS)]),
    }
    return pa.RecordBatch.from_pydict(columns)
