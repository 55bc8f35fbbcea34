"""A table that is synced by its source's own log: inserts, updates and deletes arrive, and the log is let go of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.operations.deleting import delete_connection
from servicetsunami.operations.models import RunView

SETTINGS = {"wal_level": "logical", "max_replication_slots": "20"}
PEOPLE = (
    "create table people (id int primary key, name text, updated_at timestamptz default now())",
    "insert into people (id, name) select n, 'name ' || n from generate_series(1, 1000) as n",
)
SLOTS = "select count(*) from pg_replication_slots where database = current_database()"


@pytest.fixture(scope="module")
def postgres() -> Iterator[ThrowawayServer]:
    with throwaway_postgres(settings=SETTINGS) as server:
        yield server


def rows(lake: Any) -> list[tuple[Any, ...]]:
    return list(lake.rows("select id, name from bronze.people order by id limit 5"))


def notes(run: RunView) -> str:
    return " ".join(run.notes)


def test_inserts_updates_and_deletes_arrive_and_the_table_equals_its_source(lake: Any) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect()
    first = lake.sync(connection, "people", "changes")
    lake.database.run(
        "update people set name = 'changed' where id = 1",
        "delete from people where id = 2",
        "update people set id = 5000 where id = 3",
        "insert into people (id, name) values (1001, 'new')",
    )

    second = lake.sync(connection, "people")

    assert (first.status, first.sync_mode, first.rows) == ("succeeded", "changes", 1000)
    assert (second.status, second.sync_mode) == ("succeeded", "changes")
    assert second.lag_bytes is not None
    assert rows(lake)[:2] == [(1, "changed"), (4, "name 4")]
    landed = lake.rows("select count(*), sum(id), count(distinct name) from bronze.people")
    source = lake.database.rows("select count(*), sum(id), count(distinct name) from people")
    assert [tuple(int(cell) for cell in row) for row in landed] == source


def test_a_truncated_table_is_empty_after_the_next_sync(lake: Any) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect()
    lake.sync(connection, "people", "changes")
    lake.database.run("truncate people", "insert into people (id, name) values (7, 'seven')")

    run = lake.sync(connection, "people")

    assert run.status == "succeeded"
    assert rows(lake) == [(7, "seven")]


def test_deleted_rows_are_kept_and_marked_where_that_is_set(lake: Any) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect(streams={"people": {"deletes": "soft"}})
    lake.sync(connection, "people", "changes")
    lake.database.run("delete from people where id <= 2")

    run = lake.sync(connection, "people")

    assert run.status == "succeeded"
    assert lake.rows("select id from bronze.people where _deleted_at is not null order by id") == [(1,), (2,)]
    assert lake.rows("select count(*) from bronze.people") == [(1000,)]


def test_a_sync_without_changes_changes_no_row_and_lets_the_source_forget_its_log(lake: Any) -> None:
    lake.database.run(*PEOPLE, "create table other (id int)")
    connection = lake.connect()
    lake.sync(connection, "people", "changes")
    held = lake.database.rows("select confirmed_flush_lsn::text from pg_replication_slots")
    lake.database.run("insert into other select generate_series(1, 1000)")

    run = lake.sync(connection, "people")

    assert (run.status, run.rows) == ("succeeded", 0)
    assert lake.rows("select count(*) from bronze.people") == [(1000,)]
    assert lake.database.rows("select confirmed_flush_lsn::text from pg_replication_slots") != held


def test_a_deleted_connection_leaves_no_slot_at_the_source(lake: Any) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect()
    lake.sync(connection, "people", "changes")
    before = lake.database.rows(SLOTS)

    result = lake.do(lambda app, caller: delete_connection(app, replace(caller, by_model=False), connection))

    assert (before, lake.database.rows(SLOTS)) == ([(1,)], [(0,)])
    assert "people" in result.notes[0]


def test_another_mode_lets_go_of_the_log_and_says_so(lake: Any) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect()
    lake.sync(connection, "people", "changes")

    run = lake.sync(connection, "people", "full")
    after = lake.sync(connection, "people")

    assert "log is released" in notes(run)
    assert lake.database.rows(SLOTS) == [(0,)]
    assert (run.status, after.sync_mode) == ("succeeded", "incremental")


def test_a_log_that_was_lost_at_the_source_leads_to_a_full_read(lake: Any) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect()
    lake.sync(connection, "people", "changes")
    lake.database.run(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()",
        "delete from people where id > 1",
    )

    run = lake.sync(connection, "people")
    lake.database.run("insert into people (id, name) values (2, 'again')")
    lake.sync(connection, "people")

    assert run.status == "succeeded"
    assert "filled anew" in notes(run)
    assert rows(lake) == [(1, "name 1"), (2, "again")]


def test_a_table_without_key_is_refused_before_anything_is_made(lake: Any) -> None:
    lake.database.run("create table loose (n int)")
    connection = lake.connect()

    code, _, errors = lake.command("sync", connection, "loose", "--mode", "changes")

    assert code != 0
    assert "has no key" in errors
    assert lake.database.rows(SLOTS) == [(0,)]
