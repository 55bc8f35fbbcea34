"""A read gives the rows of one moment, may begin at a cursor, and is never taken for complete when it is not."""

import socket
import threading
from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from servicetsunami.sdk import Cancelled, ConfigError, Read, Split, TransientError, TsunamiError
from servicetsunami_postgres import link, splitting

if TYPE_CHECKING:
    from conftest import Database

pytestmark = pytest.mark.server

JUST_AFTER = datetime(2024, 1, 1, 0, 0, 0, 1, UTC)
MANY = "CREATE TABLE t AS SELECT i AS id, repeat('x', 100) AS body FROM generate_series(1, 400000) i"
RUNNING = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'servicetsunami' AND query LIKE 'COPY%' "
    "AND state = 'active'"
)


class _Cut:
    """A way to the server that hands over some bytes from it, and then closes, or falls silent."""

    def __init__(self, port: int, size: int, *, silently: bool) -> None:
        self._target = ("127.0.0.1", port)
        self._size = size
        self._silently = silently
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._opened: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve)]

    def __enter__(self) -> int:
        self._threads[0].start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        for end in (self._listener, *self._opened):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._opened += [client, server]
                self._start(client, server, 1 << 60)
                self._start(server, client, self._size)

    def _start(self, source: socket.socket, sink: socket.socket, size: int) -> None:
        self._threads.append(threading.Thread(target=self._pump, args=(source, sink, size)))
        self._threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket, left: int) -> None:
        with suppress(OSError):
            while left > 0 and (data := source.recv(65536)):
                sink.sendall(data)
                left -= len(data)
            if left > 0 or not self._silently:
                sink.shutdown(socket.SHUT_RDWR)


def _close(items: object) -> None:
    assert isinstance(items, Generator)
    items.close()


@pytest.mark.parametrize(
    ("kind", "literals", "since", "expected"),
    [
        (
            "timestamptz",
            ["2024-01-01 00:00:00.000001+00", "2024-01-02 00:00+00"],
            JUST_AFTER,
            2,
        ),
        ("timestamptz", ["2024-01-01 00:00+00", "2024-01-02 00:00+00"], JUST_AFTER, 1),
        ("timestamp", ["2024-01-01", "2024-01-02"], JUST_AFTER.replace(day=2, microsecond=0, tzinfo=None), 1),
        ("date", ["2024-01-01", "2024-01-02"], date(2024, 1, 2), 1),
        ("bigint", ["9007199254740992", "9007199254740993"], 9007199254740993, 1),
        ("numeric", ["1.10", "1.11"], Decimal("1.11"), 1),
        ("text", ["a'\\b", "b"], "a'\\b", 2),
    ],
)
def test_a_cursor_begins_the_read_at_its_value_inclusive(
    database: "Database", kind: str, literals: list[str], since: Any, expected: int
) -> None:
    values = ", ".join("('" + literal.replace("'", "''") + "')" for literal in literals)
    database.run(f"CREATE TABLE t (v {kind} NOT NULL)", f"INSERT INTO t VALUES {values}")
    stream = replace(database.stream("t"), cursor="v")

    rows = database.read(database.source(), stream, since=since)

    assert len(rows) == expected


def test_a_row_without_cursor_value_is_read_each_time_where_a_key_can_merge_it(database: "Database") -> None:
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz)",
        "INSERT INTO t VALUES (1, NULL), (2, '2024-01-01 00:00+00'), (3, '2025-01-01 00:00+00')",
    )

    rows = database.rows("t", since=datetime(2024, 6, 1, tzinfo=UTC))

    assert [row["id"] for row in rows] == [1, 3]


def test_columns_and_limit_are_honoured(database: "Database") -> None:
    database.run("CREATE TABLE t AS SELECT i AS a, -i AS b, 'x' AS c FROM generate_series(1, 100) i")

    rows = database.rows("t", columns=("b", "a"), limit=2)

    assert rows == [{"b": -1, "a": 1}, {"b": -2, "a": 2}]


def test_an_unknown_column_is_told_with_near_ones(database: "Database") -> None:
    database.run("CREATE TABLE t (amount int)")

    with pytest.raises(ConfigError) as raised:
        database.rows("t", columns=("amuont",))

    assert (raised.value.code, raised.value.did_you_mean) == ("column_not_found", ("amount",))


def test_a_read_is_read_only_and_named(database: "Database") -> None:
    database.run(
        "CREATE TABLE t (a int)",
        "CREATE FUNCTION state() RETURNS text LANGUAGE sql AS "
        "$$ SELECT current_setting('transaction_read_only') || ' ' || current_setting('application_name') $$",
        "CREATE VIEW v AS SELECT public.state()",
    )

    rows = database.rows("v")

    assert rows == [{"state": "on servicetsunami"}]


