"""A feed that is interrupted anywhere still tells every change once."""

import asyncio
import random
import threading
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Changes, Checkpoint
from servicetsunami_postgres import collecting

if TYPE_CHECKING:
    from conftest import Database, Feed

pytestmark = pytest.mark.server

TABLE = "CREATE TABLE t (id int PRIMARY KEY, name text)"
ENDS = ("COMMIT", "COMMIT", "COMMIT", "ROLLBACK")


def test_random_changes_by_many_give_the_table_whatever_is_interrupted(
    begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "BATCH_ROWS", 20)
    feed = begun(TABLE)
    writing = threading.Thread(target=lambda: asyncio.run(_write_all(feed.database)))
    table: dict[int, Any] = {}
    dice = random.Random(7)

    writing.start()
    while writing.is_alive():
        _follow(feed, table, dice.randint(1, 40))
        if dice.random() < 0.5:
            feed.source.ack(feed.state)
    writing.join()
    _follow(feed, table, 10**9)

    assert table == {row["id"]: row["name"] for row in feed.database.rows("t")}
    assert len(table) > 10  # how many are left depends on who of the writers came first


def _follow(feed: "Feed", table: dict[int, Any], most: int) -> None:
    """Apply changes to the table up to the last checkpoint among so many items; what comes behind it is thrown away."""
    waiting: list[dict[str, Any]] = []
    for item in islice(feed.items(), most):
        if isinstance(item, Changes):
            assert isinstance(item.rows, pa.RecordBatch)
            waiting += item.rows.to_pylist()
            continue
        assert isinstance(item, Checkpoint)
        for row in waiting:
            _apply(row, table)
        waiting, feed.state = [], item.state


def _apply(row: dict[str, Any], table: dict[int, Any]) -> None:
    if row["_op"] == "t":
        table.clear()
    elif row["_op"] == "d":
        del table[row["id"]]
    else:
        assert (row["id"] in table) == (row["_op"] == "u")
        table[row["id"]] = row["name"]


async def _write_all(database: "Database") -> None:
    await asyncio.gather(*(_write(database, random.Random(seed), seed * 1000) for seed in range(6)))


async def _write(database: "Database", dice: random.Random, first: int) -> None:
    connection = await database.connect()
    try:
        for number in range(60):
            await connection.execute(f"BEGIN; {'; '.join(_statements(dice, first))}; {dice.choice(ENDS)}")
            if first == 0 and number == 30:
                await connection.execute("TRUNCATE t")
    finally:
        await connection.close()


def _statements(dice: random.Random, first: int) -> Iterator[str]:
    for _ in range(dice.randint(1, 8)):
        one, other = (first + dice.randint(0, 40) for _ in range(2))
        yield dice.choice(
            [
                f"INSERT INTO t VALUES ({one}, '{dice.random()}') ON CONFLICT DO NOTHING",
                f"INSERT INTO t VALUES ({one}, 'x') ON CONFLICT (id) DO UPDATE SET name = '{dice.random()}'",
                f"UPDATE t SET name = '{dice.random()}' WHERE id BETWEEN {first} AND {one}",
                f"DELETE FROM t WHERE id = {one}",
                f"UPDATE t SET id = {one} WHERE id = {other} AND NOT EXISTS (SELECT FROM t WHERE id = {one})",
                f"SAVEPOINT s; DELETE FROM t WHERE id = {one}; INSERT INTO t VALUES ({first + 50}, 's'); ROLLBACK TO s",
            ]
        )
