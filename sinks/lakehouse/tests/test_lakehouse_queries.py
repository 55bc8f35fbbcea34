"""Queries: their limits, their errors, and the locks behind the guard."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from servicetsunami.sdk import Cancelled, ConfigError, NotFound, PermanentError, QueryLimits, TableName
from servicetsunami_sink_lakehouse import LakehouseConfig
from servicetsunami_sink_lakehouse.answering import refuse_other_statements
from servicetsunami_sink_lakehouse.engine import locked_database
from servicetsunami_sink_lakehouse.folders import Folders
from servicetsunami_sink_lakehouse.snapshot import open_snapshot

ORDERS = TableName("bronze", "orders")
ENDLESS = (
    "SELECT max(a.id % 7 + b.id % 5 + c.id % 3 + d.id % 2) AS m FROM bronze.orders a CROSS JOIN bronze.orders b "
    "CROSS JOIN bronze.orders c CROSS JOIN bronze.orders d"
)


@pytest.fixture
def filled(lakehouse: Any) -> Any:
    lakehouse.load(pa.table({"id": pa.array(range(3_000), pa.int64()), "name": ["text"] * 3_000}), 1)
    return lakehouse


def test_rows_stop_at_the_limit(filled: Any) -> None:
    answer = filled.query("SELECT id FROM bronze.orders ORDER BY id", QueryLimits(rows=7))

    assert answer.column("id").to_pylist() == list(range(7))


def test_bytes_stop_at_the_limit(filled: Any) -> None:
    answer = filled.query("SELECT * FROM bronze.orders a CROSS JOIN bronze.orders b", QueryLimits(10**9, size_bytes=1))

    assert 0 < answer.num_rows < 10_000


def test_a_query_that_takes_too_long_is_stopped(filled: Any) -> None:
    with pytest.raises(PermanentError) as stopped:
        filled.query(ENDLESS, QueryLimits(10, timeout_seconds=0.2))

    assert stopped.value.code == "query_timeout"
    assert stopped.value.fix


def test_a_cancelled_query_is_stopped(filled: Any) -> None:
    filled.ctx.cancel()

    with pytest.raises(Cancelled):
        filled.query(ENDLESS, QueryLimits(10, timeout_seconds=60))


def test_a_reader_that_is_closed_early_releases_its_connection(filled: Any) -> None:
    from servicetsunami.sdk.sql import guard_databricks

    query = guard_databricks("SELECT * FROM bronze.orders", catalog="tenant_acme", layers=("bronze",))
    reader = filled.sink.query(query, QueryLimits(rows=3_000))

    reader.read_next_batch()
    reader.close()

    assert filled.rows("SELECT count(*) FROM bronze.orders") == [(3_000,)]


def test_a_reader_that_nobody_reads_releases_its_watch(filled: Any) -> None:
    from servicetsunami.sdk.sql import guard_databricks

    query = guard_databricks("SELECT * FROM bronze.orders", catalog="tenant_acme", layers=("bronze",))
    reader = filled.sink.query(query, QueryLimits(rows=3_000))
    watching = [thread.name for thread in threading.enumerate()].count("query limits")

    del reader
    gc.collect()

    assert watching == 1
    assert "query limits" not in [thread.name for thread in threading.enumerate()]


def test_a_table_that_is_not_there_is_told_with_near_names(filled: Any) -> None:
    with pytest.raises(NotFound) as missing:
        filled.query("SELECT * FROM bronze.order")
    with pytest.raises(NotFound) as other_layer:
        filled.query("SELECT * FROM silver.orders")

    assert missing.value.code == other_layer.value.code == "table_not_found"
    assert "bronze.orders" in missing.value.did_you_mean
    assert "bronze.orders" in other_layer.value.did_you_mean


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nam FROM bronze.orders",
        "SELECT o.nam FROM bronze.orders o",
        "SELECT id FROM bronze.orders WHERE nam = 'x'",
        "SELECT id FROM bronze.orders ORDER BY nam",
        "SELECT nam FROM (SELECT * FROM bronze.orders)",
    ],
)
def test_a_column_that_is_not_there_is_told_with_near_names(filled: Any, sql: str) -> None:
    with pytest.raises(ConfigError) as missing:
        filled.query(sql)

    assert missing.value.code == "column_not_found"
    assert "'nam'" in str(missing.value)
    assert missing.value.did_you_mean == ("name",)


@pytest.mark.parametrize(
    ("sql", "code", "told"),
    [
        ("SELECT id FROM bronze.orders a JOIN bronze.orders b ON a.id = b.id", "column_ambiguous", "'id'"),
        ("SELECT x.id FROM bronze.orders o", "column_not_found", "'x'"),
    ],
)
def test_a_column_that_fits_not_exactly_one_table_is_told(filled: Any, sql: str, code: str, told: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        filled.query(sql)

    assert wrong.value.code == code
    assert told in str(wrong.value)


def test_results_have_the_names_and_types_of_databricks(filled: Any) -> None:
    answer = filled.query("SELECT count(*), sum(id), length(name), max(id) AS top FROM bronze.orders GROUP BY name")

    assert answer.column_names == ["count(1)", "sum(id)", "length(name)", "top"]
    assert answer.schema.types == [pa.int64(), pa.int64(), pa.int32(), pa.int64()]


def test_an_empty_table_has_the_types_of_its_columns(lakehouse: Any) -> None:
    from servicetsunami.sdk import Load

    schema = pa.schema([("at", pa.timestamp("us", tz="UTC")), ("price", pa.decimal128(10, 2)), ("day", pa.date32())])
    lakehouse.sink.replace(Load(ORDERS, schema, app="app", generation="g"), 1, {})

    answer = lakehouse.query("SELECT *, day + INTERVAL 1 DAY AS next FROM bronze.orders")

    assert answer.num_rows == 0
    assert answer.schema.types == [*schema.types, pa.date32()]


def test_another_tenants_tables_are_out_of_reach(filled: Any) -> None:
    from servicetsunami.sdk.testing import LocalContext
    from servicetsunami_sink_lakehouse import LakehouseSink

    config = LakehouseConfig(path=filled.ctx.data_dir)
    stranger = type(filled)(
        LakehouseSink(config, LocalContext(data_dir=filled.ctx.data_dir, tenant="other")), filled.ctx
    )

    with pytest.raises(NotFound):
        stranger.query("SELECT * FROM bronze.orders")
    with pytest.raises(ConfigError):
        stranger.query("SELECT * FROM tenant_acme.bronze.orders")
    assert stranger.sink.tables() == []


def test_the_catalogue_sums_up_and_tells_history(filled: Any) -> None:
    filled.load(pa.table({"id": pa.array([1], pa.int64()), "name": ["b"]}), 2, mode="merge", key=("id",))

    details = filled.sink.describe(ORDERS)
    (summary,) = filled.sink.tables("bronze")

    assert (summary.table, summary.rows) == (ORDERS, 3_000)
    assert summary.size_bytes
    assert summary.updated_at is not None
    assert summary.updated_at.tzinfo is not None
    assert [(entry["operation"], entry["rows_added"], entry["rows_removed"]) for entry in details.history] == [
        ("MERGE", 1, 1),
        ("WRITE", 3_000, 0),
    ]
    assert details.version == 1
    assert filled.sink.tables("gold") == []


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


@pytest.fixture
def locked(filled: Any) -> Any:
    folders = Folders(filled.ctx.data_dir, "acme")
    connection = locked_database(folders, {ORDERS: open_snapshot(folders.table(ORDERS))}, LakehouseConfig())
    yield connection
    connection.close()


def _run(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    refuse_other_statements(connection, sql)
    connection.sql(sql).fetchall()


SQL_ATTACKS = [
    "COPY (SELECT 1) TO '{tmp}/out.csv'",
    "COPY (SELECT 1) TO '{file}'",
    "COPY (SELECT 1) TO '{file}' (FORMAT parquet)",
    "ATTACH '{tmp}/x.db' AS x",
    "ATTACH '{file}' AS x",
    "ATTACH ':memory:' AS y",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_parquet('{other}')",
    "SELECT * FROM read_parquet('{folder}/*.parquet')",
    "SELECT * FROM read_text('{folder}/_delta_log/00000000000000000000.json')",
    "EXPORT DATABASE '{tmp}/dump'",
    "IMPORT DATABASE '{tmp}/dump'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{tmp}/evil.duckdb_extension'",
    "SELECT * FROM read_csv('https://127.0.0.1:1/x')",
    "SET enable_external_access = true",
    "SET allowed_paths = ['/etc/passwd']",
    "SET lock_configuration = false",
    "RESET enable_external_access",
    "PRAGMA enable_profiling",
    "CREATE TABLE x AS SELECT 1",
    "CREATE SECRET s (TYPE s3)",
    "DROP VIEW tenant_acme.bronze.orders",
    "CHECKPOINT",
    "SELECT 1; SELECT 2",
]


@pytest.mark.parametrize("attack", SQL_ATTACKS)
def test_the_locked_engine_refuses_what_the_guard_never_lets_come(
    filled: Any, locked: Any, tmp_path: Path, attack: str
) -> None:
    folder = filled.ctx.data_dir / "tenant_acme/bronze/orders"
    (file,) = _files(folder)
    other = folder / "other.parquet"
    other.write_bytes(file.read_bytes())
    before = file.read_bytes()
    sql = attack.format(tmp=tmp_path, file=file, folder=folder, other=other)

    with pytest.raises((ConfigError, duckdb.Error)):
        _run(locked, sql)

    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize(
    "attack", [attack for attack in SQL_ATTACKS if "{file}" not in attack and "x AS" not in attack]
)
def test_the_guard_refuses_the_same_attacks(filled: Any, attack: str) -> None:
    with pytest.raises(ConfigError):
        filled.query(attack)


def test_the_locked_engine_still_reads_its_table(locked: Any) -> None:
    rows = locked.sql("SELECT count(*) FROM tenant_acme.bronze.orders").fetchall()

    assert rows == [(3_000,)]
