"""A good change feed over a database in memory, and how the suite writes to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic import SecretStr

from servicetsunami.sdk import (
    OP,
    UNCHANGED,
    ChangeFeed,
    Changes,
    Checkpoint,
    Config,
    Item,
    Json,
    NotFound,
    PermanentError,
    Read,
    Source,
    Stream,
)
from servicetsunami.sdk.testing import FeedContract

PASSWORD = "canary-correct-horse"
Row = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One line of the log; `k` is a change of the key from `old`."""

    stream: str
    op: str
    row: Row
    unchanged: tuple[str, ...] = ()
    old: int = 0


@dataclass(frozen=True)
class Transaction:
    """What was committed together; `begun` counts transactions in the order in which they began."""

    begun: int
    events: tuple[Event, ...]


@dataclass
class Database:
    """A table of people that lies in memory, and the log of its transactions in the order of their commits."""

    columns: list[str] = field(default_factory=lambda: ["id", "name", "photo"])
    people: dict[int, Row] = field(default_factory=dict)
    log: list[Transaction] = field(default_factory=list)
    slots: dict[str, int] = field(default_factory=dict)
    begun: int = 0

    def begin(self) -> int:
        self.begun += 1
        return self.begun - 1

    def commit(self, *events: Event, begun: int | None = None) -> None:
        self.log.append(Transaction(self.begin() if begun is None else begun, events))
        for event in events:
            if event.stream == "people":
                self.apply(event)

    def apply(self, event: Event) -> None:
        if event.op == "t":
            self.people.clear()
        elif event.op == "d":
            del self.people[event.row["id"]]
        else:
            self.people.pop(event.old, None)
            self.people[event.row["id"]] = {**self.people.get(event.row["id"], {}), **event.row}


DATABASES: dict[str, Database] = defaultdict(Database)


class PeopleConfig(Config):
    database: str
    password: SecretStr


class People(Source[PeopleConfig], ChangeFeed):
    """People in a database that keeps a log."""

    name = "people"
    batch = 2
    slot = ""

    @property
    def db(self) -> Database:
        return DATABASES[self.config.database]

    def slot_of(self, streams: Sequence[Stream]) -> str:
        return "_".join(["slot", self.ctx.connection, *(stream.id for stream in streams)])

    def streams(self) -> Iterable[Stream]:
        types = [(name, pa.int64() if name == "id" else pa.string()) for name in self.db.columns]
        yield Stream("people", schema=pa.schema(types), key=("id",))
        yield Stream("pets", key=("id",))

    def read(self, read: Read) -> Iterator[Item]:
        if read.stream.name == "people" and self.db.people:
            yield list(self.db.people.values())

    def position(self, streams: Sequence[Stream]) -> Json:
        for stream in streams:
            if stream.name not in ("people", "pets"):
                raise NotFound(f"there is no stream {stream.name}")
        self.slot = self.slot_of(streams)
        self.db.slots[self.slot] = self.end()
        return self.state(self.end())

    def end(self) -> int:
        return len(self.db.log)

    def changes(self, streams: Sequence[Stream], state: Json) -> Iterator[Item]:
        self.slot = state["slot"]
        first, end = self.first(state), len(self.db.log)
        followed = [stream.id for stream in streams]
        for number in self.numbers(first, end):
            events = [event for event in self.db.log[number].events if self.wanted(event, followed)]
            yield from self.told(number, events[state.get("row", 0) if number == first else 0 :])
            yield from self.checkpoint(number, end)
        yield from self.last(first, end)

    def first(self, state: Json) -> int:
        if self.slot not in self.db.slots or state["at"] < self.db.slots[self.slot]:
            raise PermanentError("the log is gone", code="log_gone", fix="begin the feed anew")
        return int(state["at"])

    def numbers(self, first: int, end: int) -> Iterable[int]:
        return range(first, end)

    def wanted(self, event: Event, followed: Sequence[str]) -> bool:
        return event.stream in followed

    def told(self, number: int, events: Sequence[Event]) -> Iterator[Item]:
        del number
        for start in range(0, len(events), self.batch):
            yield from self.item(events[start : start + self.batch])

    def item(self, events: Sequence[Event]) -> Iterator[Item]:
        rows = [self.line(op, row, event.unchanged) for event in events for op, row in self.lines(event)]
        yield Changes(events[0].stream, rows)

    def lines(self, event: Event) -> Iterable[tuple[str, Row]]:
        if event.op != "k":
            return [(event.op, event.row)]
        return [("d", {"id": event.old}), ("c", event.row)]

    def line(self, op: str, row: Row, unchanged: Sequence[str]) -> Row:
        return {OP: op, **row, **({UNCHANGED: list(unchanged)} if unchanged else {})}

    def checkpoint(self, number: int, end: int) -> Iterator[Item]:
        del end
        yield Checkpoint(self.state(number + 1))

    def last(self, first: int, end: int) -> Iterator[Item]:
        yield Checkpoint(self.state(max(first, end)))

    def state(self, at: int) -> Json:
        return {"at": at, "slot": self.slot}

    def ack(self, state: Json) -> None:
        self.slot = state["slot"]
        self.db.slots[self.slot] = max(self.db.slots[self.slot], state["at"])

    def release(self, streams: Sequence[Stream]) -> None:
        self.db.slots.pop(self.slot_of(streams), None)

    def lag_bytes(self, streams: Sequence[Stream]) -> int | None:
        held = self.db.slots.get(self.slot_of(streams))
        return None if held is None else len(self.db.log) - held


