"""Whatever many write, commit late, take back or vacuum: parts read at many moments make the table of the last one."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest

from servicetsunami.sdk import Read, Split, Stream
from servicetsunami_postgres import splitting

if TYPE_CHECKING:
    from conftest import Database

pytestmark = pytest.mark.server

TABLE = (
    "CREATE TABLE t (id int PRIMARY KEY, name text, filler text) WITH (autovacuum_enabled = off, fillfactor = 70)",
    "INSERT INTO t SELECT n, 'no ' || n, repeat('x', 700) FROM generate_series(1, 600) n",
)
WRITERS = 4
ENDS = ("COMMIT", "COMMIT", "COMMIT", "ROLLBACK")


class Writers:
    """Connections that each write a transaction at a time, a statement at a time, to rows of their own."""

    def __init__(self, runner: asyncio.Runner, connections: Sequence[asyncpg.Connection], dice: random.Random) -> None:
        self._runner = runner
        self._connections = connections
        self._dice = dice
        self._open: set[int] = set()
        self.gone: set[int] = set()
        """Keys that were deleted, or would have been."""
        self._next = 1000

    def write(self, times: int) -> None:
        for _ in range(times):
            number = self._dice.randrange(WRITERS)
            if number in self._open and self._dice.random() < 0.4:
                self._open.discard(number)
                self._execute(number, self._dice.choice(ENDS))
                continue
            if number not in self._open:
                self._open.add(number)
                self._execute(number, "BEGIN")
            self._execute(number, self._statement(number))
        if self._dice.random() < 0.5:
            self._execute(-1, "VACUUM t")

    def end(self) -> None:
        for number in self._open:
            self._execute(number, "COMMIT")
        self._open.clear()

    def _execute(self, number: int, statement: str) -> None:
        connections = self._connections
        self._runner.run(connections[number].execute(statement))

    def _statement(self, number: int) -> str:
        key = self._dice.randint(0, 150) * WRITERS + number
        kind = self._dice.random()
        if kind < 0.15:
            self.gone.add(key)
            return f"DELETE FROM t WHERE id = {key}"
        if kind < 0.35:
            self._next += 1
            return f"INSERT INTO t VALUES ({self._next}, 'new', repeat('y', 700))"
        own = f"id % {WRITERS} = {number} AND id BETWEEN {key} AND {key + 80}"
        update = f"UPDATE t SET name = name || '+', filler = filler || 'z' WHERE {own}"
        end = self._dice.choice(("RELEASE", "ROLLBACK TO"))
        return update if kind < 0.8 else f"SAVEPOINT s; {update}; {end} SAVEPOINT s"


@contextmanager
def writing(database: "Database", dice: random.Random) -> Iterator[Writers]:
    with asyncio.Runner() as runner:
        # The last one is for vacuum.
        connections = [runner.run(database.connect()) for _ in range(WRITERS + 1)]
        try:
            yield Writers(runner, connections, dice)
        finally:
            for connection in connections:
                runner.run(connection.close())


@pytest.mark.parametrize("seed", range(4))
def test_parts_read_between_random_writes_are_the_table_at_last(
    database: "Database", monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(splitting, "LEAST_BYTES", 1)
    database.run(*TABLE)
    dice = random.Random(seed)
    with writing(database, dice) as writers:
        writers.write(15)
        stream, source = database.stream("t"), database.source()
        splits = list(source.splits(Read(stream), 6))
        read: dict[str, dict[int, str]] = {}
        for split in dice.sample(splits, len(splits)):
            # Between planning and reading too: a part shows the moment at which it was planned.
            writers.write(10)
            read[split.id] = _rows(database, stream, next(part for part in splits if part.id == split.id))
            if dice.random() < 0.7:
                source.close()
                writers.write(25)
                splits = list(source.replan(Read(stream), splits))[:6]
        writers.end()
        since = [part for part in database.source().replan(Read(stream), splits) if part.id not in read]

    merged = {key: name for rows in read.values() for key, name in rows.items()}
    doubled = sum(len(rows) for rows in read.values()) - len(merged)
    merged |= {key: name for part in since for key, name in _rows(database, stream, part).items()}
    table = {row["id"]: row["name"] for row in database.rows("t")}
    assert {key: name for key, name in merged.items() if key in table} == table
    assert merged.keys() - table.keys() <= writers.gone
    assert doubled == 0


def _rows(database: "Database", stream: Stream, split: Split) -> dict[int, str]:
    source = database.source()
    rows = {row["id"]: row["name"] for row in database.read(source, stream, split=split)}
    source.close()
    return rows
