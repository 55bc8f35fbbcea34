"""The contract while others write to the source: a good connector passes, each broken one fails its check only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Config, Item, NotFound, Read, Source, Split, Splittable, Stream, Watermark
from servicetsunami.sdk.testing import SourceContract, SourceProbe, failing_checks

SCHEMA = pa.schema([("id", pa.int64()), ("at", pa.int64())])


@dataclass
class Table:
    """Rows with a cursor from a clock, and the values that open transactions have taken from it."""

    rows: list[dict[str, int]] = field(default_factory=lambda: [{"id": n, "at": n * 10} for n in range(1, 5)])
    clock: Iterator[int] = field(default_factory=lambda: count(50))
    open: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)


TABLES: dict[str, Table] = defaultdict(Table)


class OrdersConfig(Config):
    table: str


class Orders(Source[OrdersConfig], Splittable):
    """Orders that several transactions write at a time."""

    name = "orders"

    def streams(self) -> Iterable[Stream]:
        yield Stream("orders", schema=SCHEMA, key=("id",), cursor="at", resumable=True)

    def read(self, read: Read) -> Iterator[Item]:
        if read.stream.name != "orders":
            raise NotFound(f"there is no stream {read.stream.name}")
        rows = [row for row in TABLES[self.config.table].rows if self.wanted(row, read)][: read.limit]
        yield [{name: row[name] for name in read.columns or row} for row in rows]
        yield from self.settled(read)

    def wanted(self, row: dict[str, int], read: Read) -> bool:
        of_part = read.split is None or row["id"] % read.split.params["of"] == read.split.params["rest"]
        return of_part and (read.since is None or row["at"] >= read.since)

    def settled(self, read: Read) -> Iterator[Item]:
        if read.limit is None:
            yield Watermark(self.settled_value())

    def settled_value(self) -> Any:
        table = TABLES[self.config.table]
        return min(table.open, default=next(table.clock)) - 1

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        return [Split(f"{read.stream.id}-{rest}", {"rest": rest, "of": target}) for rest in range(target)]


class OrdersContract(SourceContract):
    @contextmanager
    def late_row(self, config: Mapping[str, Any], stream: Stream) -> Iterator[None]:
        assert stream.id == "orders"
        table = TABLES[config["table"]]
        value = next(table.clock)
        table.open.add(value)
        yield
        table.open.remove(value)
        table.rows.append({"id": value, "at": value})


class TestOrdersContract(OrdersContract):
    connector = Orders

    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"table": tmp_path.name}


class DeafToOpenTransactions(Orders):
    def settled_value(self) -> Any:
        return next(TABLES[self.config.table].clock)


class WatermarkAsText(Orders):
    def settled_value(self) -> Any:
        return str(super().settled_value())


class SilentSince(Orders):
    def settled(self, read: Read) -> Iterator[Item]:
        return super().settled(read) if read.since is None else iter(())


class WatermarkTwice(Orders):
    def settled(self, read: Read) -> Iterator[Item]:
        yield from super().settled(read)
        yield from super().settled(read)


class SilentPart(Orders):
    def settled(self, read: Read) -> Iterator[Item]:
        return super().settled(read) if read.split is None or read.split.params["rest"] else iter(())


class ExclusiveAtTheWatermark(Orders):
    def wanted(self, row: dict[str, int], read: Read) -> bool:
        greatest = max(other["at"] for other in TABLES[self.config.table].rows)
        return super().wanted(row, read) and (read.since != greatest or row["at"] > greatest)


class PartsOfPlaces(Orders):
    def wanted(self, row: dict[str, int], read: Read) -> bool:
        rows = TABLES[self.config.table].rows
        if read.split is None:
            return super().wanted(row, read)
        of, rest = read.split.params["of"], read.split.params["rest"]
        return bool(rows[::-1].index(row) * of // read.split.params["rows"] == rest)

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        rows = len(TABLES[self.config.table].rows)
        return [replace(part, params={**part.params, "rows": rows}) for part in super().splits(read, target)]


class PartsOfAMoment(Orders):
    def close(self) -> None:
        TABLES[self.config.table].held.discard(id(self))

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        TABLES[self.config.table].held.add(id(self))
        return [replace(part, params={**part.params, "moment": id(self)}) for part in super().splits(read, target)]

    def wanted(self, row: dict[str, int], read: Read) -> bool:
        held = read.split is None or read.split.params["moment"] in TABLES[self.config.table].held
        return held and super().wanted(row, read)


class ForgetsAPart(Orders):
    def replan(self, read: Read, splits: Sequence[Split]) -> Sequence[Split]:
        return super().replan(read, splits)[:-1]


class ResumableWithoutAKey(Orders):
    def streams(self) -> Iterable[Stream]:
        return [replace(stream, key=()) for stream in super().streams()]


MUTANTS: dict[type[Orders], str] = {
    DeafToOpenTransactions: "test_a_late_row_is_never_below_the_watermark",
    WatermarkAsText: "test_a_watermark_is_a_value_of_the_cursor",
    SilentSince: "test_a_read_gives_one_watermark",
    WatermarkTwice: "test_a_read_gives_one_watermark",
    SilentPart: "test_every_part_gives_a_watermark_or_none_does",
    PartsOfPlaces: "test_a_resumable_stream_is_read_on_after_its_planner",
    PartsOfAMoment: "test_a_resumable_stream_is_read_on_after_its_planner",
    ForgetsAPart: "test_a_resumable_stream_is_read_on_after_its_planner",
    ResumableWithoutAKey: "test_a_resumable_stream_is_read_on_after_its_planner",
    ExclusiveAtTheWatermark: "test_a_read_since_the_watermark_repeats_its_rows",
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda cls: cls.__name__)
def test_a_broken_connector_under_writes_fails_exactly_the_check_that_names_its_fault(
    mutant: type[Orders], tmp_path: Path
) -> None:
    probe = SourceProbe(mutant, {"table": str(tmp_path)}, tmp_path)

    failed = failing_checks(OrdersContract(), probe)

    assert failed == {MUTANTS[mutant]}


def test_a_watermark_of_a_stream_without_a_cursor_is_caught(tmp_path: Path) -> None:
    class NoCursor(Orders):
        def streams(self) -> Iterable[Stream]:
            yield Stream("orders", schema=SCHEMA, key=("id",))

    probe = SourceProbe(NoCursor, {"table": str(tmp_path)}, tmp_path)

    assert failing_checks(OrdersContract(), probe) == {"test_a_watermark_is_a_value_of_the_cursor"}
