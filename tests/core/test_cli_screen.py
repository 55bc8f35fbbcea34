"""What results look like: plain off a terminal, drawn on one, and the bare model with --json."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from servicetsunami.cli.progress import watching
from servicetsunami.cli.running import run
from servicetsunami.cli.screen import Screen, cell_text, visible
from servicetsunami.cli.show.lakehouse import show_answer
from servicetsunami.operations.models import (
    CheckList,
    ConnectionList,
    PluginList,
    QueryResult,
    Result,
    ResultColumn,
    RunList,
    RunView,
    SettingList,
    TableList,
    TenantList,
)
from servicetsunami.sdk import Problem


class Terminal(io.StringIO):
    """A stream that says a person looks at it."""

    def isatty(self) -> bool:
        return True


def _answer() -> QueryResult:
    columns = (ResultColumn(name="id", type="bigint"), ResultColumn(name="name", type="string"))
    return QueryResult(
        columns=columns, rows=((1, "Łukasz"), (22, None)), row_count=2, truncated=False, execution_time=0.5
    )


def test_an_answer_off_a_terminal_is_aligned_text_and_its_talk_goes_to_standard_error() -> None:
    out, err = io.StringIO(), io.StringIO()

    show_answer(Screen(out, err), _answer())

    assert out.getvalue() == "id  name\n1   Łukasz\n22  NULL\n"
    assert err.getvalue() == "2 rows in 0.50 s\n"


def test_an_answer_on_a_terminal_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    out = Terminal()

    show_answer(Screen(out, io.StringIO()), _answer())

    assert "─" in out.getvalue()
    assert "Łukasz" in out.getvalue()


def test_a_cell_cannot_command_the_terminal() -> None:
    assert cell_text("\x1b[2Jgone\n") == "\\x1b[2Jgone\\n"
    assert visible("花子 🎁 é") == "花子 🎁 é"


def test_a_problem_is_shown_whole() -> None:
    err = io.StringIO()
    problem = Problem(
        code="auth", message="refused", step="auth", why="28P01", fix="retype it", did_you_mean=("a", "b")
    )

    Screen(io.StringIO(), err).problem(problem)

    assert err.getvalue() == (
        "error: auth: refused\n  step: auth\n  why: 28P01\n  fix: retype it\n  did you mean: a, b\n"
    )


def _running(rows_read: int, elapsed: float) -> RunView:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    return RunView(
        run_id="run_1",
        kind="sync",
        status="running",
        rows_read=rows_read,
        rows_total=100,
        created_at=began,
        elapsed_seconds=elapsed,
    )


def test_progress_off_a_terminal_is_a_plain_line_now_and_then() -> None:
    err = io.StringIO()

    with watching("orders", Screen(io.StringIO(), err)) as watch:
        for rows, elapsed in ((0, 0.1), (10, 0.4), (50, 6.0), (60, 6.5)):
            asyncio.run(_report(watch, rows, elapsed))

    assert err.getvalue() == ("orders: 0 rows read of about 100, 0 s\norders: 50 rows read of about 100, 6 s\n")


def test_progress_on_a_terminal_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    err = Terminal()

    with watching("orders", Screen(io.StringIO(), err)) as watch:
        asyncio.run(_report(watch, 50, 1.0))

    assert "50 rows" in err.getvalue()
    assert "━" in err.getvalue()


async def _report(watch: object, rows: int, elapsed: float) -> None:
    assert callable(watch)
    await watch(_running(rows, elapsed))


@pytest.mark.parametrize(
    ("arguments", "model"),
    [
        (["plugins"], PluginList),
        (["doctor"], CheckList),
        (["connections"], ConnectionList),
        (["runs"], RunList),
        (["tables"], TableList),
        (["tenants", "list"], TenantList),
        (["config", "show"], SettingList),
    ],
)
def test_json_is_the_result_model_and_nothing_else(
    arguments: list[str],
    model: type[Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TSUNAMI_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    code = run([*arguments, "--json"])

    out, err = capsys.readouterr()
    assert code == 0
    assert json.loads(model.model_validate_json(out).model_dump_json()) == json.loads(out)
    assert err == ""


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["--version"])

    assert code == 0
    assert capsys.readouterr().out.startswith("tsunami ")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    code = run([])

    help_text = capsys.readouterr().out
    words = "demo serve connect test sync tables describe query plugins doctor connections runs config tenants keys"
    assert code == 0
    assert all(f"\n  {word} " in help_text for word in words.split())
