"""Parts that were planned by an instance that is gone are read on later, and no row is lost, doubled or old."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from servicetsunami.sdk import Read, Split, Stream, TransientError
from servicetsunami_postgres import resuming, splitting

if TYPE_CHECKING:
    from conftest import Database

pytestmark = pytest.mark.server

TABLE = (
    "CREATE TABLE t (id int PRIMARY KEY, name text, filler text) WITH (autovacuum_enabled = off)",
    "INSERT INTO t SELECT n, 'no ' || n, repeat(md5(n::text), 12) FROM generate_series(1, 2000) n",
)
PARTED = (
    "CREATE TABLE t (id int PRIMARY KEY, name text) PARTITION BY RANGE (id)",
    *(f"CREATE TABLE t_{n} PARTITION OF t FOR VALUES FROM ({n * 500}) TO ({(n + 1) * 500})" for n in range(4)),
    "INSERT INTO t SELECT n, 'no ' || n FROM generate_series(0, 1999) n",
)
WRITES = (
    # Each of these moves the row to the table's end; none touches anything that could serve as a cursor.
    "UPDATE t SET name = 'changed' WHERE id % 7 = 0",
    "INSERT INTO t SELECT n, 'new ' || n FROM generate_series(3001, 3050) n",
    "VACUUM t",
    # These go back to where there is room now, among pages that may have been read.
    "UPDATE t SET name = 'changed again' WHERE id % 91 = 0",
    "INSERT INTO t SELECT n, 'newer ' || n FROM generate_series(4001, 4100) n",
)
Row = tuple[int, str]


@pytest.fixture(autouse=True)
def _small_tables_have_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "LEAST_BYTES", 1)


def planned(database: "Database", target: int = 4) -> tuple[Stream, list[Split], dict[str, list[Row]]]:
    """Plan parts, read every second one, and let the planner go."""
    stream, source = database.stream("t"), database.source()
    splits = list(source.splits(Read(stream), target))
    read = {split.id: rows(database, stream, split) for split in splits[::2]}
    source.close()
    return stream, splits, read


def rows(database: "Database", stream: Stream, split: Split) -> list[Row]:
    return [(row["id"], row["name"]) for row in database.read(database.source(), stream, split=split)]


def read_on(
    database: "Database", stream: Stream, splits: Sequence[Split], read: dict[str, list[Row]]
) -> tuple[list[Row], list[Row]]:
    """Read the parts that are missing; returns the rows of all parts, and those that were written since."""
    source = database.source()
    again = {split.id: split for split in source.replan(Read(stream), splits)}
    for split in splits:
        read.setdefault(split.id, rows(database, stream, again[split.id]))
    since = [row for split in again.values() if split.id not in read for row in rows(database, stream, split)]
    return [row for part in read.values() for row in part], since


def present(database: "Database") -> dict[int, str]:
    return {row["id"]: row["name"] for row in database.rows("t")}


@pytest.mark.parametrize("table", [TABLE, PARTED], ids=["pages", "partitions"])
def test_parts_and_what_was_written_since_are_the_table_wherever_its_rows_went(
    database: "Database", table: tuple[str, ...]
) -> None:
    database.run(*table)
    if table is PARTED:
        database.run("CREATE TABLE t_rest PARTITION OF t DEFAULT")
    stream, splits, read = planned(database)
    database.run(*WRITES)

    parts, since = read_on(database, stream, splits, read)

    assert stream.resumable
    assert len(splits) == 4
    assert {**dict(parts), **dict(since)} == present(database)
    assert len(dict(parts)) == len(parts), "a row is in two parts"
    assert len(since) < 500


def test_only_what_was_written_since_is_read_again(database: "Database") -> None:
    database.run(*TABLE)
    stream, splits, read = planned(database)
    database.run("UPDATE t SET name = 'changed' WHERE id IN (1, 1000, 2000)")

    _, since = read_on(database, stream, splits, read)

    assert sorted(since) == [(1, "changed"), (1000, "changed"), (2000, "changed")]


def test_a_load_that_breaks_off_twice_is_read_on_from_its_first_moment(database: "Database") -> None:
    database.run(*TABLE)
    stream, splits, read = planned(database)
    database.run(*WRITES[:2])
    second = database.source()
    again = list(second.replan(Read(stream), splits))
    read[again[1].id] = rows(database, stream, again[1])
    second.close()
    database.run(*WRITES[2:])

    parts, since = read_on(database, stream, again[:4], read)

    assert {**dict(parts), **dict(since)} == present(database)
    assert len(dict(parts)) == len(parts)


def test_a_row_whose_transaction_was_open_at_the_first_moment_is_not_lost(database: "Database") -> None:
    database.run(*TABLE)
    with database.held("UPDATE t SET name = 'late' WHERE id <= 50", commits=True):
        stream, splits, read = planned(database)
        database.run("UPDATE t SET name = 'meanwhile' WHERE id BETWEEN 51 AND 99")

    parts, since = read_on(database, stream, splits, read)

    assert {**dict(parts), **dict(since)} == present(database)


def test_a_deleted_row_is_left_to_the_feed_and_its_space_to_others(database: "Database") -> None:
    database.run(*TABLE)
    stream, splits, read = planned(database)
    database.run(
        "DELETE FROM t WHERE id <= 1000", "VACUUM t", "INSERT INTO t SELECT n, 'n' FROM generate_series(5001, 6000) n"
    )

    parts, since = read_on(database, stream, splits, read)

    merged = {**dict(parts), **dict(since)}
    assert {key: name for key, name in merged.items() if key > 1000} == present(database)
    assert len(dict(parts)) == len(parts)


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        (TABLE, "VACUUM FULL t"),
        (TABLE, "CLUSTER t USING t_pkey"),
        (TABLE, "TRUNCATE t"),
        (TABLE, "ALTER TABLE t ALTER id TYPE bigint"),
        (TABLE, "ALTER TABLE t ENABLE ROW LEVEL SECURITY"),
        (PARTED, "VACUUM FULL t_2"),
        (PARTED, "DROP TABLE t_1"),
        (PARTED, "CREATE TABLE t_4 PARTITION OF t FOR VALUES FROM (5000) TO (6000)"),
        (PARTED, "ALTER TABLE t_3 RENAME TO t_last"),
    ],
)
def test_a_plan_whose_places_mean_nothing_any_more_is_lost(
    database: "Database", table: tuple[str, ...], statement: str
) -> None:
    database.run(*table)
    stream, splits, _ = planned(database)
    database.run(statement)

    with pytest.raises(TransientError) as lost:
        database.source().replan(Read(stream), splits)

    assert lost.value.code == "plan_lost"


@pytest.mark.parametrize(("name", "value"), [("server", "1/00000001"), ("oldest", "0"), ("oldest", str(2**40))])
def test_a_plan_of_another_server_or_of_long_ago_is_lost(
    database: "Database", monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr(resuming, "_FURTHEST", 500)
    database.run(*TABLE)
    stream, splits, _ = planned(database)
    told: list[Any] = [{**split.params, "anchor": {**split.params["anchor"], name: value}} for split in splits]

    with pytest.raises(TransientError) as lost:
        database.source().replan(
            Read(stream), [Split(split.id, params) for split, params in zip(splits, told, strict=True)]
        )

    assert lost.value.code == "plan_lost"


def test_a_table_that_was_read_in_one_part_is_begun_anew(database: "Database") -> None:
    database.run(*TABLE)

    with pytest.raises(TransientError) as lost:
        database.source().replan(Read(database.stream("t")), ())

    assert lost.value.code == "plan_lost"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE t (id int)",
        "CREATE VIEW t AS SELECT 1 AS id",
        "CREATE MATERIALIZED VIEW t AS SELECT 1 AS id",
    ],
)
def test_what_has_no_key_is_not_resumable(database: "Database", statement: str) -> None:
    database.run(statement)

    assert not database.stream("t").resumable
