"""The guard of Databricks SQL against a corpus of attacks, ordinary queries, and mutations of both."""

from __future__ import annotations

import re

import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from servicetsunami.sdk import ConfigError, TableName
from servicetsunami.sdk.sql import GuardedQuery, guard_databricks

LAYERS = ("bronze", "silver", "gold")


def guard(sql: str) -> GuardedQuery:
    return guard_databricks(sql, catalog="tenant_acme", layers=LAYERS)


ATTACKS = [
    # other people's tables
    "SELECT * FROM tenant_other.bronze.orders",
    "SELECT * FROM `tenant_other`.`bronze`.`orders`",
    "SELECT * FROM other.orders",
    "SELECT * FROM orders",
    "SELECT * FROM system.access.audit",
    "SELECT * FROM tenant_other.information_schema.tables",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM tenant_acme.information_schema.tables",
    "SELECT * FROM hive_metastore.default.t",
    "SELECT * FROM samples.nyctaxi.trips",
    "SELECT * FROM tenant_acme._ops.loads",
    "SELECT * FROM tenant_acme.bronze.orders.extra",
    "SELECT * FROM bronze.orders, tenant_other.bronze.orders",
    "SELECT * FROM bronze.orders JOIN tenant_other.bronze.orders USING (id)",
    "SELECT (SELECT max(id) FROM tenant_other.bronze.t) FROM bronze.orders",
    "SELECT * FROM bronze.orders WHERE id IN (SELECT id FROM tenant_other.bronze.t)",
    "SELECT * FROM bronze.orders WHERE EXISTS (SELECT 1 FROM tenant_other.bronze.t)",
    "SELECT * FROM bronze.orders ORDER BY (SELECT max(id) FROM other.t)",
    "SELECT * FROM bronze.orders QUALIFY (SELECT true FROM other.t)",
    "SELECT * FROM bronze.orders UNION ALL SELECT * FROM other.t",
    "WITH c AS (SELECT * FROM other.t) SELECT * FROM c",
    "WITH c AS (SELECT * FROM d), d AS (SELECT 1) SELECT * FROM c",
    "WITH c AS (SELECT 1) SELECT * FROM bronze.orders WHERE id IN (WITH d AS (SELECT 1) SELECT * FROM e)",
    "SELECT * FROM (WITH c AS (SELECT 1) SELECT * FROM c) JOIN c ON true",
    "SELECT * FROM VALUES ((SELECT max(id) FROM other.t)) AS v(x)",
    "SELECT * FROM bronze.orders PIVOT (max((SELECT 1 FROM other.t)) FOR id IN (1))",
    "SELECT * FROM bronze.t LATERAL VIEW explode(x) `e JOIN tenant_other.bronze.t` AS y",
    "SELECT * FROM bronze.t LATERAL VIEW explode((SELECT collect_list(id) FROM other.t)) e AS y",
    "SELECT extract(`year FROM x) FROM tenant_other.bronze.t --` FROM a) FROM bronze.t",
    # paths as tables
    "SELECT * FROM delta.`/mnt/other/table`",
    "SELECT * FROM parquet.`/tmp/x.parquet`",
    "SELECT * FROM csv.`s3://bucket/key`",
    "SELECT * FROM json.`/Volumes/other/x.json`",
    "SELECT * FROM text.`/etc/passwd`",
    "SELECT * FROM binaryFile.`/etc/shadow`",
    "SELECT * FROM `/etc/passwd`",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM bronze.`or/ders`",
    "SELECT * FROM bronze.`or``ders`",
    "SELECT * FROM `bronze.orders`",
    "SELECT * FROM read_files('/Volumes/other/x')",
    "SELECT * FROM STREAM read_files('/Volumes/other/x')",
    "SELECT * FROM STREAM bronze.orders",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('/tmp/x')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT read_text('/etc/passwd')",
    "SELECT * FROM glob('/**')",
    "SELECT * FROM cloud_files('/x', 'csv')",
    "SELECT * FROM sqlite_scan('x', 'y')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM table_changes('other.t', 0)",
    "SELECT * FROM event_log('x')",
    "SELECT * FROM read_kafka(bootstrapServers => 'x')",
    "SELECT * FROM read_statestore('/x')",
    "SELECT * FROM remote_query('c', query => 'SELECT 1')",
    "SELECT * FROM vector_search(index => 'x', query => 'y')",
    "SELECT * FROM ai_forecast(TABLE(bronze.t))",
    "SELECT * FROM my_catalog.my_schema.my_function(1)",
    "SELECT * FROM list_secrets()",
    # indirection
    "SELECT * FROM IDENTIFIER('tenant_other.bronze.t')",
    "SELECT IDENTIFIER('x') FROM bronze.t",
    "SELECT IDENTIFIER('current_user')()",
    "EXECUTE IMMEDIATE 'SELECT 1'",
    "TABLE tenant_other.bronze.t",
    "TABLE bronze.t",
    "FROM bronze.t |> JOIN tenant_other.bronze.t USING (id)",
    "FROM bronze.t |> UNION ALL (SELECT * FROM other.t)",
    "SELECT * INTO x FROM bronze.t",
    "SELECT * FROM bronze.t@v1",
    "SELECT * FROM bronze.t VERSION AS OF (SELECT max(v) FROM other.t)",
    "SELECT * FROM bronze.t TIMESTAMP AS OF current_timestamp()",
    "SELECT * FROM bronze.t LIMIT (SELECT max(id) FROM other.t)",
    "SELECT * FROM bronze.t LIMIT id",
    "SELECT * FROM bronze.t LIMIT 1 OFFSET (SELECT 1)",
    "SELECT ${secret}",
    "SELECT {{secret}}",
    "SELECT {% x %}",
    "SELECT :parameter",
    "SELECT ?",
    "SELECT @variable",
    "SELECT @@version",
    # functions that reach out, run code or tell who is asking
    "SELECT secret('scope', 'key')",
    "SELECT try_secret('scope', 'key')",
    "SELECT http_request(conn => 'x', method => 'GET', path => '/')",
    "SELECT ai_query('model', 'prompt')",
    "SELECT ai_gen('x')",
    "SELECT ai_classify('x', array('a'))",
    "SELECT reflect('java.lang.System', 'exit', '0')",
    "SELECT java_method('java.lang.Runtime', 'getRuntime')",
    "SELECT current_user()",
    "SELECT session_user()",
    "SELECT current_metastore()",
    "SELECT current_catalog()",
    "SELECT current_database()",
    "SELECT is_account_group_member('admins')",
    "SELECT is_member('x')",
    "SELECT input_file_name() FROM bronze.t",
    "SELECT version()",
    "SELECT bronze.my_function(1)",
    "SELECT tenant_other.bronze.my_function(1)",
    "SELECT getvariable('x')",
    "SELECT TRANSFORM(a) USING 'cat' FROM bronze.t",
    "SELECT raise_error('x')",
    "SELECT assert_true(false)",
    "SELECT nextval('s')",
    "SELECT pg_sleep(10)",
    # more than a SELECT
    "SELECT 1; DROP TABLE bronze.t",
    "SELECT 1;; SELECT 2",
    "DROP TABLE bronze.t",
    "DELETE FROM bronze.t",
    "UPDATE bronze.t SET a = 1",
    "INSERT INTO bronze.t VALUES (1)",
    "INSERT OVERWRITE DIRECTORY '/tmp/x' SELECT 1",
    "MERGE INTO bronze.t USING bronze.s ON true WHEN MATCHED THEN DELETE",
    "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW x AS SELECT 1",
    "ALTER TABLE bronze.t SET OWNER TO me",
    "TRUNCATE TABLE bronze.t",
    "COPY INTO bronze.t FROM '/x'",
    "COPY bronze.t TO '/tmp/x'",
    "ATTACH '/tmp/x.db'",
    "PRAGMA database_list",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET x = 1",
    "USE CATALOG other",
    "GRANT SELECT ON TABLE bronze.t TO you",
    "SHOW TABLES",
    "DESCRIBE bronze.t",
    "EXPLAIN SELECT 1",
    "CACHE TABLE bronze.t",
    "ANALYZE TABLE bronze.t COMPUTE STATISTICS",
    "OPTIMIZE bronze.t",
    "VACUUM bronze.t",
    "CALL system.x()",
    "BEGIN SELECT 1; END",
    "VALUES (1)",
    "WITH c AS (DELETE FROM bronze.t) SELECT 1",
    "SELECT * FROM bronze.t FOR UPDATE",
    # texts
    "",
    ";",
    "SELECT",
    "SELECT 1 \x00",
    "SELECT\u00a01",
    "SELECT 'a\u200bb'",
    "SELECT '\u202egnp'",
    "SELECT 1 /* unclosed",
    "SELECT 'unclosed",
    "SELECT " + "(" * 3_000 + "1" + ")" * 3_000,
    "SELECT " + "1 + " * 15_000 + "1",
    "SELECT '" + "x" * 60_000 + "'",
]


