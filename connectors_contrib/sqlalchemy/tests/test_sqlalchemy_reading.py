"""Rows come exactly, once, as they were at one moment, whatever keys and types they have."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Read, Split, TransientError
from servicetsunami.sdk.rows import to_batches

Sqlite = Any
Maria = Any
"""The fixtures; their classes are in conftest.py, which tests cannot import."""


WIDE = "-1234567890123456789012345678901234.5678"


def landed(database: Any, name: str, *, cursor: str | None = None, **asked: Any) -> list[dict[str, Any]]:
    """Read a table as the host does: what does not fit the declared schema is rescued."""
    source = database.source()
    stream = next(stream for stream in source.streams() if stream.id == name)
    read = Read(replace(stream, cursor=cursor or stream.cursor), **asked)
    batches = [batch for item in source.read(read) for batch in to_batches(item, stream.schema)]
    return [row for batch in batches for row in batch.to_pylist()]


COLUMNS = {
    "b": ("bool", "1", 1),
    "t": ("tinyint unsigned", "255", 255),
    "s": ("smallint", "-32768", -32768),
    "m": ("mediumint unsigned", "16777215", 16_777_215),
    "u": ("int unsigned", "4294967295", 4_294_967_295),
    "g": ("bigint unsigned", "18446744073709551615", Decimal(18_446_744_073_709_551_615)),
    "d": ("decimal(38,4)", WIDE, Decimal(WIDE)),
    "w": ("decimal(65,0)", "9" * 65, "9" * 65),
    "f": ("float", "16777217", 16_777_216.0),
    "x": ("double", "0.1", 0.1),
    "c": ("char(3)", "'a'", "a"),
    "z": ("varchar(20)", "'Zoë 🌊'", "Zoë 🌊"),
    "l": ("longtext", "'long'", "long"),
    "n": ("varbinary(4)", "x'00ff'", b"\x00\xff"),
    "o": ("blob", "x'01'", b"\x01"),
    "e": ("enum('a','b')", "'b'", "b"),
    "k": ("set('a','b','c')", "'c,a'", "a,c"),
    "j": ("json", """'{"n": 12345678901234567890}'""", '{"n": 12345678901234567890}'),
    "da": ("date", "'2024-02-29'", date(2024, 2, 29)),
    "dt": ("datetime(6)", "'2024-02-29 10:00:00.000001'", datetime(2024, 2, 29, 10, 0, 0, 1)),
    "ts": ("timestamp", "'2024-02-29 10:00:00'", datetime(2024, 2, 29, 10, tzinfo=UTC)),
    "ti": ("time", "'23:59:58'", time(23, 59, 58)),
    "y": ("year", "2024", 2024),
    "bi": ("bit(9)", "b'100000001'", 257),
}  # fmt: skip
"""Of every type of MariaDB: how it is declared, a value as SQL writes it, and as it has to come."""


@pytest.mark.server
def test_every_type_of_mariadb_comes_exactly(maria: Maria) -> None:
    maria.run(
        "set time_zone = '+00:00'",
        f"create table t ({', '.join(f'`{name}` {kind}' for name, (kind, _, _) in COLUMNS.items())})",
    )
    with closing(maria.server.connect(maria.name)) as connection, connection.cursor() as cursor:
        cursor.execute("set time_zone = '+00:00'")
        cursor.execute(f"insert into t values ({', '.join(literal for _, literal, _ in COLUMNS.values())})")
        cursor.execute(f"insert into t values ({', '.join(['null'] * len(COLUMNS))})")
        connection.commit()

    full, empty = landed(maria, "t")

    assert {name: value for name, value in full.items() if name != "_rescued"} == {
        name: expected for name, (_, _, expected) in COLUMNS.items()
    }
    assert full.get("_rescued") is None
    assert set(empty.values()) == {None}


@pytest.mark.server
def test_what_no_calendar_has_is_rescued_and_not_changed(maria: Maria) -> None:
    with closing(maria.server.connect(maria.name)) as connection, connection.cursor() as cursor:
        cursor.execute("set sql_mode = ''")
        cursor.execute("create table t (id int primary key, d date, m datetime, t time)")
        cursor.execute("insert into t values (1, '0000-00-00', '2024-00-01 00:00:00', '-12:00:00')")
        connection.commit()

    (row,) = landed(maria, "t")

    assert (row["d"], row["m"], row["t"]) == (None, None, None)
    assert json.loads(row["_rescued"]) == {"d": "0000-00-00", "m": "2024-00-01 00:00:00", "t": "-1 day, 12:00:00"}


def test_a_cell_of_another_type_than_its_column_is_rescued(sqlite: Sqlite) -> None:
    sqlite.run(
        "create table t (id integer primary key, n integer, d date, a decimal(6,2), b boolean, x blob, free)",
        "insert into t values (1, 'many', 'soon', 1.005, 2, x'00', 'text')",
        "insert into t values (2, 7, '2024-02-29', 1.25, 1, null, 3.5)",
    )

    first, second = landed(sqlite, "t")

    rescued = json.loads(first["_rescued"])
    assert rescued == {"n": "many", "d": "soon", "a": "1.005", "b": "2"}
    assert (first["x"], first["free"]) == (b"\x00", "text")
    assert (second["n"], second["d"], second["a"], second["b"]) == (7, date(2024, 2, 29), Decimal("1.25"), True)
    assert second["free"] == "3.5"


@pytest.mark.server
def test_keys_that_a_collation_takes_for_alike_lose_no_row_between_pages(maria: Maria) -> None:
    keys = ["a", "B", "b ", "ä", "Z", "z1", "é", "ß", "ss1", "10", "9", "🌊", "_", " "]
    maria.run("create table t (k varchar(20) primary key) collate utf8mb4_general_ci")
    kept = set()
    with closing(maria.server.connect(maria.name)) as connection, connection.cursor() as cursor:
        for key in keys:
            cursor.execute("insert ignore into t values (%s)", (key,))
        connection.commit()
        cursor.execute("select k from t")
        kept = {row[0] for row in cursor.fetchall()}

    found = [row["k"] for row in landed(maria, "t", batch_rows=2)]

    assert len(found) == len(kept)
    assert set(found) == kept


@pytest.mark.server
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_key_of_several_columns_is_walked_once(maria: Maria, size: int) -> None:
    maria.run(
        "create table t (a int, b varchar(5), c date, primary key (a, b, c))",
        *(f"insert into t values ({n // 4}, '{'xyz'[n % 3]}', '2024-01-{1 + n:02}')" for n in range(20)),
    )

    rows = landed(maria, "t", batch_rows=size)

    assert len({tuple(row.values()) for row in rows}) == len(rows) == 20


def test_a_key_that_may_be_null_is_no_key(sqlite: Sqlite) -> None:
    sqlite.run("create table t (k text primary key, n int)", "insert into t values (null, 1), (null, 2), ('x', 3)")
    (stream,) = [stream for stream in sqlite.source().streams() if stream.id == "t"]

    assert stream.key == ()
    assert sorted(row["n"] for row in landed(sqlite, "t", batch_rows=1)) == [1, 2, 3]


@pytest.mark.parametrize("database", ["sqlite", pytest.param("maria", marks=pytest.mark.server)])
def test_since_is_inclusive(database: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(database)
    found.run(
        "create table t (id integer primary key, changed datetime not null)",
        "insert into t values (1, '2024-01-01 00:00:00'), (2, '2024-01-02 00:00:00'), (3, '2024-01-02 12:00:00')",
    )

    rows = landed(found, "t", cursor="changed", since=datetime(2024, 1, 2))

    assert [row["id"] for row in rows] == [2, 3]


def test_moments_of_sqlite_with_a_fraction_or_a_t_are_compared_as_moments(sqlite: Sqlite) -> None:
    sqlite.run(
        "create table t (id integer primary key, changed datetime)",
        "insert into t values (1, '2024-01-02T09:00:00'), (2, '2024-01-02 10:00:00.000000'), (3, '2024-01-02 11:00')",
    )

    rows = landed(sqlite, "t", cursor="changed", since=datetime(2024, 1, 2, 10))

    assert [row["id"] for row in rows] == [2, 3]


@pytest.mark.server
def test_a_read_sees_one_moment(maria: Maria) -> None:
    maria.run("create table t (id int primary key)", *(f"insert into t values ({n})" for n in range(10)))
    source = maria.source()
    (stream,) = source.streams()
    items = source.read(Read(stream, batch_rows=4))

    first = next(items)
    maria.run("delete from t where id = 9", "insert into t values (99)")
    rest = [row["id"] for item in items for row in item.to_pylist()]

    assert [row["id"] for row in first.to_pylist()] + rest == list(range(10))


@pytest.mark.server
def test_a_connection_that_is_killed_in_the_middle_is_a_passing_error(maria: Maria) -> None:
    maria.run("create table t (id int primary key)", *(f"insert into t values ({n})" for n in range(10)))
    source = maria.source()
    (stream,) = source.streams()
    items = source.read(Read(stream, batch_rows=4))
    next(items)

    with closing(maria.server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("select id from information_schema.processlist where user = %s", (maria.user,))
        for (number,) in cursor.fetchall():
            cursor.execute(f"kill {number}")

    with pytest.raises(TransientError) as gone:
        list(items)
    assert gone.value.code == "connection_lost"


def test_parts_hold_every_row_once(sqlite: Sqlite) -> None:
    sqlite.run(
        "create table t (id integer primary key, v text)",
        *(f"insert into t values ({n * n - 50}, 'x')" for n in range(60)),
    )
    source = sqlite.source()
    stream = next(stream for stream in source.streams() if stream.id == "t")
    splits: list[Split] = list(source.splits(Read(stream), 4))

    parts = [[row["id"] for row in landed(sqlite, "t", split=split)] for split in splits]

    assert len(splits) == 4
    assert sorted(number for part in parts for number in part) == sorted(n * n - 50 for n in range(60))


@pytest.mark.parametrize("statement", ["create table e (id integer primary key)", "create table e (a text)"])
def test_a_table_without_rows_has_its_columns(statement: str, sqlite: Sqlite) -> None:
    sqlite.run(statement)
    stream = next(stream for stream in sqlite.source().streams() if stream.id == "e")

    assert landed(sqlite, "e") == []
    assert isinstance(stream.schema, pa.Schema)
    assert len(stream.schema) == 1


def test_names_with_quotes_and_other_letters_are_read(sqlite: Sqlite) -> None:
    sqlite.run('create table "My ""Täble""; --" ("a b" integer primary key, "sélect" text)')
    sqlite.run("""insert into "My ""Täble""; --" values (1, 'x')""")

    assert landed(sqlite, 'My "Täble"; --') == [{"a b": 1, "sélect": "x"}]


def test_views_are_read_too(sqlite: Sqlite) -> None:
    sqlite.run(
        "create table t (id integer primary key)", "insert into t values (1)", "create view v as select * from t"
    )
    kinds = {stream.id: stream.kind for stream in sqlite.source().streams()}

    assert (kinds["t"], kinds["v"]) == ("table", "view")
    assert landed(sqlite, "v") == [{"id": 1}]
