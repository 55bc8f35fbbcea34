"""A feed tells every committed change once, in order, with the values that a read gives."""

import resource
from typing import TYPE_CHECKING, Any

import pytest

from servicetsunami.sdk import Checkpoint, TsunamiError
from servicetsunami_postgres import collecting, copying, following

if TYPE_CHECKING:
    from conftest import Database

pytestmark = pytest.mark.server

TABLE = "CREATE TABLE t (id int PRIMARY KEY, name text)"
TOAST = ("CREATE TABLE t (id int PRIMARY KEY, name text, body text)", "ALTER TABLE t ALTER body SET STORAGE EXTERNAL")


def test_every_operation_is_told_with_its_row(begun: Any) -> None:
    feed = begun(TABLE, "INSERT INTO t VALUES (1, 'before')")

    ops = feed.ops(
        "INSERT INTO t VALUES (2, 'two'), (3, NULL)",
        "UPDATE t SET name = 'one' WHERE id = 1",
        "DELETE FROM t WHERE id = 2",
    )

    assert ops == [("c", 2, "two"), ("c", 3, None), ("u", 1, "one"), ("d", 2, None)]
    assert feed.ops() == []


def test_a_truncate_is_told_in_its_place(begun: Any) -> None:
    feed = begun(TABLE)

    ops = feed.ops("INSERT INTO t VALUES (1, 'a')", "TRUNCATE t", "INSERT INTO t VALUES (1, 'b')")

    assert ops == [("c", 1, "a"), ("t", None, None), ("c", 1, "b")]


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL", "USING INDEX t_other"])
def test_a_changed_key_is_a_delete_of_the_old_row_and_a_new_one(begun: Any, identity: str) -> None:
    feed = begun(
        TABLE,
        "CREATE UNIQUE INDEX t_other ON t (id)",
        f"ALTER TABLE t REPLICA IDENTITY {identity}",
        "INSERT INTO t VALUES (1, 'a')",
    )

    ops = feed.ops("UPDATE t SET id = 5", "UPDATE t SET name = 'b'")

    name = "a" if identity == "FULL" else None
    assert ops == [("d", 1, name), ("c", 5, "a"), ("u", 5, "b")]


def test_a_value_that_is_not_repeated_is_named(begun: Any) -> None:
    feed = begun(*TOAST, "INSERT INTO t VALUES (1, 'a', repeat('x', 10000)), (2, 'b', 'short')")

    rows = feed.next("UPDATE t SET name = 'c'")

    assert [(row["id"], row["body"], row["_unchanged"]) for row in rows] == [(1, None, ["body"]), (2, "short", [])]


def test_a_full_identity_tells_what_is_not_repeated(begun: Any) -> None:
    feed = begun(*TOAST, "ALTER TABLE t REPLICA IDENTITY FULL", "INSERT INTO t VALUES (1, 'a', repeat('x', 10000))")

    (row,) = feed.next("UPDATE t SET name = 'c'")

    assert (row["name"], row["body"]) == ("c", "x" * 10000)
    assert "_unchanged" not in row


def test_a_row_with_a_new_key_brings_what_the_log_does_not_repeat(begun: Any) -> None:
    feed = begun(*TOAST, "INSERT INTO t VALUES (1, 'a', repeat('x', 10000)), (2, 'b', repeat('y', 10000))")

    rows = feed.next("UPDATE t SET id = id + 10", "DELETE FROM t WHERE id = 12")

    told = [(row["_op"], row["id"], row["body"]) for row in rows]
    assert told == [("d", 1, None), ("c", 11, "x" * 10000), ("d", 2, None), ("c", 12, None), ("d", 12, None)]


def test_generated_columns_come_with_the_values_they_have(begun: Any) -> None:
    feed = begun(
        "CREATE TABLE t (id int PRIMARY KEY, name text, twice int GENERATED ALWAYS AS (id * 2) STORED, "
        "list int[] GENERATED ALWAYS AS (ARRAY[id]) STORED)"
    )

    rows = feed.next("INSERT INTO t VALUES (1, 'a'), (2, 'b')", "UPDATE t SET name = 'c' WHERE id = 2")

    told = [(row["_op"], row["id"], row["twice"], row["list"]) for row in rows]
    assert told == [("c", 1, 2, "[1]"), ("c", 2, 4, "[2]"), ("u", 2, 4, "[2]")]


