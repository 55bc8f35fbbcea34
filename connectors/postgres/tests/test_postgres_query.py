"""A question at the source is answered exactly, within bounds, and changes nothing."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from servicetsunami.sdk import Cancelled, ConfigError, NotFound, PermanentError, PermissionDenied, QueryLimits

if TYPE_CHECKING:
    from conftest import Database

pytestmark = pytest.mark.server

FEW = QueryLimits(rows=100)


def test_an_answer_has_names_types_and_values(database: "Database") -> None:
    database.run(
        "CREATE TABLE orders (id int, total numeric(10,2), at timestamptz, tags text[], raw bytea)",
        "INSERT INTO orders VALUES (1, 10.50, '2024-01-01 00:00+00', '{a,NULL}', '\\x00ff'), (2, 3, NULL, NULL, NULL)",
    )
    sql = (
        "SELECT id, total, avg(total) OVER () AS mean, at, tags, raw, total > 5 AS big, id FROM orders ORDER BY id DESC"
    )

    table = database.source().query(sql, FEW).read_all()

    first = {"id": 2, "total": Decimal("3.00"), "mean": Decimal("6.7500000000000000"), "at": None, "tags": None}
    second = {"id": 1, "total": Decimal("10.50"), "mean": Decimal("6.7500000000000000")}
    second |= {"at": datetime(2024, 1, 1, tzinfo=UTC), "tags": '["a",null]'}
    assert table.to_pylist() == [
        {**first, "raw": None, "big": False, "id_2": 2},
        {**second, "raw": b"\x00\xff", "big": True, "id_2": 1},
    ]
    assert table.schema.field("mean").type == pa.decimal128(38, 16)


def test_a_value_that_does_not_fit_turns_its_column_into_text(database: "Database") -> None:
    sql = "SELECT d FROM (VALUES ('infinity'::date), ('2024-01-01'), (NULL)) AS v(d)"

    table = database.source().query(sql, FEW).read_all()

    assert table.column("d").to_pylist() == ["infinity", "2024-01-01", None]


def test_an_answer_without_rows_has_its_columns(database: "Database") -> None:
    table = database.source().query("SELECT 1 AS a, 'x' AS b, now() AS c WHERE false", FEW).read_all()

    assert (table.num_rows, table.column_names) == (0, ["a", "b", "c"])
    assert table.schema.field("a").type == pa.int32()


def test_rows_are_capped(database: "Database") -> None:
    table = database.source().query("SELECT * FROM generate_series(1, 1000000)", QueryLimits(rows=7)).read_all()

    assert table.num_rows == 7


def test_bytes_are_capped_and_that_is_said(database: "Database") -> None:
    limits = QueryLimits(rows=1000, size_bytes=10_000)

    table = database.source().query("SELECT repeat('x', 1000) AS a FROM generate_series(1, 100)", limits).read_all()

    assert table.num_rows == 10
    assert table.schema.metadata == {b"truncated": b"true"}


def test_a_giant_cell_is_refused_without_being_fetched(database: "Database") -> None:
    with pytest.raises(PermanentError) as raised:
        database.source().query("SELECT repeat('x', 200000000)", QueryLimits(rows=1, size_bytes=1000))

    assert raised.value.code == "result_too_large"


def test_a_long_query_is_ended(database: "Database") -> None:
    sql = "SELECT count(*) FROM generate_series(1, 1000000000)"

    with pytest.raises(PermanentError) as raised:
        database.source().query(sql, QueryLimits(rows=1, timeout_seconds=0.2))

    assert raised.value.code == "query_timeout"


def test_a_cancelled_query_is_ended_at_the_server(database: "Database") -> None:
    database.ctx.stopped = True
    source = database.source()

    with pytest.raises(Cancelled):
        source.query("SELECT count(*) FROM generate_series(1, 1000000000)", FEW)
    source.close()
    database.opened.remove(source)

    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series(1, 1000000000)%' AND pid <> "
    assert database.ask(running + "pg_backend_pid() AND state = 'active'") == 0


def test_an_unknown_column_is_told_with_near_ones(database: "Database") -> None:
    database.run("CREATE TABLE orders (total int)")

    with pytest.raises(NotFound) as raised:
        database.source().query("SELECT totl FROM orders", FEW)

    assert (raised.value.code, raised.value.did_you_mean) == ("column_not_found", ("total",))


def test_an_unknown_table_is_told_with_near_ones(database: "Database") -> None:
    database.run("CREATE TABLE orders (total int)")

    with pytest.raises(NotFound) as raised:
        database.source().query("SELECT * FROM ordrs", FEW)

    assert (raised.value.code, raised.value.did_you_mean) == ("table_not_found", ("orders",))


@pytest.mark.parametrize(
    "sql", ["SELECT 1 / 0", "SELECT 'x'::int", "SELECT a FROM (SELECT 1 AS b) x GROUP BY lower(1)"]
)
def test_a_statement_at_fault_is_the_callers(database: "Database", sql: str) -> None:
    with pytest.raises((ConfigError, NotFound)) as raised:
        database.source().query(sql, FEW)

    assert raised.value.field == "sql"
    assert raised.value.why


def test_a_table_the_role_may_not_read_is_denied(database: "Database") -> None:
    database.run("DROP ROLE IF EXISTS stranger", "CREATE ROLE stranger LOGIN PASSWORD 'p'", "CREATE TABLE t (a int)")
    database.run("GRANT USAGE ON SCHEMA public TO stranger")

    with pytest.raises(PermissionDenied):
        database.source(user="stranger", password="p").query("SELECT * FROM t", FEW)
    database.run("DROP OWNED BY stranger", "DROP ROLE stranger")


@pytest.mark.parametrize(
    "sql",
    [
        "COMMIT; DROP TABLE victim",
        "DELETE FROM victim",
        "WITH gone AS (DELETE FROM victim RETURNING *) SELECT * FROM gone",
        "SELECT setval('victim_id_seq', 99)",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT * INTO copied FROM victim",
        "SELECT public.harm()",
        "SELECT * FROM victim FOR UPDATE",
    ],
)
def test_an_attack_changes_nothing_even_for_a_superuser(database: "Database", sql: str) -> None:
    database.run(
        "CREATE TABLE victim (id serial, a int)",
        "INSERT INTO victim (a) VALUES (1), (2)",
        "CREATE FUNCTION harm() RETURNS int LANGUAGE sql AS 'DELETE FROM victim; SELECT 1'",
    )

    with pytest.raises(ConfigError) as raised:
        database.source().query(sql, FEW)

    state = "SELECT (SELECT count(*) FROM victim) || ' ' || (SELECT last_value FROM victim_id_seq) || ' ' || "
    assert raised.value.code == "sql_refused"
    assert database.ask(state + "(SELECT count(*) FROM pg_largeobject_metadata)") == "2 2 0"


def test_a_function_of_the_database_hidden_behind_a_view_cannot_write(database: "Database") -> None:
    database.run(
        "CREATE TABLE victim (a int)",
        "CREATE FUNCTION harm() RETURNS int LANGUAGE sql AS 'INSERT INTO public.victim VALUES (1) RETURNING 1'",
        "CREATE VIEW trap AS SELECT public.harm()",
    )

    with pytest.raises((ConfigError, PermanentError)) as raised:
        database.source().query("SELECT * FROM trap", FEW)

    assert "read-only transaction" in str(raised.value.why)
    assert database.ask("SELECT count(*) FROM victim") == 0


def test_a_function_with_the_name_of_a_harmless_one_is_not_called(database: "Database") -> None:
    database.run("CREATE FUNCTION lower(int) RETURNS text LANGUAGE sql AS $$ SELECT 'taken' $$")

    with pytest.raises(ConfigError) as raised:
        database.source().query("SELECT lower(1)", FEW)

    assert raised.value.code == "sql_invalid"


def test_only_the_schemas_of_the_settings_can_be_asked(database: "Database") -> None:
    database.run("DROP SCHEMA IF EXISTS shut CASCADE", "CREATE SCHEMA shut", "CREATE TABLE shut.t AS SELECT 1 AS a")
    database.run(
        'DROP SCHEMA IF EXISTS "Open" CASCADE', 'CREATE SCHEMA "Open"', 'CREATE TABLE "Open".t AS SELECT 2 AS a'
    )
    source = database.source(schemas=["Open"])

    with pytest.raises(ConfigError) as raised:
        source.query("SELECT * FROM shut.t", FEW)
    found = [source.query(sql, FEW).read_all().to_pylist() for sql in ("TABLE t", 'SELECT * FROM "Open".t')]

    assert (raised.value.code, raised.value.fix) == ("sql_refused", "read tables of: Open")
    assert found == [[{"a": 2}], [{"a": 2}]]
    database.run("DROP SCHEMA shut CASCADE", 'DROP SCHEMA "Open" CASCADE')
