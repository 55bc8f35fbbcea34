"""The guard lets ordinary questions through and nothing that changes, reaches out or looks at the system."""

import subprocess
import sys

import pytest

from servicetsunami.sdk import ConfigError
from servicetsunami.sdk.sql import guard_postgres

ORDINARY = [
    "SELECT 1",
    "SELECT * FROM customers",
    "TABLE customers",
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT count(*), sum(total)::numeric(12, 2) FROM sales.orders WHERE placed_at >= date '2026-01-01'",
    "SELECT date_trunc('month', placed_at) AS month, avg(total) FROM orders GROUP BY 1 ORDER BY 1 DESC NULLS LAST",
    "SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id LEFT JOIN notes n USING (id)",
    "SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY placed_at DESC) AS rank FROM orders",
    "SELECT sum(x) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t WINDOW w AS (ORDER BY y)",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total), count(*) FILTER (WHERE total > 100) FROM orders",
    "WITH recent AS (SELECT * FROM orders WHERE placed_at > now() - interval '7 days') SELECT count(*) FROM recent",
    "WITH RECURSIVE tree(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM tree WHERE id < 9) SELECT * FROM tree",
    "SELECT DISTINCT ON (customer_id) * FROM orders ORDER BY customer_id, placed_at DESC LIMIT 10 OFFSET 5",
    "SELECT a FROM t UNION ALL (SELECT b FROM u EXCEPT SELECT c FROM v) INTERSECT SELECT d FROM w",
    "SELECT CASE WHEN a > 1 THEN 'x' ELSE coalesce(b, nullif(c, '')) END, greatest(a, 2) FROM t",
    "SELECT extract(year FROM d), trim(both ' ' FROM a), substring(a FROM 1 FOR 2), position('a' IN b) FROM t",
    "SELECT data ->> 'name', data #> '{a,b}', jsonb_array_length(data -> 'tags') FROM e WHERE data @> '{\"a\": 1}'",
    "SELECT unnest(tags), tags[1], array_agg(id ORDER BY id) FROM t WHERE 'a' = ANY (tags) GROUP BY 1, 2",
    "SELECT d::date, generate_series(1, 3) FROM generate_series(now(), now(), interval '1 day') AS g(d)",
    "SELECT * FROM t TABLESAMPLE BERNOULLI (10) WHERE name ILIKE 'a%' AND x BETWEEN 1 AND 2 AND y IS NOT NULL",
    "SELECT * FROM a, LATERAL (SELECT * FROM b WHERE b.id = a.id) x WHERE EXISTS (SELECT 1) AND a.id IN (SELECT 2)",
    "SELECT region, product, sum(x) FROM t GROUP BY ROLLUP (region, product) HAVING grouping(region) = 0",
    "SELECT region, sum(x) FROM t GROUP BY GROUPING SETS ((region), ())",
    "SELECT placed_at AT TIME ZONE 'Europe/Vienna', current_date, to_char(placed_at, 'YYYY-MM') FROM orders",
    'SELECT \'it\'\'s\' || E\'a\\tb\' || "weird ""name" FROM "Odd Schema"."Odd; Table" -- a comment',
]

