"""What `FeedContract` does to a change feed: follow it, keep what it tells, and apply that to rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import pyarrow as pa
import pytest

from servicetsunami.sdk import RESCUED, ChangeFeed, Changes, Checkpoint, Json, Read, Stream
from servicetsunami.sdk.rows import to_batches
from servicetsunami.sdk.testing.context import LocalContext, OutOfPatienceError
from servicetsunami.sdk.testing.probe import Caught, Row, SourceProbe, canonical

OPS = ("c", "u", "d", "t")


@dataclass(frozen=True)
class Change:
    """One change of one row: `row` holds the stream's columns, `unchanged` those the log did not repeat."""

    stream: str
    op: Any
    row: Row
    unchanged: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the change in a form that can be compared."""
        return json.dumps([self.stream, self.op, self.row, self.unchanged], default=repr, sort_keys=True)


@dataclass
class Log:
    """All that one reading of a feed told."""

    changes: list[Change] = field(default_factory=list)
    checkpoints: list[tuple[int, Any]] = field(default_factory=list)
    """Each checkpoint's state, with the number of changes before it."""
    batches: list[int] = field(default_factory=list)
    """Number of changes in each batch."""
    kinds: list[str] = field(default_factory=list)
    """What was yielded, by name of its class."""
    ended: bool = False

    def keep(self, item: object, stream: Stream) -> None:
        """Add what the feed yielded."""
        self.kinds.append(type(item).__name__)
        if isinstance(item, Checkpoint):
            self.checkpoints.append((len(self.changes), item.state))
        elif isinstance(item, Changes):
            told = list(_told(item, stream))
            self.batches.append(len(told))
            self.changes += told

    def texts(self, first: int = 0) -> list[str]:
        """Return the changes from number `first` on in a form that can be compared."""
        return [change.text() for change in self.changes[first:]]

    def of(self, key: Mapping[str, Any]) -> list[Change]:
        """Return the changes of the row that has these values."""
        return [change for change in self.changes if key.items() <= change.row.items()]

    def fault(self, stream: Stream) -> str | None:
        """Name the check that tells why these changes cannot be applied; None if they can be."""
        own = [change for change in self.changes if change.stream == stream.id]
        if not self.ended:
            return "test_a_feed_ends_by_itself"
        if any(change.op not in OPS for change in own):
            return "test_operations_are_known"
        if any(change.row.get(name) is None for change in own if change.op == "d" for name in stream.key):
            return "test_deletes_carry_the_key"
        return None