def test_a_default_value_is_told(begun: Any) -> None:
    feed = begun("CREATE TABLE t (id int PRIMARY KEY, name text DEFAULT 'unnamed')")

    ops = feed.ops("INSERT INTO t (id) VALUES (1)")

    assert ops == [("c", 1, "unnamed")]


def test_what_is_not_committed_comes_when_it_is(begun: Any, database: "Database") -> None:
    feed = begun(TABLE)

    with database.held("INSERT INTO t VALUES (1, 'early')", commits=True):
        during = feed.ops("INSERT INTO t VALUES (2, 'late')")
    after = feed.ops()

    assert (during, after) == ([("c", 2, "late")], [("c", 1, "early")])


def test_what_is_rolled_back_never_comes(begun: Any) -> None:
    feed = begun(TABLE)

    ops = feed.ops(
        "BEGIN; INSERT INTO t VALUES (1, 'a'); ROLLBACK",
        "BEGIN; INSERT INTO t VALUES (2, 'b'); SAVEPOINT s; INSERT INTO t VALUES (3, 'c'); ROLLBACK TO s; "
        "SAVEPOINT r; UPDATE t SET name = 'd'; RELEASE r; COMMIT",
    )

    assert ops == [("c", 2, "b"), ("u", 2, "d")]


def test_a_prepared_transaction_comes_when_it_is_committed(begun: Any) -> None:
    feed = begun(TABLE)

    before = feed.ops("BEGIN; INSERT INTO t VALUES (1, 'a'); PREPARE TRANSACTION 'p'")
    after = feed.ops("COMMIT PREPARED 'p'")

    assert (before, after) == ([], [("c", 1, "a")])


def test_partitions_are_told_as_their_table(begun: Any) -> None:
    feed = begun(
        "CREATE TABLE t (id int PRIMARY KEY, name text) PARTITION BY RANGE (id)",
        "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (10) TO (20)",
    )

    ops = feed.ops(
        "INSERT INTO t VALUES (1, 'a'), (11, 'b')",
        "INSERT INTO t_2 VALUES (12, 'c')",
        "UPDATE t SET id = 13 WHERE id = 1",
        "CREATE TABLE t_3 PARTITION OF t FOR VALUES FROM (20) TO (30)",
        "INSERT INTO t VALUES (21, 'd')",
        "TRUNCATE t",
    )

    assert ops[:3] == [("c", 1, "a"), ("c", 11, "b"), ("c", 12, "c")]
    assert ops[3:] == [("d", 1, None), ("c", 13, "a"), ("c", 21, "d"), ("t", None, None)]


def test_each_change_has_the_columns_of_its_moment(begun: Any) -> None:
    feed = begun("CREATE TABLE t (id int PRIMARY KEY, name text, gone int)")

    rows = feed.next(
        "INSERT INTO t VALUES (1, 'a', 7)",
        "ALTER TABLE t ADD extra int DEFAULT 3",
        "INSERT INTO t VALUES (2, 'b', 8)",
        "ALTER TABLE t DROP gone",
        "ALTER TABLE t RENAME extra TO more",
        "INSERT INTO t VALUES (3, 'c', 9)",
        "ALTER TABLE t ALTER more TYPE numeric(5,1)",
        "INSERT INTO t VALUES (4, 'd', 1.5)",
    )

    told = [{name: value for name, value in row.items() if name != "_op"} for row in rows]
    assert [list(row) for row in told] == [
        ["id", "name", "gone"], ["id", "name", "gone", "extra"], ["id", "name", "more"], ["id", "name", "more"],
    ]  # fmt: skip
    assert [str(row["more"]) for row in told[2:]] == ["9", "1.5"]


def test_a_value_of_a_type_that_is_gone_lands_as_its_text(begun: Any) -> None:
    feed = begun("CREATE TYPE pair AS (a int, b int)", "CREATE TABLE t (id int PRIMARY KEY, name pair, list pair[])")

    rows = feed.next(
        "INSERT INTO t VALUES (1, ROW(1, 2), ARRAY[ROW(3, 4)::pair])",
        "ALTER TABLE t DROP name, DROP list",
        "DROP TYPE pair",
    )

    assert [(row["name"], row["list"]) for row in rows] == [("(1,2)", '{"(3,4)"}')]