ATTACKS = [
    # One statement, and that a SELECT.
    "",
    "-- nothing",
    "COMMIT",
    "COMMIT; DROP TABLE customers",
    "SELECT 1; DROP TABLE customers",
    "SELECT 1; SELECT 2",
    "/* SELECT */ DROP TABLE customers",
    "ROLLBACK; SET TRANSACTION READ WRITE; DELETE FROM customers",
    "BEGIN READ WRITE",
    "SET TRANSACTION READ WRITE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "SET statement_timeout = 0",
    "RESET ALL",
    "INSERT INTO customers VALUES (1)",
    "UPDATE customers SET name = 'x'",
    "DELETE FROM customers",
    "TRUNCATE customers",
    "MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE",
    "CREATE TABLE x (a int)",
    "CREATE TABLE x AS SELECT 1",
    "ALTER ROLE reader SUPERUSER",
    "GRANT ALL ON customers TO public",
    "COPY customers TO '/tmp/x'",
    "COPY customers TO PROGRAM 'sh'",
    "COPY (SELECT 1) TO STDOUT",
    "LOCK TABLE customers",
    "DO $$ BEGIN PERFORM 1; END $$",
    "CALL proc()",
    "EXPLAIN ANALYZE SELECT 1",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DECLARE c CURSOR FOR SELECT 1",
    "LISTEN x",
    "NOTIFY x, 'y'",
    "VACUUM",
    "SHOW ALL",
    "DISCARD ALL",
    # A SELECT that is none.
    "SELECT * INTO copied FROM customers",
    "SELECT * FROM customers FOR UPDATE",
    "SELECT * FROM (SELECT * FROM customers FOR SHARE) x",
    "WITH gone AS (DELETE FROM customers RETURNING *) SELECT * FROM gone",
    "WITH a AS (SELECT 1), b AS (INSERT INTO t VALUES (1) RETURNING 1) SELECT * FROM a",
    "SELECT $1",
    # Functions, wherever they stand.
    "SELECT pg_sleep(1000)",
    "SELECT * FROM pg_read_file('/etc/passwd')",
    "SELECT 1 ORDER BY pg_sleep(1)",
    "SELECT 1 LIMIT (SELECT pg_sleep(1))",
    "SELECT 1 OFFSET length(pg_read_file('/etc/passwd'))",
    "SELECT count(*) FILTER (WHERE pg_sleep(1) IS NULL)",
    "SELECT 1 WHERE pg_terminate_backend(1)",
    "SELECT sum(1) OVER (ORDER BY pg_sleep(1))",
    "SELECT 1 GROUP BY lo_unlink(1)",
    "SELECT 1 HAVING lo_import('/etc/passwd') > 0",
    "SELECT CASE WHEN true THEN set_config('transaction_read_only', 'off', false) END",
    "SELECT (SELECT set_config('role', 'postgres', false))",
    "SELECT * FROM customers c JOIN LATERAL pg_ls_dir('/') d ON true",
    "SELECT * FROM ROWS FROM (generate_series(1, 2), pg_ls_dir('/')) AS x",
    "SELECT * FROM t TABLESAMPLE BERNOULLI (length(pg_read_file('/etc/passwd')))",
    "SELECT * FROM t TABLESAMPLE public.evil (1)",
    "SELECT array[pg_current_logfile()]",
    "SELECT row(pg_reload_conf())",
    "SELECT coalesce(NULL, current_setting('data_directory'))",
    "SELECT lo_export(1, '/tmp/x')",
    "SELECT pg_create_logical_replication_slot('x', 'pgoutput')",
    "SELECT pg_logical_emit_message(false, 'a', 'b')",
    "SELECT nextval('customers_id_seq')",
    "SELECT setval('customers_id_seq', 1)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_notify('a', 'b')",
    "SELECT * FROM dblink('host=elsewhere', 'SELECT 1') AS t(a int)",
    "SELECT query_to_xml('DELETE FROM customers', true, true, '')",
    "SELECT database_to_xml(true, true, '')",
    "SELECT table_to_xml('pg_authid', true, true, '')",
    "SELECT ts_stat('SELECT pg_sleep(1)')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT pg_sleep(1)')",
    "SELECT public.lower('a')",
    "SELECT evil.count(*)",
    'SELECT "PG_SLEEP"(1)',
    "SELECT pg_catalog.pg_sleep(1)",
    "SELECT pg_catalog . /* x */ pg_sleep(1)",
    'SELECT U&"pg\\005Fsleep"(1)',
    "SELECT has_table_privilege('pg_authid', 'select')",
    "SELECT txid_current()",
    "SELECT pg_export_snapshot()",
    "SELECT inet_server_addr()",
    "SELECT version()",
    # Calls in the dress of a column.
    "SELECT (t).pg_sleep FROM t",
    "SELECT t.pg_sleep FROM t",
    # The system's own tables, types and operators.
    "SELECT * FROM pg_catalog.pg_authid",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM PG_STAT_ACTIVITY",
    "SELECT * FROM information_schema.tables",
    'SELECT * FROM "information_schema"."tables"',
    "SELECT * FROM pg_toast.pg_toast_1262",
    "SELECT * FROM otherdb.public.customers",
    "SELECT * FROM customers WHERE id IN (SELECT oid FROM pg_class)",
    "SELECT 'pg_authid'::regclass",
    "SELECT * FROM json_to_recordset('[]') AS x(a regclass)",
    "SELECT 'pg_sleep'::regproc",
    "SELECT 16384::regrole",
    "SELECT CAST('x' AS pg_catalog.regnamespace)",
    "SELECT '<a/>'::xml",
    "SELECT 1 OPERATOR(public.+) 2",
    "SELECT xmlparse(DOCUMENT '<a/>')",
    "SELECT * FROM xmltable('/a' PASSING x COLUMNS a text)",
]

