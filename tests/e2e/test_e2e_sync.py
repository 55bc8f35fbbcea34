"""Syncs from a real PostgreSQL into the real lakehouse, through the operations every front calls."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from servicetsunami.operations.models import RunView
from servicetsunami.operations.sync import list_runs, sync_to_bronze
from servicetsunami.operations.tables import describe_table, list_tables, query_sql
from servicetsunami.sdk import ConfigError, NotFound

CUSTOMERS = (
    "create table customers (id int primary key, name text, balance numeric(12,2), updated_at timestamptz not null)",
    """
    insert into customers
    select n, 'Zoë ' || n, n * 1.25, timestamptz '2026-01-01 00:00:00Z' + n * interval '1 hour'
    from generate_series(1, 1000) as n
    """,
)


class Lake(Protocol):
    """What the fixture `lake` offers."""

    database: Any

    def connect(self, name: str = ..., streams: dict[str, Any] | None = ..., **changes: Any) -> str: ...

    def do(self, work: Any, **flags: Any) -> Any: ...


def sync(lake: Lake, connection: str, table: str, mode: str | None = None) -> RunView:
    view: RunView = lake.do(lambda app, caller: sync_to_bronze(app, caller, connection, table, sync_mode=mode))
    return view


def rows(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    return list(lake.do(lambda app, caller: query_sql(app, caller, sql, limit=1000)).rows)


def test_a_table_arrives_whole_and_is_answered_in_databricks_sql(lake: Lake) -> None:
    lake.database.run(*CUSTOMERS)
    connection = lake.connect()

    run = sync(lake, connection, "customers")

    assert (run.status, run.rows, run.bronze_table) == ("succeeded", 1000, "tenant_default.bronze.customers")
    assert rows(lake, "select count(*), sum(balance), min(name) from bronze.customers") == [
        (1000, "625625.00", "Zoë 1")
    ]


def test_the_second_sync_brings_only_what_changed_and_merges_it_by_key(lake: Lake) -> None:
    lake.database.run(*CUSTOMERS)
    connection = lake.connect()
    sync(lake, connection, "customers")
    lake.database.run(
        "update customers set name = 'changed', updated_at = '2026-06-01Z' where id <= 3",
        "insert into customers values (1001, 'new', 1, '2026-06-02Z')",
    )

    run = sync(lake, connection, "customers")

    assert run.sync_mode == "incremental"
    assert run.rows == 5  # three changed, one new, and the one at the inclusive boundary again
    assert rows(lake, "select count(*), count(distinct id), count_if(name = 'changed') from bronze.customers") == [
        (1001, 1001, 3)
    ]


def test_a_full_sync_forgets_rows_that_are_gone_at_the_source(lake: Lake) -> None:
    lake.database.run(*CUSTOMERS)
    connection = lake.connect()
    sync(lake, connection, "customers")
    lake.database.run("delete from customers where id > 10")

    sync(lake, connection, "customers", "full")

    assert rows(lake, "select count(*) from bronze.customers") == [(10,)]


def test_an_incremental_sync_goes_on_after_a_full_one(lake: Lake) -> None:
    lake.database.run(*CUSTOMERS)
    connection = lake.connect()
    sync(lake, connection, "customers", "full")
    lake.database.run("insert into customers values (1001, 'new', 1, '2026-06-02Z')")

    run = sync(lake, connection, "customers", "incremental")

    assert run.rows == 2
    assert rows(lake, "select count(*) from bronze.customers") == [(1001,)]


def test_nothing_new_at_the_source_changes_no_row(lake: Lake) -> None:
    lake.database.run(*CUSTOMERS)
    connection = lake.connect()
    sync(lake, connection, "customers")

    run = sync(lake, connection, "customers")

    assert run.status == "succeeded"
    assert rows(lake, "select count(*), count(distinct id) from bronze.customers") == [(1000, 1000)]


def test_an_empty_table_gives_an_empty_table_with_its_columns(lake: Lake) -> None:
    lake.database.run("create table nothing (id int, note text)")
    connection = lake.connect()

    run = sync(lake, connection, "nothing")

    assert (run.status, run.rows) == ("succeeded", 0)
    described = lake.do(lambda app, caller: describe_table(app, caller, "bronze.nothing"))
    assert [column.name for column in described.columns] == ["id", "note", "_synced_at", "_sync_id", "_rescued"]
    assert rows(lake, "select count(*) from bronze.nothing") == [(0,)]


def test_cells_that_do_not_fit_are_rescued_and_said(lake: Lake) -> None:
    lake.database.run(
        "create table odd (id int primary key, amount numeric(6,2), day date)",
        "insert into odd values (1, 'NaN', 'infinity'), (2, 1.5, '2026-01-01')",
    )
    connection = lake.connect()

    run = sync(lake, connection, "odd")

    assert run.rows_rescued == 1
    assert any("_rescued" in note for note in run.notes)
    assert rows(lake, "select amount, day, _rescued:amount, _rescued:day from bronze.odd order by id") == [
        (None, None, "NaN", "infinity"),
        ("1.50", "2026-01-01", None, None),
    ]


def test_a_stream_with_a_cursor_and_no_key_is_appended_and_that_is_said(lake: Lake) -> None:
    lake.database.run(
        "create table events (what text, at timestamptz not null)", "insert into events values ('a', '2026-01-01Z')"
    )
    connection = lake.connect(streams={"events": {"cursor": "at"}})
    sync(lake, connection, "events")
    lake.database.run("insert into events values ('b', '2026-01-02Z')")

    run = sync(lake, connection, "events")

    assert any("no key" in note for note in run.notes)
    assert rows(lake, "select distinct what from bronze.events order by what") == [("a",), ("b",)]


def test_a_column_added_at_the_source_appears_and_old_rows_hold_null(lake: Lake) -> None:
    lake.database.run(*CUSTOMERS)
    connection = lake.connect()
    sync(lake, connection, "customers")
    lake.database.run(
        "alter table customers add column vip boolean",
        "update customers set vip = true, updated_at = '2026-06-01Z' where id = 1",
    )

    run = sync(lake, connection, "customers")

    assert run.status == "succeeded"
    assert rows(lake, "select vip, count(*) from bronze.customers group by vip order by vip nulls last") == [
        (True, 1),
        (None, 999),
    ]


def test_values_of_a_column_that_changed_its_type_are_rescued_not_dropped(lake: Lake) -> None:
    lake.database.run(*CUSTOMERS)
    connection = lake.connect()
    sync(lake, connection, "customers")
    lake.database.run(
        "alter table customers alter column balance type text using 'much'",
        "update customers set updated_at = '2026-06-01Z'",
    )

    run = sync(lake, connection, "customers")

    assert (run.status, run.rows_rescued) == ("succeeded", 1000)
    assert rows(lake, "select balance, _rescued from bronze.customers where id = 1") == [(None, '{"balance": "much"}')]
    assert rows(lake, "select count(balance) from bronze.customers") == [(0,)]


def test_two_schemas_with_one_table_name_land_in_two_tables(lake: Lake) -> None:
    lake.database.run(
        "create table orders (id int primary key)",
        "create schema sales",
        "create table sales.orders (id int primary key)",
        "insert into sales.orders values (1)",
    )
    connection = lake.connect()

    first, second = sync(lake, connection, "orders"), sync(lake, connection, "sales.orders")

    assert (first.bronze_table, second.bronze_table) == (
        "tenant_default.bronze.orders",
        "tenant_default.bronze.sales_orders",
    )


def test_a_second_connection_does_not_take_the_first_ones_table(lake: Lake) -> None:
    lake.database.run(*CUSTOMERS)
    first, second = lake.connect("shop"), lake.connect("copy")
    sync(lake, first, "customers")

    run = sync(lake, second, "customers")

    assert run.bronze_table == "tenant_default.bronze.copy_customers"


def test_a_misspelt_table_is_answered_with_near_names(lake: Lake) -> None:
    lake.database.run(*CUSTOMERS)
    connection = lake.connect()

    with pytest.raises(NotFound) as missing:
        sync(lake, connection, "custmers")

    assert missing.value.code == "table_not_found"
    assert missing.value.did_you_mean == ("customers",)


def test_a_table_that_vanished_fails_and_what_was_synced_stays(lake: Lake) -> None:
    lake.database.run(*CUSTOMERS)
    connection = lake.connect()
    sync(lake, connection, "customers")
    lake.database.run("drop table customers", "create table other (id int)")

    with pytest.raises(NotFound):
        sync(lake, connection, "customers")

    assert rows(lake, "select count(*) from bronze.customers") == [(1000,)]


def test_incremental_without_a_cursor_is_refused_with_what_to_choose(lake: Lake) -> None:
    lake.database.run("create table plain (id bigint primary key, note text)")
    connection = lake.connect()

    with pytest.raises(ConfigError) as refused:
        sync(lake, connection, "plain", "incremental")

    assert refused.value.code == "no_cursor"
    assert "id" in (refused.value.fix or "")


def test_a_large_table_is_read_in_splits_and_holds_every_row_once(lake: Lake) -> None:
    lake.database.run(
        "create table wide as select n as id, repeat(md5(n::text), 12) as filler from generate_series(1, 300000) as n",
        "analyze wide",
    )
    connection = lake.connect()

    run = sync(lake, connection, "wide")

    assert run.rows == 300_000
    assert rows(lake, "select count(*), count(distinct id), sum(id) from bronze.wide") == [
        (300_000, 300_000, 45_000_150_000)
    ]


def test_tables_and_runs_are_listed(lake: Lake) -> None:
    lake.database.run(*CUSTOMERS)
    connection = lake.connect()
    run = sync(lake, connection, "customers")

    tables = lake.do(list_tables)
    runs = lake.do(list_runs)

    assert [table.table for table in tables.tables] == ["tenant_default.bronze.customers"]
    assert [view.run_id for view in runs.runs] == [run.run_id]


def test_a_connection_led_to_another_database_begins_anew_and_back_again(lake: Lake) -> None:
    lake.database.run(
        "create table t (id int primary key, updated_at timestamptz not null)",
        "insert into t values (1, '2026-05-01Z')",
    )
    other = lake.database.sibling()
    other.run(
        "create table t (id int primary key, updated_at timestamptz not null)",
        "insert into t values (7, '2026-04-01Z'), (8, '2026-06-01Z')",
    )
    sync(lake, lake.connect(), "t")

    sync(lake, lake.connect(database=other.name), "t")
    there = rows(lake, "select id from bronze.t order by id")
    sync(lake, lake.connect(), "t")

    assert there == [(7,), (8,)]
    assert rows(lake, "select id from bronze.t order by id") == [(1,)]


def test_a_connection_with_another_password_or_protection_goes_on_where_it_was(lake: Lake) -> None:
    lake.database.run(*CUSTOMERS)
    sync(lake, lake.connect(), "customers")

    run = sync(lake, lake.connect(sslmode="disable"), "customers")

    assert run.rows == 1  # the one at the inclusive boundary
