"""Streams with settings, from a real PostgreSQL into the real lakehouse, while the source changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from servicetsunami.operations.connections import list_connections
from servicetsunami.operations.models import ConnectionList, RunView, SourceTables
from servicetsunami.operations.sources import list_source_tables
from servicetsunami.operations.tables import describe_table

PEOPLE = (
    "create table people (id int primary key, mail text, ssn text, phone text, notes text, n int, at timestamptz)",
    "insert into people values (1, 'ann@x.org', '111-22-3333', '555-0100-1234', 'private', 7, '2026-01-01Z')",
)
SETTINGS: dict[str, Any] = {
    "cursor": "at",
    "exclude": ["notes"],
    "rename": {"mail": "email", "ssn": "ssn_hash"},
    "hash": ["ssn"],
    "mask": {"phone": "last4", "mail": "email"},
}
RAW = ("ann@x.org", "111-22-3333", "555-0100-1234", "private")


class Lake(Protocol):
    """What the fixture `lake` offers."""

    database: Any
    home: Path

    def connect(self, name: str = ..., streams: dict[str, Any] | None = ..., **changes: Any) -> str: ...

    def do(self, work: Any, **flags: Any) -> Any: ...

    def sync(self, connection: str, table: str, mode: str | None = None) -> RunView: ...

    def rows(self, sql: str) -> list[tuple[Any, ...]]: ...


def test_hidden_columns_land_hidden_and_nothing_kept_holds_them(lake: Lake) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect(streams={"people": SETTINGS})

    run = lake.sync(connection, "people")

    assert (run.status, run.notes, run.drift) == ("succeeded", (), ())
    ((email, phone, digest),) = lake.rows("select email, phone, ssn_hash from bronze.people")
    assert (email, phone, len(digest)) == ("***@x.org", "***1234", 32)
    kept = [path for path in lake.home.rglob("*") if path.is_file()]
    assert len(kept) > 3
    assert not [path for path in kept for raw in RAW if raw.encode() in path.read_bytes()]


def test_equal_values_hash_equally_in_another_table(lake: Lake) -> None:
    lake.database.run(*PEOPLE, "create table other as select id, ssn as tax_number from people")
    connection = lake.connect(streams={"people": SETTINGS, "other": {"hash": ["tax_number"]}})
    lake.sync(connection, "people")

    lake.sync(connection, "other")

    joined = "select count(*) from bronze.people p join bronze.other o on p.ssn_hash = o.tax_number"
    assert lake.rows(joined) == [(1,)]


def test_a_source_that_changes_is_told_and_loses_nothing(lake: Lake) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect(streams={"people": SETTINGS})
    lake.sync(connection, "people")
    lake.database.run(
        "alter table people add extra text, drop phone, alter n type bigint",
        "insert into people values (2, 'bob@x.org', '4', '', 9999999999, '2026-02-01Z', 'new')",
        "insert into people values (9, 'ian@x.org', '6', '', 0, '2026-02-02Z', 'newer')",
    )
    lake.connect(streams={"people": {**SETTINGS, "mask": {"mail": "email"}}})
    lake.sync(connection, "people")
    lake.database.run(
        "alter table people alter n type text using n::text, drop extra",
        "insert into people values (3, 'eve@x.org', '5', '', 'many', '2026-03-01Z')",
    )

    run = lake.sync(connection, "people")

    assert run.status == "succeeded"
    assert [(found.kind, found.column) for found in run.drift] == [
        ("retyped", "n"),
        ("rescued", "n"),
        ("removed", "extra"),
    ]
    assert len(run.notes) >= 3
    rows = lake.rows("select id, n, extra, _rescued from bronze.people order by id")
    assert rows[:2] == [(1, 7, None, None), (2, 9999999999, "new", None)]
    assert rows[2][:3] == (3, None, None)
    assert json.loads(rows[2][3]) == {"n": "many"}
    assert [found.kind for found in lake.sync(connection, "people").drift] == ["rescued"]


def test_a_wider_column_widens_its_table_where_the_stream_says_so(lake: Lake) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect(streams={"people": {"cursor": "at", "evolve": "widen"}})
    lake.sync(connection, "people")
    lake.database.run(
        "alter table people alter n type bigint",
        "insert into people (id, n, at) values (2, 9999999999, '2026-02-01Z')",
    )

    run = lake.sync(connection, "people")

    assert [(found.kind, found.column) for found in run.drift] == [("widened", "n")]
    assert lake.rows("select max(n), count(_rescued) from bronze.people") == [(9999999999, 0)]
    table = lake.do(lambda app, caller: describe_table(app, caller, "bronze.people"))
    assert next(column.type for column in table.columns if column.name == "n") == "BIGINT"


def test_a_wider_column_is_rescued_where_the_table_may_only_grow_columns(lake: Lake) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect(streams={"people": {"cursor": "at"}})
    lake.sync(connection, "people")
    lake.database.run(
        "alter table people alter n type bigint",
        "insert into people (id, n, at) values (2, 9999999999, '2026-02-01Z'), (3, 5, '2026-02-01Z')",
    )

    run = lake.sync(connection, "people")

    assert run.rows_rescued == 1
    assert lake.rows("select id, n, _rescued from bronze.people where id > 1 order by id") == [
        (2, None, '{"n": "9999999999"}'),
        (3, 5, None),
    ]


def test_a_frozen_table_refuses_a_new_column_and_stays_as_it_is(lake: Lake) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect(streams={"people": {"cursor": "at", "evolve": "freeze"}})
    lake.sync(connection, "people")
    lake.database.run("alter table people add extra text", "update people set n = 8, at = '2026-02-01Z'")

    run = lake.sync(connection, "people")

    assert run.problem is not None
    assert (run.status, run.problem.code) == ("failed", "schema_frozen")
    assert "extra" in run.problem.message
    assert lake.rows("select n from bronze.people") == [(7,)]


def test_new_settings_read_the_whole_table_again(lake: Lake) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect(streams={"people": {"cursor": "at"}})
    lake.sync(connection, "people")
    lake.connect(streams={"people": SETTINGS})

    run = lake.sync(connection, "people")

    assert (run.status, run.rows, run.drift) == ("succeeded", 1, ())
    described = lake.do(lambda app, caller: describe_table(app, caller, "bronze.people"))
    names = {column.name for column in described.columns}
    assert names == {"id", "email", "ssn_hash", "phone", "n", "at", "_synced_at", "_sync_id", "_rescued"}


def test_settings_are_shown_with_the_connection_and_its_tables(lake: Lake) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect(streams={"people": SETTINGS})

    listed: ConnectionList = lake.do(list_connections)
    tables: SourceTables = lake.do(lambda app, caller: list_source_tables(app, caller, connection))

    assert listed.connections[0].streams == {"people": SETTINGS}
    assert tables.tables[0].settings == SETTINGS


def test_settings_that_do_not_fit_the_table_fail_the_test_of_the_connection(lake: Lake) -> None:
    lake.database.run(*PEOPLE)
    connection = lake.connect(streams={"people": {"hash": ["snn"]}})

    listed: ConnectionList = lake.do(list_connections)
    tables: SourceTables = lake.do(lambda app, caller: list_source_tables(app, caller, connection))

    assert listed.connections[0].status == "failed"
    problem = tables.tables[0].problem
    assert problem is not None
    assert (problem.code, problem.did_you_mean) == ("column_not_found", ("ssn",))