NOT_SQL = ["SELECT (", "SELEC 1", "SELECT 'open", "SELECT 1 FROM FROM", "\\copy x to y", "SELECT * FROM t WHERE"]


@pytest.mark.parametrize("sql", ORDINARY)
def test_an_ordinary_question_passes_and_stays_as_it_is_when_guarded_again(sql: str) -> None:
    guarded = guard_postgres(sql)

    assert guard_postgres(guarded) == guarded


@pytest.mark.parametrize("sql", ATTACKS)
def test_an_attack_is_refused_with_what_to_do_instead(sql: str) -> None:
    with pytest.raises(ConfigError) as refused:
        guard_postgres(sql)

    assert refused.value.code == "sql_refused"
    assert refused.value.fix


@pytest.mark.parametrize("sql", NOT_SQL)
def test_what_is_not_sql_is_told_where_it_breaks(sql: str) -> None:
    with pytest.raises(ConfigError) as refused:
        guard_postgres(sql)

    assert refused.value.code == "sql_invalid"
    assert str(refused.value.fix).startswith("correct it")


def test_functions_come_back_qualified_so_that_no_other_can_take_their_place() -> None:
    guarded = guard_postgres("SELECT lower(name), count(*) FROM customers GROUP BY 1")

    assert guarded == "SELECT pg_catalog.lower(name), pg_catalog.count(*) FROM customers GROUP BY 1"


def test_a_comment_does_not_come_back() -> None:
    guarded = guard_postgres("SELECT /* hidden */ 1 -- more")

    assert guarded == "SELECT 1"


def test_a_near_function_is_named() -> None:
    with pytest.raises(ConfigError) as refused:
        guard_postgres("SELECT date_trunk('month', now())")

    assert refused.value.did_you_mean[0] == "date_trunc"


def test_a_nul_character_is_refused() -> None:
    with pytest.raises(ConfigError, match="NUL"):
        guard_postgres("SELECT 1\0; DROP TABLE customers")


@pytest.mark.parametrize(
    "deep", ["'(' * 9_900", "'1+' * 4_900 + '1'", "'1+' * 90_000 + '1'", "'NOT ' * 2_400 + 'true'", "'ARRAY[' * 1_600"]
)
def test_a_deeply_nested_statement_is_refused_and_ends_no_process(deep: str) -> None:
    program = (
        "from servicetsunami.sdk import ConfigError\n"
        "from servicetsunami.sdk.sql import guard_postgres\n"
        f"try: guard_postgres('SELECT ' + {deep})\n"
        "except ConfigError as error: print(error.code)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout.strip()) in {(0, "sql_refused"), (0, "sql_invalid")}