@pytest.mark.parametrize("sql", ATTACKS, ids=range(len(ATTACKS)))
def test_an_attack_is_refused_with_a_fix(sql: str) -> None:
    with pytest.raises(ConfigError) as refused:
        guard(sql)

    assert refused.value.code in ("sql_refused", "sql_invalid")
    assert refused.value.fix


BENIGN = {
    "SELECT * FROM bronze.orders": ["bronze.orders"],
    "select ID from TENANT_ACME.BRONZE.ORDERS": ["bronze.orders"],
    "SELECT count(*) FROM `tenant_acme`.`silver`.`x` -- how many": ["silver.x"],
    "SELECT o.id, c.name FROM bronze.orders o JOIN silver.customers c ON c.id = o.customer_id": [
        "bronze.orders",
        "silver.customers",
    ],
    "WITH c AS (SELECT * FROM bronze.orders) SELECT * FROM c JOIN c AS d USING (id)": ["bronze.orders"],
    "WITH a AS (SELECT 1 AS x), b AS (SELECT * FROM a) SELECT * FROM b": [],
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r": [],
    "SELECT id FROM bronze.t WHERE id IN (SELECT id FROM gold.u)": ["bronze.t", "gold.u"],
    "SELECT a, sum(b) FROM bronze.t GROUP BY ALL HAVING sum(b) > 1 ORDER BY 2 DESC NULLS LAST LIMIT 10": ["bronze.t"],
    "SELECT * FROM bronze.t QUALIFY row_number() OVER (PARTITION BY a ORDER BY b) = 1": ["bronze.t"],
    "SELECT j:a.b[0]::int FROM bronze.t": ["bronze.t"],
    "SELECT tag FROM bronze.t LATERAL VIEW OUTER explode(tags) e AS tag": ["bronze.t"],
    "SELECT transform(a, x -> x + 1), filter(a, x -> x > 1) FROM bronze.t": ["bronze.t"],
    "SELECT /*+ BROADCAST(t) */ * EXCEPT (a) FROM bronze.t": ["bronze.t"],
    "SELECT date_trunc('month', at), datediff(a, b), a + INTERVAL 1 DAY FROM bronze.t": ["bronze.t"],
    "SELECT CASE WHEN a THEN 1 ELSE 2 END, if(a, 1, 2), coalesce(a, b) FROM bronze.t": ["bronze.t"],
    "SELECT * FROM bronze.t PIVOT (sum(a) FOR b IN ('x', 'y'))": ["bronze.t"],
    "SELECT * FROM bronze.t VERSION AS OF 3": ["bronze.t"],
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM bronze.t": ["bronze.t"],
    "FROM bronze.t |> WHERE a > 1 |> SELECT a": ["bronze.t"],
    "SELECT * FROM VALUES (1, 'a'), (2, 'b') AS v(x, y)": [],
    "SELECT * FROM range(10)": [],
    "SELECT 1 UNION SELECT 2 EXCEPT SELECT 3": [],
    "SELECT named_struct('a', 1).a, map('k', 1)['k'], array(1, 2)[0]": [],
    "SELECT a LIKE 'x%', b RLIKE '[0-9]+', c NOT BETWEEN 1 AND 2, d <=> NULL FROM bronze.t;": ["bronze.t"],
    "SELECT a FROM bronze.t GROUP BY GROUPING SETS ((a), ())": ["bronze.t"],
    "SELECT listagg(a, ', ') WITHIN GROUP (ORDER BY a), count_if(b > 1), max_by(a, b) FROM bronze.t": ["bronze.t"],
    "SELECT * FROM bronze.a LEFT ANTI JOIN bronze.b USING (id) CROSS JOIN bronze.c": [
        "bronze.a",
        "bronze.b",
        "bronze.c",
    ],
    "SELECT cast(a AS DECIMAL(10, 2)), try_cast(b AS DATE), string(c) FROM bronze.t": ["bronze.t"],
    "SELECT lag(a, 1) OVER w FROM bronze.t WINDOW w AS (ORDER BY b)": ["bronze.t"],
    "SELECT 'tenant_other.bronze.t; DROP TABLE x' AS text": [],
}


