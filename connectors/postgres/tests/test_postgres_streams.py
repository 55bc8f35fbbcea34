"""Discovery shows what the role may read, with keys, cursors, sizes and comments."""

from typing import TYPE_CHECKING

import pytest

from servicetsunami.sdk import NotFound, Read

if TYPE_CHECKING:
    from conftest import Database

pytestmark = pytest.mark.server


def test_every_kind_of_relation_is_found_and_partitions_are_hidden(database: "Database") -> None:
    database.run(
        "CREATE TABLE plain (id int PRIMARY KEY)",
        "CREATE VIEW seen AS SELECT * FROM plain",
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM plain",
        "CREATE TABLE parted (id int, day date) PARTITION BY RANGE (day)",
        "CREATE TABLE parted_2026 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "CREATE TABLE nothing ()",
    )

    kinds = {stream.id: stream.kind for stream in database.source().streams()}

    assert kinds == {
        "kept": "materialized view",
        "parted": "partitioned table",
        "plain": "table",
        "seen": "view",
    }


def test_a_table_outside_public_keeps_its_schema(database: "Database") -> None:
    database.run('DROP SCHEMA IF EXISTS "Odd ""S" CASCADE', 'CREATE SCHEMA "Odd ""S"')
    database.run('CREATE TABLE "Odd ""S"."T;--" ("a""b" int)', 'INSERT INTO "Odd ""S"."T;--" VALUES (7)')

    rows = database.rows('Odd "S.T;--')

    assert rows == [{'a"b': 7}]
    database.run('DROP SCHEMA "Odd ""S" CASCADE')


def test_only_what_the_role_may_read_is_shown(database: "Database") -> None:
    database.run(
        "DROP ROLE IF EXISTS partial",
        "CREATE ROLE partial LOGIN PASSWORD 'p'",
        "CREATE TABLE open (a int, hidden int)",
        "CREATE TABLE closed (a int)",
        "GRANT USAGE ON SCHEMA public TO partial",
        "GRANT SELECT (a) ON open TO partial",
        "INSERT INTO open VALUES (1, 2)",
    )
    source = database.source(user="partial", password="p")

    rows = database.read(source)

    assert rows == [{"a": 1}]
    database.run("DROP OWNED BY partial", "DROP ROLE partial")


@pytest.mark.parametrize(
    ("definition", "key"),
    [
        ("a int, b int, PRIMARY KEY (b, a)", ("b", "a")),
        ("a int UNIQUE, b int NOT NULL UNIQUE", ("b",)),
        ("a int UNIQUE", ()),
        ("a int NOT NULL, EXCLUDE (a WITH =)", ()),
        ("a int NOT NULL, b int NOT NULL, c int, UNIQUE (a) INCLUDE (c)", ("a",)),
        ("a int NOT NULL UNIQUE DEFERRABLE", ()),
    ],
)
def test_the_key_is_the_primary_one_or_a_unique_one_that_is_never_null(
    database: "Database", definition: str, key: tuple[str, ...]
) -> None:
    database.run(f"CREATE TABLE t ({definition})")

    assert database.stream("t").key == key


@pytest.mark.parametrize(
    ("definition", "cursor", "candidates"),
    [
        ("id int PRIMARY KEY, created_at timestamptz, updated_at timestamptz", "updated_at", ("created_at", "id")),
        ("a timestamp, b timestamp NOT NULL, last_modified timestamp NOT NULL", "last_modified", ("b", "a")),
        ("updated_at timestamptz, modified_at timestamptz NOT NULL", "modified_at", ("updated_at",)),
        ("updated_at timestamptz", None, ("updated_at",)),
        ('"lastUpdated" timestamptz NOT NULL', "lastUpdated", ()),
        ("id int PRIMARY KEY, created_at timestamptz, day date", None, ("created_at", "day", "id")),
        ("updated_at text, update_count int", None, ()),
    ],
)
def test_the_cursor_is_a_timestamp_named_for_changes(
    database: "Database", definition: str, cursor: str | None, candidates: tuple[str, ...]
) -> None:
    database.run(f"CREATE TABLE t ({definition})")

    stream = database.stream("t")

    assert stream.cursor == cursor
    assert stream.cursor_candidates == ((cursor,) if cursor else ()) + candidates


def test_rows_and_size_are_those_of_the_last_analyze(database: "Database") -> None:
    database.run("CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) i", "ANALYZE t")

    stream = database.stream("t")

    assert stream.rows == 1000
    assert stream.size_bytes == database.ask("SELECT pg_relation_size('t')")


def test_two_thousand_tables_are_found_in_three_queries(database: "Database") -> None:
    database.run(
        "DO $$ BEGIN FOR i IN 1..2000 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, b text)', i); "
        "IF i % 100 = 0 THEN COMMIT; END IF; END LOOP; END $$"
    )

    streams = list(database.source().streams())

    assert len(streams) == 2000
    database.run(
        "DO $$ BEGIN FOR i IN 1..2000 LOOP EXECUTE format('DROP TABLE t%s', i); "
        "IF i % 100 = 0 THEN COMMIT; END IF; END LOOP; END $$"
    )


def test_a_table_that_vanished_is_told_with_near_names(database: "Database") -> None:
    database.run("CREATE TABLE customer (a int)", "CREATE TABLE customers (a int)")
    stream = database.stream("customers")
    database.run("DROP TABLE customers")

    with pytest.raises(NotFound) as raised:
        list(database.source().read(Read(stream)))

    assert raised.value.code == "stream_not_found"
    assert raised.value.did_you_mean == ("customer",)