@pytest.mark.parametrize("target", [2, 5])
def test_splits_hold_every_row_once_at_the_moment_they_were_planned(
    database: "Database", target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitting, "LEAST_BYTES", 1)
    database.run(MANY)
    planner = database.source()
    stream = database.stream("t")
    splits = planner.splits(Read(stream), target)
    database.run("INSERT INTO t SELECT -i, 'late' FROM generate_series(1, 1000) i", "DELETE FROM t WHERE id < 500")

    ids = [row["id"] for split in splits for row in database.rows("t", split=split, columns=("id",))]

    assert len(splits) == target
    assert sorted(ids) == list(range(1, 400001))


def test_a_partitioned_table_is_split_by_its_partitions(database: "Database", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "LEAST_BYTES", 1)
    database.run("CREATE TABLE t (id int, part int) PARTITION BY LIST (part)")
    database.run(*(f'CREATE TABLE "t;{i}" PARTITION OF t FOR VALUES IN ({i})' for i in range(5)))
    database.run("INSERT INTO t SELECT i, i % 5 FROM generate_series(1, 1000) i")
    planner = database.source()

    splits = planner.splits(Read(database.stream("t")), 2)

    ids = [row["id"] for split in splits for row in database.rows("t", split=split)]
    assert len(splits) == 2
    assert sorted(ids) == list(range(1, 1001))


def test_a_table_cannot_be_emptied_while_its_parts_are_read(
    database: "Database", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitting, "LEAST_BYTES", 1)
    database.run(MANY)
    planner = database.source()
    planner.splits(Read(database.stream("t")), 2)

    with pytest.raises(asyncpg.LockNotAvailableError):
        database.run("SET lock_timeout = '50ms'; TRUNCATE t")

    planner.close()
    database.opened.remove(planner)
    database.run("SET lock_timeout = '5s'; TRUNCATE t")


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
def test_what_cannot_be_locked_is_read_all_the_same(database: "Database", kind: str) -> None:
    database.run(f"CREATE {kind} v AS SELECT 7 AS a")

    rows = database.rows("v")

    assert rows == [{"a": 7}]


def test_a_locked_table_is_waited_for_and_then_told_as_busy(
    database: "Database", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_LOCK_SECONDS", 1)
    database.run("CREATE TABLE t (a int)")
    stream = database.stream("t")

    with database.held("LOCK TABLE t IN ACCESS EXCLUSIVE MODE"), pytest.raises(TransientError) as raised:
        database.read(database.source(), stream)

    assert (raised.value.code, raised.value.fix) == ("source_busy", "try again")


def test_a_view_and_a_small_table_are_not_split(database: "Database") -> None:
    database.run("CREATE TABLE t AS SELECT 1 AS a", "CREATE VIEW v AS SELECT * FROM t")
    source = database.source()

    plans = [source.splits(Read(database.stream(name)), 4) for name in ("t", "v")]

    assert plans == [(), ()]


def test_a_split_whose_snapshot_is_gone_is_refused(database: "Database") -> None:
    database.run("CREATE TABLE t AS SELECT 1 AS a")

    with pytest.raises(TransientError) as raised:
        database.rows("t", split=Split("0", {"snapshot": "00000003-00000009-1"}))

    assert raised.value.code == "snapshot_gone"


def test_a_closed_read_ends_the_query_at_the_server(database: "Database") -> None:
    database.run(MANY)
    items = database.source().read(Read(database.stream("t")))

    next(items)
    before = database.ask(RUNNING)
    _close(items)

    assert (before, database.ask(RUNNING)) == (1, 0)


def test_a_cancelled_read_ends_the_query_at_the_server(database: "Database") -> None:
    database.run("CREATE VIEW v AS SELECT pg_sleep(600)::text AS a")
    items = database.source().read(Read(database.stream("v")))
    database.ctx.stopped = True

    with pytest.raises(Cancelled):
        next(items)

    assert database.ask(RUNNING) == 0


@pytest.mark.parametrize("silently", [False, True], ids=["closed", "silent"])
@pytest.mark.parametrize("size", [60_000, 5_000_000, 20_000_000])
def test_a_read_that_is_cut_is_never_complete(database: "Database", size: int, *, silently: bool) -> None:
    database.run(MANY)
    stream = database.stream("t")

    with _Cut(database.server.port, size, silently=silently) as port:
        source = database.source(port=port, stall_timeout_seconds=1)
        with pytest.raises(TsunamiError) as raised:
            list(source.read(Read(stream)))
        source.close()
        database.opened.remove(source)

    assert isinstance(raised.value, TransientError)
    assert raised.value.code == "source_interrupted"


def test_a_terminated_backend_is_an_interrupted_read(database: "Database") -> None:
    database.run(MANY)
    items = database.source().read(Read(database.stream("t")))

    next(items)
    database.ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'COPY%'")

    with pytest.raises(TransientError) as raised:
        list(items)
    assert raised.value.code == "source_interrupted"


def test_a_statement_that_outlasts_its_limit_is_told_as_that(database: "Database") -> None:
    database.run("CREATE VIEW v AS SELECT pg_sleep(600)::text AS a")
    source = database.source(statement_timeout_seconds=1)

    with pytest.raises(TransientError) as raised:
        list(source.read(Read(database.stream("v"))))

    assert raised.value.code == "statement_timeout"