@pytest.mark.parametrize(("sql", "tables"), BENIGN.items(), ids=range(len(BENIGN)))
def test_an_ordinary_query_passes(sql: str, tables: list[str]) -> None:
    query = guard(sql)

    assert [str(table) for table in query.tables] == tables
    assert guard(query.sql) == query


def test_the_query_is_written_anew_without_comments_and_hints() -> None:
    query = guard("select /*+ BROADCAST(o) */ o.id -- a note\nfrom bronze.Orders as o /* more */")

    assert query.sql == "SELECT `o`.`id` FROM `tenant_acme`.`bronze`.`orders` AS `o`"
    assert query.tables == (TableName("bronze", "orders"),)


def test_what_sqlglot_would_change_keeps_its_meaning() -> None:
    query = guard(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a), listagg(a), datediff(a, b), datediff(DAY, a, b) "
        "FROM bronze.t"
    )

    assert "PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY `a`)" in query.sql
    assert "LISTAGG(`a`, '')" in query.sql
    assert "DATEDIFF(`a`, `b`), TIMESTAMPDIFF(DAY, `a`, `b`)" in query.sql


def test_an_unknown_function_is_refused_with_near_names() -> None:
    with pytest.raises(ConfigError) as refused:
        guard("SELECT weekdayy(a) FROM bronze.t")

    assert "weekdayy" in str(refused.value)
    assert "weekday" in refused.value.did_you_mean


