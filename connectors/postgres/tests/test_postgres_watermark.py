"""A read says how far its cursor is settled, so that what commits late is never passed over."""

import asyncio
import json
import random
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Read, Split, Watermark
from servicetsunami_postgres import splitting, watermark

if TYPE_CHECKING:
    from conftest import Database

    from servicetsunami_postgres import PostgresSource

pytestmark = pytest.mark.server

TABLE = "CREATE TABLE t (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), n int)"
READER = (
    "DROP ROLE IF EXISTS plain_reader",
    "CREATE ROLE plain_reader LOGIN PASSWORD 'plain'",
    "GRANT USAGE ON SCHEMA public TO plain_reader",
    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain_reader",
)
PLAIN = {"user": "plain_reader", "password": "plain"}


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermark, "WAIT_SECONDS", 0.2)


def _marks(database: "Database", cursor: str | None, **settings: Any) -> list[Any]:
    stream = replace(database.stream("t"), cursor=cursor)
    items = database.source(**settings).read(Read(stream))
    return [item.value for item in items if isinstance(item, Watermark)]


def test_a_quiet_table_is_settled_up_to_a_second_ago(database: "Database") -> None:
    database.run(TABLE)
    before = database.ask("SELECT now()")

    (mark,) = _marks(database, "at")

    assert before - timedelta(seconds=2) < mark < database.ask("SELECT now()")


def test_an_open_transaction_holds_the_mark_before_its_beginning(database: "Database") -> None:
    database.run(TABLE)

    with database.held("SELECT 1"):
        began = database.ask("SELECT max(xact_start) FROM pg_stat_activity WHERE state = 'idle in transaction'")
        (mark,) = _marks(database, "at")

    assert mark == began - timedelta(seconds=1)


def test_a_role_that_may_not_see_when_transactions_began_waits_and_then_does_not_advance(database: "Database") -> None:
    database.run(TABLE, *READER)

    with database.held("SELECT 1"):
        held = _marks(database, "at", **PLAIN)
    (free,) = _marks(database, "at", **PLAIN)

    assert held == [None]
    assert free < database.ask("SELECT now()")


def test_a_role_that_may_not_see_when_transactions_began_waits_for_their_end(
    database: "Database", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watermark, "WAIT_SECONDS", 60)
    database.run(TABLE, *READER)
    before = database.ask("SELECT now()")
    writing = threading.Thread(target=database.run, args=("INSERT INTO t (n) SELECT 1 FROM pg_sleep(1)",))
    writing.start()

    (mark,) = _marks(database, "at", **PLAIN)
    writing.join()

    assert mark > before - timedelta(seconds=2)


def test_a_number_is_settled_once_its_writers_ended(database: "Database") -> None:
    database.run(TABLE, "INSERT INTO t (n) VALUES (1), (2)")

    with database.held("INSERT INTO t (n) VALUES (3)"):
        database.run("INSERT INTO t (n) VALUES (4)")
        held = _marks(database, "id")
    free = _marks(database, "id")

    assert (held, free) == ([None], [4])


def test_a_writer_of_another_table_holds_no_number_back(database: "Database") -> None:
    database.run(TABLE, "CREATE TABLE other (n int)", "INSERT INTO t (n) VALUES (1)")

    with database.held("INSERT INTO other VALUES (1)"):
        marks = _marks(database, "id")

    assert marks == [1]


def test_a_writer_of_a_partition_holds_the_table_s_numbers_back(database: "Database") -> None:
    database.run(
        "CREATE TABLE t (id bigint PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100)",
        "INSERT INTO t VALUES (7)",
    )

    with database.held("INSERT INTO t_1 VALUES (3)"):
        marks = _marks(database, "id")

    assert marks == [None]


def test_a_prepared_transaction_holds_both_back(database: "Database") -> None:
    database.run(TABLE, "INSERT INTO t (n) VALUES (1)")
    database.run("BEGIN; INSERT INTO t (n) VALUES (2); PREPARE TRANSACTION 'late'")

    try:
        held = _marks(database, "at") + _marks(database, "id")
    finally:
        database.run("ROLLBACK PREPARED 'late'")

    assert held == [None, None]


@pytest.mark.parametrize("option", ["CACHE 10", "INCREMENT -1", "CYCLE"])
def test_numbers_that_come_in_no_order_are_never_settled(database: "Database", option: str) -> None:
    database.run(f"CREATE SEQUENCE s {option}", "CREATE TABLE t (id bigint PRIMARY KEY DEFAULT nextval('s'), n int)")
    database.run("INSERT INTO t (n) VALUES (1)")

    marks = _marks(database, "id")

    assert marks == [None]


def test_a_timestamp_without_zone_is_settled_in_every_zone(database: "Database") -> None:
    database.run("CREATE TABLE t (id int PRIMARY KEY, at timestamp, on_day date)")
    now = database.ask("SELECT now()").astimezone(UTC)

    (at,), (on_day,) = _marks(database, "at"), _marks(database, "on_day")

    assert timedelta(hours=11, minutes=59) < now.replace(tzinfo=None) - at < timedelta(hours=12, seconds=2)
    assert type(on_day) is date
    assert on_day in {(now - timedelta(hours=12, seconds=seconds)).date() for seconds in (0, 2)}


