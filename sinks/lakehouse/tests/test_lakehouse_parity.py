"""Databricks queries with the answers Databricks gives, written by hand: the local engine gives the same or refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import ConfigError, Load, QueryLimits, TableName, TsunamiError
from servicetsunami.sdk.sql import guard_databricks
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink

T = TableName("bronze", "t")
D = Decimal


def _rows() -> pa.Table:
    return pa.table(
        {
            "id": pa.array([1, 2, 3, 4], pa.int64()),
            "n": pa.array([10, 20, None, -7], pa.int32()),
            "tiny": pa.array([1, 127, None, -1], pa.int8()),
            "price": pa.array([D("10.00"), D("3.33"), D("0.07"), None], pa.decimal128(10, 2)),
            "ratio": pa.array([0.5, 2.675, -2.5, None], pa.float64()),
            "name": pa.array(["Ada", "bob", None, "Zoë"], pa.string()),
            "code": pa.array(["10", " 7 ", "x", "1.5"], pa.string()),
            "day": pa.array([date(2024, 1, 31), date(2024, 2, 29), date(2023, 12, 31), None], pa.date32()),
            "at": pa.array(
                [
                    datetime(2024, 1, 31, 10, 30, 15, tzinfo=UTC),
                    datetime(2024, 2, 29, 0, 0, tzinfo=UTC),
                    datetime(2023, 12, 31, 23, 59, 59, 500000, tzinfo=UTC),
                    None,
                ],
                pa.timestamp("us", tz="UTC"),
            ),
            "doc": pa.array(
                ['{"u": {"n": "Al", "Age": 3}, "tags": ["a", "b"]}', '{"u": {"n": null}}', "no json", None], pa.string()
            ),
            "tags": pa.array([["x", "y"], [], None, ["z", None]], pa.list_(pa.string())),
            "point": pa.array([{"x": 1, "y": "p"}, None, {"x": 3, "y": None}, None]),
            "ok": pa.array([True, False, None, True], pa.bool_()),
        }
    )


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakehouseSink]:
    folder: Path = tmp_path_factory.mktemp("parity")
    made = LakehouseSink(LakehouseConfig(), LocalContext(data_dir=folder, tenant="acme"))
    rows = _rows()
    transaction = made.begin(Load(T, rows.schema, app="parity"))
    for batch in rows.to_batches():
        transaction.stage(batch)
    transaction.commit(1, {})
    yield made
    made.close()


def ask(sink: LakehouseSink, sql: str) -> pa.Table:
    query = guard_databricks(sql, catalog="tenant_acme", layers=("bronze", "silver", "gold"))
    return sink.query(query, QueryLimits(100)).read_all()


# select list, or a whole query -> the rows; a select list runs on the row with id 1
EXACT: list[tuple[str, Any]] = [
    ("1 / 2", 0.5),
    ("7 DIV 2", 3),
    ("-7 DIV 2", -3),
    ("-7 % 3", -1),
    ("n / 4", 2.5),
    ("price / 3", D("3.333333")),
    ("2 / price", D("0.20000000000")),
    ("price / price", D("1.0000000000000")),
    ("price * 2", D("20.00")),
    ("price * price", D("100.0000")),
    ("price + 0.5", D("10.50")),
    ("price + n", D("20.00")),
    ("price / ratio", 20.0),
    ("tiny + 200", 201),
    ("try_divide(1, 0)", None),
    ("try_divide(price, 0)", None),
    ("try_divide(n, 4)", 2.5),
    ("round(2.5)", D("3")),
    ("round(-2.5)", D("-3")),
    ("round(price, 1)", D("10.0")),
    ("round(2.675D, 2)", 2.68),
    ("bround(2.5D)", 2.0),
    ("ceil(ratio)", 1),
    ("floor(-0.5D)", -1),
    ("floor(price)", D("10")),
    ("abs(-3)", 3),
    ("greatest(1, NULL, 3)", 3),
    ("pmod(-7, 3)", 2),
    ("power(2, 10)", 1024.0),
    ("cast(2.7D AS INT)", 2),
    ("cast(-2.7 AS INT)", -2),
    ("cast(' 12 ' AS INT)", 12),
    ("try_cast('1.5' AS INT)", None),
    ("try_cast('abc' AS DOUBLE)", None),
    ("cast('1e2' AS DOUBLE)", 100.0),
    ("cast('2024-1-5' AS DATE)", date(2024, 1, 5)),
    ("try_cast('2024/01/05' AS DATE)", None),
    ("cast('yes' AS BOOLEAN)", True),
    ("cast(TRUE AS INT)", 1),
    ("cast(at AS STRING)", "2024-01-31 10:30:15"),
    ("cast(price AS STRING)", "10.00"),
    ("cast('2024-03-01 10:00:00' AS TIMESTAMP)", datetime(2024, 3, 1, 10, tzinfo=UTC)),
    ("cast(price AS DECIMAL(4, 1))", D("10.0")),
    ("cast(1.7 AS DECIMAL)", D("2")),
    ("cast(12345678901234567890 AS DECIMAL(38, 0))", D("12345678901234567890")),
    ("id = '1'", True),
    ("at >= '2024-01-31'", True),
    ("n IN ('10', '11')", True),
    ("dayofweek(DATE'2024-01-07')", 1),
    ("dayofweek(day)", 4),
    ("weekday(DATE'2024-01-07')", 6),
    ("weekofyear(DATE'2024-12-30')", 1),
    ("year(at)", 2024),
    ("month('2024-05-06')", 5),
    ("quarter(day)", 1),
    ("dayofyear(DATE'2024-03-01')", 61),
    ("hour(at)", 10),
    ("extract(MINUTE FROM at)", 30),
    ("day + INTERVAL 1 DAY", date(2024, 2, 1)),
    ("day + INTERVAL '1' MONTH", date(2024, 2, 29)),
    ("day - INTERVAL 2 WEEKS", date(2024, 1, 17)),
    ("day + 1", date(2024, 2, 1)),
    ("at + INTERVAL 90 MINUTES", datetime(2024, 1, 31, 12, 0, 15, tzinfo=UTC)),
    ("date_add(day, 3)", date(2024, 2, 3)),
    ("date_sub(day, 31)", date(2023, 12, 31)),
    ("dateadd(HOUR, 2, at)", datetime(2024, 1, 31, 12, 30, 15, tzinfo=UTC)),
    ("add_months(day, 1)", date(2024, 2, 29)),
    ("datediff(DATE'2024-03-01', DATE'2024-02-28')", 2),
    ("datediff(TIMESTAMP'2024-01-02 00:00:00', TIMESTAMP'2024-01-01 23:59:59')", 1),
    ("timestampdiff(DAY, TIMESTAMP'2024-01-01 23:59:59', TIMESTAMP'2024-01-02 00:00:00')", 0),
    ("timestampdiff(MONTH, DATE'2024-01-31', DATE'2024-02-29')", 0),
    ("datediff(MONTH, DATE'2024-01-15', DATE'2024-03-15')", 2),
    ("datediff(YEAR, DATE'2024-03-15', DATE'2022-03-16')", -1),
    ("months_between(DATE'2024-03-31', DATE'2024-02-29')", 1.0),
    ("last_day(day)", date(2024, 1, 31)),
    ("trunc(day, 'MM')", date(2024, 1, 1)),
    ("trunc(day, 'YEAR')", date(2024, 1, 1)),
    ("date_trunc('WEEK', at)", datetime(2024, 1, 29, tzinfo=UTC)),
    ("date_trunc('month', day)", datetime(2024, 1, 1, tzinfo=UTC)),
    ("date_format(at, 'yyyy-MM')", "2024-01"),
    ("to_date('2024-02-03')", date(2024, 2, 3)),
    ("make_date(2024, 2, 29)", date(2024, 2, 29)),
    ("length(name)", 3),
    ("upper(name) || '!'", "ADA!"),
    ("concat(name, NULL)", None),
    ("concat(name, '-', id)", "Ada-1"),
    ("concat_ws(',', 'a', NULL, 'b')", "a,b"),
    ("substring('Databricks', 5)", "bricks"),
    ("substring('Databricks', 0, 4)", "Data"),
    ("substring('Databricks', -6, 3)", "bri"),
    ("substring('abc', -5, 3)", "a"),
    ("left('abc', -1)", ""),
    ("lpad('7', 3, '0')", "007"),
    ("rpad('ab', 4)", "ab  "),
    ("instr('abcabc', 'c')", 3),
    ("split_part('a-b-c', '-', 2)", "b"),
    ("split('a b  c', ' ')", ["a", "b", "", "c"]),
    ("split('', ' ')", [""]),
    ("sha2('abc', 256)", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("sha2(CAST(NULL AS STRING), 256)", None),
    (
        "array_join(transform(split(lower('ada LOVE  x'), ' '), w -> concat(upper(left(w, 1)), substring(w, 2))), ' ')",
        "Ada Love  X",
    ),
    ("TRY_CAST('2024-02-30 10:00:00' AS TIMESTAMP)", None),
    ("TRY_CAST('2024-02-29 10:00:00.5' AS TIMESTAMP)", datetime(2024, 2, 29, 10, 0, 0, 500000, tzinfo=UTC)),
    ("TRY_CAST(' ' AS TIMESTAMP)", None),
    ("replace('aXbX', 'X', '-')", "a-b-"),
    ("trim('  x ')", "x"),
    ("regexp_extract('id=42;', 'id=([0-9]+)', 1)", "42"),
    ("regexp_replace('a1b22', '[0-9]+', '#')", "a#b#"),
    ("'abc' RLIKE '^a.c$'", True),
    ("'a_c' LIKE 'a\\\\_c'", True),
    ("'abc' LIKE 'a\\\\_c'", False),
    ("name ILIKE 'ADA'", True),
    ("doc:u.n", "Al"),
    ("doc:U.age", "3"),
    ("doc:u.age::int + 1", 4),
    ("doc:tags[1]", "b"),
    ("doc:missing.x", None),
    ("get_json_object(doc, '$.u.n')", "Al"),
    ("get_json_object(doc, '$.U.n')", None),
    ("tags[0]", "x"),
    ("size(tags)", 2),
    ("array_contains(tags, 'y')", True),
    ("array_contains(array(1, NULL), 2)", None),
    ("array_join(tags, '-')", "x-y"),
    ("transform(array(1, 2), x -> x + 1)", [2, 3]),
    ("filter(array(1, 2, 3), x -> x > 1)", [2, 3]),
    ("sequence(1, 3)", [1, 2, 3]),
    ("sequence(3, 1)", [3, 2, 1]),
    ("point.x", 1),
    ("if(n > 5, 'big', 'small')", "big"),
    ("iff(n > 50, 'big', 'small')", "small"),
    ("CASE WHEN n IS NULL THEN 0 ELSE n END", 10),
    ("coalesce(NULL, n, 3)", 10),
    ("nvl2(n, 'set', 'unset')", "set"),
    ("nullif(n, 10)", None),
    ("NULL <=> NULL", True),
    ("n BETWEEN 1 AND 10", True),
    ("n IN (1, 10)", True),
    ("isnull(name)", False),
    ("zeroifnull(NULL)", 0),
    ("SELECT sum(n) FROM bronze.t", [(23,)]),
    ("SELECT sum(price) FROM bronze.t", [(D("13.40"),)]),
    ("SELECT avg(n) FROM bronze.t", [(23 / 3,)]),
    ("SELECT avg(price) FROM bronze.t", [(D("4.466667"),)]),
    ("SELECT sum(price) / count(*) FROM bronze.t", [(D("3.35000000000000000000"),)]),
    ("SELECT count(*), count(n), count(DISTINCT ok) FROM bronze.t", [(4, 3, 2)]),
    ("SELECT count_if(ok) FROM bronze.t", [(2,)]),
    ("SELECT max(day), min(name) FROM bronze.t", [(date(2024, 2, 29), "Ada")]),
    ("SELECT median(n) FROM bronze.t", [(10.0,)]),
    ("SELECT percentile(n, 0.25) FROM bronze.t", [(1.5,)]),
    ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY price) FROM bronze.t", [(3.33,)]),
    ("SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY n DESC) FROM bronze.t", [(15.0,)]),
    ("SELECT listagg(name, ',') WITHIN GROUP (ORDER BY name) FROM bronze.t", [("Ada,Zoë,bob",)]),
    ("SELECT listagg(name) WITHIN GROUP (ORDER BY name) FROM bronze.t", [("AdaZoëbob",)]),
    ("SELECT size(collect_list(n)) FROM bronze.t", [(3,)]),
    ("SELECT collect_list(n) FROM bronze.t WHERE id > 99", [([],)]),
    ("SELECT bool_and(ok), bool_or(ok) FROM bronze.t", [(False, True)]),
    ("SELECT max_by(name, n), min_by(name, n) FROM bronze.t", [("bob", "Zoë")]),
    (
        "SELECT max_by(x, y), min_by(x, y) FROM VALUES (1, NULL), (0, 'a'), (-1, NULL), (NULL, 'b') AS v(y, x)",
        [(None, None)],
    ),
    ("SELECT approx_count_distinct(n) FROM bronze.t", [(3,)]),
    ("SELECT stddev(n) FROM bronze.t WHERE id < 3", [(7.0710678118654755,)]),
    ("SELECT ok, count(*) FROM bronze.t GROUP BY ALL ORDER BY ok", [(None, 1), (False, 1), (True, 2)]),
    ("SELECT n FROM bronze.t ORDER BY n DESC", [(20,), (10,), (-7,), (None,)]),
    ("SELECT n FROM bronze.t ORDER BY n NULLS LAST LIMIT 1", [(-7,)]),
    ("SELECT id FROM bronze.t QUALIFY row_number() OVER (ORDER BY n DESC) = 1", [(2,)]),
    ("SELECT id, rank() OVER (ORDER BY ok) AS r FROM bronze.t ORDER BY id", [(1, 3), (2, 2), (3, 1), (4, 3)]),
    ("SELECT sum(n) OVER (ORDER BY id) AS s FROM bronze.t ORDER BY id", [(10,), (30,), (30,), (23,)]),
    ("SELECT avg(price) OVER () AS a FROM bronze.t LIMIT 1", [(D("4.466667"),)]),
    ("SELECT lag(id) OVER (ORDER BY id) AS l FROM bronze.t ORDER BY id LIMIT 2", [(None,), (1,)]),
    ("SELECT n + 1 AS m, m * 2 AS k FROM bronze.t WHERE id = 1", [(11, 22)]),
    (
        "SELECT id, tag FROM bronze.t LATERAL VIEW explode(tags) e AS tag ORDER BY tag",
        [(4, None), (1, "x"), (1, "y"), (4, "z")],
    ),
    ("SELECT explode(array(1, 2)) AS x", [(1,), (2,)]),
    ("SELECT a.id FROM bronze.t a LEFT SEMI JOIN bronze.t b ON a.id = b.n - 9", [(1,)]),
    ("SELECT count(*) FROM bronze.t a LEFT ANTI JOIN bronze.t b ON a.id = b.n - 9", [(3,)]),
    (
        "SELECT * EXCEPT (tags, point, doc, at, day, code, name, ratio, price, tiny, ok) FROM bronze.t WHERE id = 1",
        [(1, 10)],
    ),
    ("WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r WHERE x < 3) SELECT max(x) FROM r", [(3,)]),
    ("FROM bronze.t |> WHERE id = 2 |> SELECT name", [("bob",)]),
    (
        "SELECT ok, grouping(ok), count(*) FROM bronze.t WHERE ok GROUP BY ROLLUP (ok) ORDER BY 2",
        [(True, 0, 2), (None, 1, 2)],
    ),
    ("SELECT id FROM bronze.t WHERE price > (SELECT avg(price) FROM bronze.t)", [(1,)]),
    ("SELECT 1 AS a UNION SELECT 1 UNION ALL SELECT 2", [(1,), (2,)]),
    ("SELECT count(*) FILTER (WHERE n > 0) FROM bronze.t", [(2,)]),
    ("SELECT x FROM VALUES (1, 'a'), (2, 'b') AS v(x, y) ORDER BY x", [(1,), (2,)]),
    ("SELECT day FROM bronze.t WHERE day >= '2024-02-01'", [(date(2024, 2, 29),)]),
    ("SELECT sum(price) AS s FROM bronze.t HAVING sum(price) > 13", [(D("13.40"),)]),
]


@pytest.mark.parametrize(("sql", "expected"), EXACT, ids=[sql for sql, _ in EXACT])
def test_the_answer_is_that_of_databricks(sink: LakehouseSink, sql: str, expected: Any) -> None:
    whole = sql if isinstance(expected, list) and expected and isinstance(expected[0], tuple) else None

    answer = ask(sink, whole or f"SELECT {sql} AS answer FROM bronze.t WHERE id = 1")

    rows = list(zip(*(column.to_pylist() for column in answer.columns), strict=True))
    wanted = expected if whole else [(expected,)]
    assert rows == wanted
    assert [[(type(cell), str(cell)) for cell in row] for row in rows] == [
        [(type(cell), str(cell)) for cell in row] for row in wanted
    ]


FAILING = [
    ("SELECT 1 / 0", "division_by_zero"),
    ("SELECT n / (n - n) FROM bronze.t", "division_by_zero"),
    ("SELECT price / 0 FROM bronze.t", "division_by_zero"),
    ("SELECT 1 % 0", "division_by_zero"),
    ("SELECT cast('x' AS INT)", "cast_failed"),
    ("SELECT cast(code AS INT) FROM bronze.t", "cast_failed"),
    ("SELECT 9223372036854775807 + id FROM bronze.t", "arithmetic_overflow"),
    ("SELECT id = '1.5' FROM bronze.t", "cast_failed"),
    ("SELECT sum(x) FROM VALUES (9223372036854775807), (1) AS v(x)", "arithmetic_overflow"),
    ("SELECT cast(300 AS TINYINT)", "cast_failed"),
    ("SELECT tags[5] FROM bronze.t WHERE id = 1", "index_out_of_bounds"),
]


@pytest.mark.parametrize(("sql", "code"), FAILING, ids=[sql for sql, _ in FAILING])
def test_what_fails_on_databricks_fails_here(sink: LakehouseSink, sql: str, code: str) -> None:
    with pytest.raises(TsunamiError) as failed:
        ask(sink, sql)

    assert failed.value.code == code


REFUSED = [
    "SELECT id FROM bronze.t LATERAL VIEW OUTER explode(tags) e AS x",
    "SELECT array_union(tags, array('q')) FROM bronze.t",
    "SELECT from_json(doc, 'u STRUCT<n: STRING>') FROM bronze.t",
    "SELECT unix_timestamp(at) FROM bronze.t",
    "SELECT hash(id) FROM bronze.t",
    "SELECT cast(ratio AS STRING) FROM bronze.t",
    "SELECT concat(ratio, 'x') FROM bronze.t",
    "SELECT id FROM range(10)",
    "SELECT typeof(id) FROM bronze.t",
    "SELECT day - DATE'2024-01-01' FROM bronze.t",
    "SELECT INTERVAL 1 DAY",
    "SELECT date_format(at, 'EEE') FROM bronze.t",
    "SELECT to_date(code, 'MM/dd/yyyy') FROM bronze.t",
    "SELECT percentile_approx(n, 0.5) FROM bronze.t",
    "SELECT regexp_extract(name, '(?=x)y', 0) FROM bronze.t",
    "SELECT regexp_replace(name, '(a)', '$1') FROM bronze.t",
    "SELECT * FROM bronze.t VERSION AS OF 0",
    "SELECT code FROM bronze.t WHERE code = id",
    "SELECT code FROM bronze.t WHERE code IN (1, 2)",
    "SELECT day FROM bronze.t WHERE day >= '2024-02'",
    "SELECT coalesce(n, 'none') FROM bronze.t",
    "SELECT CASE WHEN ok THEN 1 ELSE 'x' END FROM bronze.t",
    "SELECT id FROM bronze.t UNION SELECT name FROM bronze.t",
    "SELECT element_at(tags, 1) FROM bronze.t",
    "SELECT map('a', 1)['a']",
    "SELECT extract(SECOND FROM at) FROM bronze.t",
    "SELECT * FROM bronze.t PIVOT (sum(n) FOR ok IN (true, false))",
    "SELECT uuid()",
    "SELECT initcap(name) FROM bronze.t",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_what_could_differ_is_refused_by_name(sink: LakehouseSink, sql: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ask(sink, sql)

    assert refused.value.code == "sql_unsupported"
    assert refused.value.fix