@dataclass(frozen=True)
class FeedProbe(SourceProbe):
    """Opens and follows one change feed under test."""

    followed: str = ""
    """Id of the stream that the suite writes to."""
    max_rows: int = 1_000_000
    max_items: int = 100_000
    """A feed that yields more than so many items does not end."""
    patience_seconds: float = 30.0
    """A feed that asks to sleep for longer in all does not end."""
    connection: str = "conn_test"

    def context(self) -> LocalContext:
        """Return what the host gives to an instance of this connection."""
        return LocalContext(data_dir=self.data_dir, connection=self.connection, patience_seconds=self.patience_seconds)

    def stream(self) -> Stream:
        """Discover the stream that the suite writes to."""
        found = {stream.id: stream for stream in self.streams()}
        assert self.followed in found, f"the suite follows '{self.followed}', the connector offers {sorted(found)}"
        assert found[self.followed].key, f"{self.followed} has no key: its changes cannot be applied"
        return found[self.followed]

    @contextmanager
    def feed(self, **changes: Any) -> Iterator[ChangeFeed]:
        """Yield an instance of its own as a feed; close it afterwards."""
        with self.open(**changes) as source:
            assert isinstance(source, ChangeFeed), f"{self.connector.__name__} does not add the mixin ChangeFeed"
            yield source

    @contextmanager
    def started(self) -> Iterator[Any]:
        """Yield the position of a feed begun anew; whatever happens, release it afterwards."""
        self.release()
        try:
            yield self.position()
        finally:
            self.release()

    def position(self) -> Any:
        """Take the position with an instance of its own."""
        with self.feed() as feed:
            return feed.position([self.stream()])

    def ack(self, state: Json) -> None:
        """Acknowledge with an instance of its own."""
        with self.feed() as feed:
            feed.ack(state)

    def release(self) -> None:
        """Release with an instance of its own, whether it works or not; a check of its own says whether it does."""
        with Caught(), self.feed() as feed:
            feed.release([self.stream()])

    def follow(self, state: Json, *, each: Callable[[], object] | None = None, most: int | None = None) -> Log:
        """Read the changes after `state` with an instance of its own; do `each` after every item, stop after `most`."""
        with self.feed() as feed:
            return self.told(feed, state, each=each, most=most)

    def told(
        self, feed: ChangeFeed, state: Json, *, each: Callable[[], object] | None = None, most: int | None = None
    ) -> Log:
        """Read the changes after `state` with the instance given, and close the generator."""
        log, stream = Log(), self.stream()
        items = cast("Any", feed.changes([stream], state))
        with suppress(OutOfPatienceError), closing(items):
            for item in items:
                log.keep(item, stream)
                if each is not None:
                    each()
                if len(log.kinds) >= (most or self.max_items):
                    return log
            log.ended = True
        return log

    def sound(self, state: Json) -> Log:
        """Read the changes after `state`; skip the check where another one says why they cannot be applied."""
        log = self.follow(state)
        fault = log.fault(self.stream())
        if fault is not None:
            pytest.skip(f"{fault} tells why these changes cannot be looked at")
        return log

    def repeatable(self, state: Json) -> Log:
        """Read the changes after `state` twice; skip the check where another one says why the readings differ."""
        log, again = self.sound(state), Log()
        with Caught():
            again = self.follow(state)
        if again.texts() != log.texts():
            pytest.skip("test_the_same_state_gives_the_same_changes tells why these changes cannot be looked at")
        return log

    def key(self, key: int) -> Row:
        """Return the key column with this value."""
        return {self.stream().key[0]: key}

    def rows(self) -> list[Row]:
        """Read the stream as it is now."""
        return self.read(Read(self.stream())).rows


def applied(rows: Sequence[Row], changes: Sequence[Change], key: Sequence[str]) -> list[Row]:
    """Return `rows` after `changes`, as a sink has them that applies them in order, by key."""
    table = {_key(row, key): row for row in rows}
    for change in changes:
        at = _key(change.row, key)
        if change.op == "t":
            table.clear()
        elif change.op == "d":
            table.pop(at, None)
        else:
            kept = {name: table.get(at, {}).get(name) for name in change.unchanged}
            table[at] = {**change.row, **kept}
    return list(table.values())


def canonical_rows(rows: Sequence[Row], stream: Stream) -> list[str]:
    """Return the rows, with the columns of the schema where there is one, in a form that can be compared."""
    if stream.schema is None:
        return canonical(rows)
    return canonical([{name: row.get(name) for name in stream.schema.names} for row in rows])


def _key(row: Row, key: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in key)


def _told(item: Changes, stream: Stream) -> Iterator[Change]:
    schema = stream.schema if item.stream == stream.id else None
    for batch in to_batches(item.rows, _nullable(schema)):
        for row in batch.to_pylist():
            op, unchanged = row.pop(item.op, None), row.pop(item.unchanged, None)
            row.pop(item.seq, None)
            yield Change(item.stream, op, row, tuple(unchanged or ()))


def _nullable(schema: pa.Schema | None) -> pa.Schema | None:
    """Return the schema without its promise of values: a delete brings the key only."""
    return None if schema is None else pa.schema([column.with_nullable(True) for column in schema])


def rescued(change: Change) -> list[str]:
    """Name the columns of a change whose cells did not fit the declared type."""
    return list(json.loads(change.row[RESCUED])) if change.row.get(RESCUED) else []