def test_a_value_that_its_type_does_not_take_any_more_is_rescued(begun: Any) -> None:
    feed = begun("CREATE TYPE pair AS (a text)", "CREATE TABLE t (id int PRIMARY KEY, name pair)")

    rows = feed.next(
        "INSERT INTO t VALUES (1, ROW('x')), (2, NULL)",
        "ALTER TABLE t DROP name",
        "ALTER TYPE pair ALTER ATTRIBUTE a TYPE int",
    )

    assert [(row["id"], row["name"], row["_rescued"]) for row in rows] == [
        (1, None, '{"name": "(x)"}'),
        (2, None, None),
    ]


def test_a_table_made_anew_ends_the_feed(begun: Any) -> None:
    feed = begun(TABLE)

    with pytest.raises(TsunamiError) as caught:
        feed.next("DROP TABLE t", TABLE, "INSERT INTO t VALUES (1, 'other')")

    assert caught.value.code == "feed_lost"


def test_a_renamed_key_ends_the_feed(begun: Any) -> None:
    feed = begun(TABLE)

    with pytest.raises(TsunamiError) as caught:
        feed.next("INSERT INTO t VALUES (1, 'a')", "ALTER TABLE t RENAME id TO number")

    assert caught.value.code == "feed_lost"


def test_a_column_the_role_may_not_read_stays_unread(begun: Any, database: "Database") -> None:
    database.run(
        TABLE,
        "ALTER TABLE t ADD secret text",
        "DO $$ BEGIN IF to_regrole('follower') IS NOT NULL THEN DROP OWNED BY follower; END IF; END $$",
        "DROP ROLE IF EXISTS follower",
        "CREATE ROLE follower LOGIN REPLICATION PASSWORD 'f'",
        "GRANT CREATE ON DATABASE postgres TO follower",
        "GRANT USAGE ON SCHEMA public TO follower",
        "GRANT SELECT (id, name) ON t TO follower",
    )
    feed = begun()
    feed.source = database.source(user="follower", password="f")

    rows = feed.next("INSERT INTO t VALUES (1, 'a', 'hidden')")

    assert rows == [{"id": 1, "name": "a", "_op": "c"}]


def test_small_transactions_share_a_batch_and_large_ones_are_cut(begun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "BATCH_ROWS", 100)
    feed = begun(TABLE)
    inserts = "; ".join(f"INSERT INTO t VALUES ({number}, 'a')" for number in range(10))
    feed.database.run(*inserts.split("; "), "INSERT INTO t SELECT i, 'b' FROM generate_series(1000, 1249) i")

    sizes = [batch.num_rows if batch else 0 for batch in feed.batches()]

    assert sizes == [100, 100, 60, 0, 0]


def test_a_log_read_in_windows_gives_each_change_once(begun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "WINDOW_BYTES", 4096)
    feed = begun(TABLE, "CREATE TABLE other (n int)")
    for number in range(20):
        feed.database.run(
            f"INSERT INTO t VALUES ({number}, 'a')",
            "INSERT INTO other SELECT generate_series(1, 500)",
        )

    batches = list(feed.batches())

    assert [row["id"] for batch in batches if batch for row in batch.to_pylist()] == list(range(20))
    assert batches.count(None) > 3


def test_a_transaction_larger_than_memory_streams_through(begun: Any, database: "Database") -> None:
    feed = begun("CREATE TABLE t (id int PRIMARY KEY, name text, body text)")
    database.run("INSERT INTO t SELECT i, 'n', repeat('x', 1500) FROM generate_series(1, 100000) i")
    rows, before = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for batch in feed.batches():
        rows += batch.num_rows if batch else 0

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert rows == 100_000
    assert grown < 100 * 1024, "the transaction holds 150 MB"


def test_a_server_that_decodes_for_long_is_not_taken_for_dead(begun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "BEAT_SECONDS", 0)
    monkeypatch.setattr(copying, "_POLL_SECONDS", 0.001)
    feed = begun(TABLE)
    feed.database.run("INSERT INTO t SELECT i, 'n' FROM generate_series(1, 20000) i")

    first = next(iter(feed.items()))

    assert first == Checkpoint(feed.state)
