"""The SQL connector, as it comes, over Thrift."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from databricks import sql

from servicetsunami_lookalike import Fault, Lookalike

Run = Callable[..., list[dict[str, Any]]]
Connect = Callable[..., Any]


def test_types_come_as_they_are(run: Run) -> None:
    (row,) = run(
        "SELECT CAST(1 AS TINYINT) a, CAST(2 AS SMALLINT) b, 3 c, CAST(4 AS BIGINT) d, CAST(0.5 AS FLOAT) e, "
        "CAST(0.25 AS DOUBLE) f, CAST(1.50 AS DECIMAL(10, 2)) g, 'ü' h, true i, DATE '2024-02-29' j, "
        "TIMESTAMP '2024-01-01 00:00:00' k, CAST(NULL AS STRING) m, array(1, 2) n, named_struct('x', 1) o"
    )

    assert row == {
        "a": 1,
        "b": 2,
        "c": 3,
        "d": 4,
        "e": 0.5,
        "f": 0.25,
        "g": Decimal("1.50"),
        "h": "ü",
        "i": True,
        "j": date(2024, 2, 29),
        "k": datetime(2024, 1, 1, tzinfo=UTC),
        "m": None,
        "n": [1, 2],
        "o": {"x": 1},
    }


def test_values_are_bound_by_name_and_by_place(run: Run, catalog: str) -> None:
    run(f"CREATE TABLE {catalog}.s.t (id BIGINT, name STRING)")
    run(f"INSERT INTO {catalog}.s.t VALUES (:id, :name)", {"id": 7, "name": "it's"})
    run(f"INSERT INTO {catalog}.s.t VALUES (?, ?)", [8, None])

    assert run(f"SELECT * FROM {catalog}.s.t ORDER BY id") == [{"id": 7, "name": "it's"}, {"id": 8, "name": None}]


@pytest.mark.parametrize("links", [True, False])
def test_many_rows_come_by_links_or_inline(
    lookalike: Lookalike, connect: Connect, run: Run, catalog: str, links: bool
) -> None:
    numbers = "SELECT explode(sequence(1, 250000)) AS id"
    run(f"CREATE TABLE {catalog}.s.t AS SELECT id * 3 AS id, repeat('x', 20) AS text FROM ({numbers})")
    lookalike.faults.clear()

    cursor = connect(use_cloud_fetch=links).cursor()
    cursor.execute(f"SELECT id, text FROM {catalog}.s.t")
    total = 0
    while (batch := cursor.fetchmany_arrow(60_000)).num_rows:
        total += sum(batch.column("id").to_pylist())

    assert total == 3 * 250_000 * 250_001 // 2
    assert any("/offers/" in label for label in lookalike.faults.seen) is links


def test_counts_of_changed_rows_come_back(connect: Connect, run: Run, catalog: str) -> None:
    run(f"CREATE TABLE {catalog}.s.t (id INT)")
    cursor = connect().cursor()
    counts = []
    for change in ("INSERT INTO {t} VALUES (1), (2), (3)", "UPDATE {t} SET id = 9 WHERE id = 1", "DELETE FROM {t}"):
        cursor.execute(change.replace("{t}", f"{catalog}.s.t"))
        counts.append(cursor.rowcount)

    assert counts == [3, 1, 3]


def test_an_unknown_token_is_refused(connect: Connect) -> None:
    with pytest.raises(sql.exc.Error):
        connect("wrong")


def test_what_is_not_known_is_an_error(run: Run) -> None:
    for statement in ("SELECT ai_query('x', 'y')", "REPAIR TABLE x", "CALL x()", "SELECT 1; SELECT 2", "nonsense"):
        with pytest.raises(sql.exc.ServerOperationError):
            run(statement)


def test_a_statement_is_cancelled(lookalike: Lookalike, connect: Connect) -> None:
    lookalike.faults.add(Fault("slow", "ExecuteStatement SELECT 1", seconds=60))
    cursor = connect().cursor()
    started = time.monotonic()
    cursor.execute_async("SELECT 1 AS x")
    cursor.cancel()
    with pytest.raises(sql.exc.Error):
        cursor.get_async_execution_result()

    assert time.monotonic() - started < 20


def test_a_statement_ends_at_its_timeout(lookalike: Lookalike, connect: Connect) -> None:
    lookalike.faults.add(Fault("slow", "ExecuteStatement SELECT 1", seconds=60))
    cursor = connect(session_configuration={"STATEMENT_TIMEOUT": "1"}).cursor()

    with pytest.raises(sql.exc.ServerOperationError, match="STATEMENT_TIMEOUT"):
        cursor.execute("SELECT 1 AS x")


def test_a_long_statement_is_waited_for(lookalike: Lookalike, run: Run) -> None:
    lookalike.faults.add(Fault("slow", "ExecuteStatement SELECT 7", seconds=2.5))

    assert run("SELECT 7 AS x") == [{"x": 7}]


def test_a_busy_warehouse_is_asked_again(lookalike: Lookalike, run: Run) -> None:
    lookalike.faults.add(Fault("unavailable", "ExecuteStatement SELECT 8", seconds=0))

    assert run("SELECT 8 AS x") == [{"x": 8}]


def test_the_connector_sends_again_what_got_no_answer(lookalike: Lookalike, run: Run, catalog: str) -> None:
    """So a plain INSERT may be carried out twice: whoever loads must make every statement safe to repeat."""
    run(f"CREATE TABLE {catalog}.s.t (id INT)")
    lookalike.faults.add(Fault("lost_answer", "ExecuteStatement INSERT"))
    run(f"INSERT INTO {catalog}.s.t VALUES (1)")
    lookalike.faults.add(Fault("lost_request", "ExecuteStatement INSERT"))
    run(f"INSERT INTO {catalog}.s.t VALUES (2)")

    assert run(f"SELECT id FROM {catalog}.s.t ORDER BY id") == [{"id": 1}, {"id": 1}, {"id": 2}]


def test_files_are_put_got_and_removed_by_statements(connect: Connect, catalog: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    cursor = connect(staging_allowed_local_path=str(tmp_path)).cursor()
    path = f"/Volumes/{catalog}/s/v/a.txt"
    cursor.execute(f"PUT '{tmp_path}/a.txt' INTO '{path}' OVERWRITE")
    cursor.execute(f"PUT '__input_stream__' INTO '{path}2'", input_stream=io.BytesIO(b"stream"))
    cursor.execute(f"GET '{path}2' TO '{tmp_path}/b.txt'")
    cursor.execute(f"REMOVE '{path}2'")

    assert (tmp_path / "b.txt").read_text() == "stream"
    with pytest.raises(sql.exc.Error):
        cursor.execute(f"PUT '{tmp_path}/a.txt' INTO '{path}'")
    with pytest.raises(sql.exc.Error):
        cursor.execute(f"GET '{path}2' TO '{tmp_path}/c.txt'")


def test_sessions_run_beside_each_other(connect: Connect, run: Run, catalog: str) -> None:
    run(f"CREATE TABLE {catalog}.s.t (id INT)")
    cursors = [connect().cursor() for _ in range(4)]
    insert = f"INSERT INTO {catalog}.s.t VALUES (1)"
    threads = [threading.Thread(target=cursor.execute, args=(insert,)) for cursor in cursors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert run(f"SELECT count(*) AS n FROM {catalog}.s.t") == [{"n": 4}]


def test_a_session_begins_where_it_is_told(connect: Connect, catalog: str) -> None:
    cursor = connect(catalog=catalog, schema="s").cursor()
    cursor.execute("CREATE TABLE here (id INT)")
    cursor.execute("SHOW TABLES")

    assert [row.tableName for row in cursor.fetchall()] == ["here"]


def test_names_of_one_two_and_three_parts_lead_to_the_same_table(connect: Connect, catalog: str) -> None:
    cursor = connect(catalog=catalog, schema="s").cursor()
    cursor.execute("CREATE TABLE t AS SELECT 1 AS id")
    for name in ("t", "s.t", f"{catalog}.s.t"):
        cursor.execute(f"SELECT id FROM {name}")
        assert cursor.fetchall()[0].id == 1
    cursor.execute("SELECT table_name FROM information_schema.tables")

    assert [row.table_name for row in cursor.fetchall()] == ["t"]