@pytest.mark.parametrize("cursor", [None, "n"])
def test_what_cannot_be_told_is_not_told(database: "Database", cursor: str | None) -> None:
    database.run("CREATE TABLE t (id int PRIMARY KEY, n text)", "INSERT INTO t VALUES (1, 'a')")

    marks = _marks(database, cursor)

    assert marks == []


@pytest.mark.parametrize("cursor", ["id", "at"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE MATERIALIZED VIEW t AS SELECT * FROM base",
        # As the server notes a table that a subscription fills.
        "CREATE TABLE t AS SELECT * FROM base; INSERT INTO pg_subscription_rel VALUES (1, 't'::regclass, 'r', NULL)",
    ],
)
def test_rows_that_come_from_elsewhere_are_not_told_of(database: "Database", statement: str, cursor: str) -> None:
    database.run(TABLE.replace(" t ", " base "), statement)

    marks = _marks(database, cursor)
    database.run("DELETE FROM pg_subscription_rel")

    assert marks == []


def test_a_view_s_moments_are_settled_and_its_numbers_are_not(database: "Database") -> None:
    database.run(TABLE.replace(" t ", " base "), "CREATE VIEW t AS SELECT * FROM base")

    moments, numbers = _marks(database, "at"), _marks(database, "id")

    assert (len(moments), numbers) == (1, [])


def test_a_preview_settles_nothing(database: "Database") -> None:
    database.run(TABLE, "INSERT INTO t (n) VALUES (1), (2)")
    stream = replace(database.stream("t"), cursor="id")

    items = list(database.source().read(Read(stream, limit=1)))

    assert [type(item) for item in items] == [pa.RecordBatch]


@pytest.mark.parametrize("cursor", ["at", "id"])
def test_parts_carry_the_mark_of_the_moment_they_were_planned_at(
    database: "Database", monkeypatch: pytest.MonkeyPatch, cursor: str
) -> None:
    monkeypatch.setattr(splitting, "LEAST_BYTES", 1)
    database.run(TABLE, "INSERT INTO t (n) SELECT i FROM generate_series(1, 2000) i")
    stream = replace(database.stream("t"), cursor=cursor)
    parts = database.source().splits(Read(stream), 2)
    database.run("INSERT INTO t (n) VALUES (1)")

    first = [next(iter(database.source().read(Read(stream, split=_through_json(part))))) for part in parts]

    marks = [item.value for item in first if isinstance(item, Watermark)]
    assert len(marks) == len(parts)
    assert marks[0] == marks[1]
    assert marks[0] < database.ask(f"SELECT max({cursor}) FROM t")


def _through_json(part: Split) -> Split:
    return replace(part, params=json.loads(json.dumps(part.params)))


@dataclass
class _Arm:
    cursor: str
    settled: bool
    mark: Any = None
    seen: set[int] = field(default_factory=set)

    def sync(self, source: "PostgresSource", database: "Database") -> None:
        stream = replace(database.stream("t"), cursor=self.cursor)
        (first, *batches) = source.read(Read(stream, since=self.mark))
        assert isinstance(first, Watermark)
        rows = [row for batch in batches if isinstance(batch, pa.RecordBatch) for row in batch.to_pylist()]
        self.seen |= {row["id"] for row in rows}
        reached = max((row[self.cursor] for row in rows), default=None)
        if self.settled and reached is not None:
            reached = None if first.value is None else min(reached, first.value)
        self.mark = reached if self.mark is None else max(self.mark, reached or self.mark)


async def _write(database: "Database", dice: random.Random) -> None:
    connection = await database.connect()
    try:
        for _ in range(30):
            before, after = (round(dice.random() * 0.08, 3) for _ in range(2))
            await connection.execute(
                f"BEGIN; INSERT INTO t (n) SELECT 1; SELECT pg_sleep({before}); INSERT INTO t (n) SELECT 2; "
                f"SELECT pg_sleep({after}); COMMIT"
            )
    finally:
        await connection.close()


async def _write_all(database: "Database") -> None:
    await asyncio.gather(*(_write(database, random.Random(seed)) for seed in range(16)))


def test_sixteen_writers_lose_no_row_to_settled_marks_and_some_to_the_greatest_value_seen(
    database: "Database", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watermark, "WAIT_SECONDS", 2)
    database.run(TABLE)
    arms = [_Arm(cursor, settled) for settled in (False, True) for cursor in ("at", "id")]
    source = database.source()
    writing = threading.Thread(target=lambda: asyncio.run(_write_all(database)))

    writing.start()
    while writing.is_alive():
        for arm in arms:
            arm.sync(source, database)
    writing.join()
    for arm in arms:
        arm.sync(source, database)

    rows = {row["id"] for row in database.rows("t")}
    lost = {(arm.cursor, arm.settled): len(rows - arm.seen) for arm in arms}
    assert len(rows) == 960
    assert (lost["at", True], lost["id", True]) == (0, 0)
    assert lost["at", False] + lost["id", False] > 0