class PeopleFeed(FeedContract):
    """How the suite writes to the database in memory."""

    connector = People
    followed = "people"
    column = "name"
    large = 9

    def db(self, config: Mapping[str, Any]) -> Database:
        return DATABASES[config["database"]]

    def row(self, config: Mapping[str, Any], key: int, value: str) -> Row:
        return {name: f"{name} of {key}" for name in self.db(config).columns} | {"id": key, "name": value}

    def insert(self, config: Mapping[str, Any], key: int, value: str) -> None:
        self.db(config).commit(Event("people", "c", self.row(config, key, value)))

    def update(self, config: Mapping[str, Any], key: int, value: str) -> None:
        self.db(config).commit(Event("people", "u", {**self.db(config).people[key], "name": value}))

    def delete(self, config: Mapping[str, Any], key: int) -> None:
        self.db(config).commit(Event("people", "d", {"id": key}))

    def insert_many(self, config: Mapping[str, Any], keys: Sequence[int]) -> None:
        self.db(config).commit(*(Event("people", "c", self.row(config, key, "many")) for key in keys))

    @contextmanager
    def open_insert(self, config: Mapping[str, Any], key: int) -> Iterator[None]:
        begun = self.db(config).begin()
        yield
        self.db(config).commit(Event("people", "c", self.row(config, key, "late")), begun=begun)

    def change_key(self, config: Mapping[str, Any], old: int, new: int) -> None:
        self.db(config).commit(Event("people", "k", {**self.db(config).people[old], "id": new}, old=old))

    def truncate(self, config: Mapping[str, Any]) -> None:
        self.db(config).commit(Event("people", "t", {}))

    def leave_unchanged(self, config: Mapping[str, Any], key: int) -> None:
        self.insert(config, key, "before")
        self.db(config).commit(Event("people", "u", {"id": key, "name": "later"}, unchanged=("photo",)))

    def add_column(self, config: Mapping[str, Any]) -> None:
        self.db(config).columns.append("town")

    def write_elsewhere(self, config: Mapping[str, Any]) -> None:
        self.db(config).commit(Event("pets", "c", {"id": 1, "name": "Rex"}))

    def left_behind(self, config: Mapping[str, Any]) -> bool:
        return bool(self.db(config).slots)