def test_a_bare_table_is_refused_with_its_names_in_the_layers() -> None:
    with pytest.raises(ConfigError) as refused:
        guard("SELECT * FROM orders")

    assert "bronze.orders" in refused.value.did_you_mean


def test_what_does_not_parse_is_told_with_its_place_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as invalid:
        guard("SELECT 'hunter2' FROM WHERE")

    assert invalid.value.code == "sql_invalid"
    assert "line 1" in str(invalid.value)
    assert "hunter2" not in str(invalid.value)


_PIECES = st.sampled_from(
    [
        *ATTACKS[:80],
        *BENIGN,
        "tenant_other.bronze.t",
        "`tenant_other`.`bronze`.`t`",
        " JOIN ",
        " FROM ",
        "SELECT ",
        "(",
        ")",
        "`",
        "'",
        "\\",
        '"',
        "--",
        "/*",
        "*/",
        "\n",
        ",",
        " AS ",
        " UNION ALL ",
        " LATERAL VIEW explode(a) ",
        "WITH c AS (SELECT 1) ",
        ".",
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Cut a query somewhere and put another piece in between."""
    base = draw(st.sampled_from([*BENIGN, *ATTACKS[:60]]))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(base)))
        end = draw(st.integers(start, min(len(base), start + 6)))
        base = base[:start] + draw(_PIECES) + base[end:]
    return base


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_no_mutation_reads_a_table_outside_of_the_tenant(sql: str) -> None:
    try:
        query = guard(sql)
    except ConfigError:
        return

    trees = sqlglot.parse(query.sql, dialect="databricks")
    assert len(trees) == 1
    assert trees[0] is not None
    ours = re.compile(r"`tenant_acme`\.`(bronze|silver|gold)`\.`[a-z0-9_]+`")
    for table in trees[0].find_all(exp.Table):
        name = exp.table_name(table, dialect="databricks", identify=True)
        is_name = isinstance(table.this, exp.Identifier)
        if is_name and table.args.get("db"):
            assert ours.fullmatch(name), query.sql
        elif is_name:
            names = {cte.alias for cte in trees[0].find_all(exp.CTE)}
            assert table.name in names, query.sql
