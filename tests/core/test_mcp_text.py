"""What people read of results."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from servicetsunami.mcp import text
from servicetsunami.operations.models import (
    ConnectionList,
    ConnectResult,
    QueryResult,
    ResultColumn,
    RunView,
    TableList,
)
from servicetsunami.sdk import Problem

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_rows_are_a_pipe_table_that_no_cell_can_break() -> None:
    result = QueryResult(
        columns=(ResultColumn(name="id", type="int"), ResultColumn(name="note", type="string")),
        rows=((1, "a|b"), (2, "two\nlines"), (3, None), (True, "back\\slash")),
        row_count=4,
        truncated=False,
        execution_time=0.5,
    )

    shown = text.query_text(result)

    assert shown == ("id | note\n---|---\n1 | a\\|b\n2 | two\\nlines\n3 | \ntrue | back\\\\slash\n4 rows in 0.50 s.")


def test_a_cut_answer_says_so() -> None:
    result = QueryResult(
        columns=(ResultColumn(name="n", type="int"),),
        rows=((1,),),
        row_count=1,
        truncated=True,
        execution_time=0.1,
        notice="Aggregate.",
    )

    assert text.query_text(result).endswith("1 row in 0.10 s, and there are more.\nAggregate.")


def test_a_running_run_says_how_to_go_on() -> None:
    run = RunView(
        run_id="run_1",
        kind="sync",
        status="running",
        table_name="orders",
        bronze_table="tenant_a.bronze.orders",
        sync_mode="full",
        rows=10,
        rows_read=1_200,
        rows_total=5_000,
        created_at=NOON,
    )

    assert text.run_text(run) == (
        "Run run_1 (orders into tenant_a.bronze.orders, full): running. 10 rows written, 1,200 read of about 5,000.\n"
        "It goes on: ask get_run with run_id run_1."
    )


def test_a_failed_run_tells_its_problem_once() -> None:
    problem = Problem(code="auth", message="the password was refused", fix="connect again")
    run = RunView(
        run_id="run_1", kind="sync", status="failed", created_at=NOON, message=problem.message, problem=problem
    )

    shown = text.run_text(run)

    assert shown.count("the password was refused") == 1
    assert "auth: the password was refused\nFix: connect again" in shown


def test_a_stored_connection_whose_test_failed_says_both() -> None:
    result = ConnectResult(
        connection_id="conn_1",
        name="shop",
        connector="postgres",
        status="failed",
        problem=Problem(code="dns", message="no such host", step="resolve"),
        notice="The secret passed through.",
    )

    assert text.connect_text(result) == (
        "Stored the connection 'shop' to postgres as conn_1.\nIts test failed.\ndns: no such host\n"
        "Failed step: resolve\nThe secret passed through."
    )


def test_empty_lists_say_what_to_do() -> None:
    assert "connect_source" in text.connections_text(ConnectionList(connections=()))
    assert "sync_to_bronze" in text.tables_text(TableList(catalog="tenant_a", tables=(), total=0))


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\u202eb", "a\\u{202e}b"),
        ("a\U000e0041b", "a\\u{e0041}b"),
        ("a\u200bb", "a\\u{200b}b"),
        ("a\tb\r\n", "a\\tb\\r\\n"),
        ("żółw 🐢 שלום", "żółw 🐢 שלום"),
    ],
)
def test_what_is_not_seen_but_obeyed_is_shown_in_cells_and_names(hidden: str, shown: str) -> None:
    assert text.pipe_table([hidden], [[hidden]]) == f"{shown}\n---\n{shown}"
