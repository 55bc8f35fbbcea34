"""What a person sees when something is wrong, and the exit code a script sees."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from servicetsunami.cli.exits import Exit, code_of_error, code_of_runs
from servicetsunami.cli.running import run
from servicetsunami.operations.models import RunView
from servicetsunami.sdk import AuthError, ConfigError, NotFound, PermissionDenied, Problem, TransientError, TsunamiError


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSUNAMI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), Exit.USAGE),
        (ConfigError("x", step="dns"), Exit.CONNECTION),
        (AuthError("x"), Exit.CONNECTION),
        (PermissionDenied("x"), Exit.CONNECTION),
        (NotFound("x"), Exit.NOT_FOUND),
        (TransientError("x"), Exit.FAILED),
    ],
)
def test_an_error_has_the_exit_code_of_what_to_do_about_it(error: TsunamiError, code: Exit) -> None:
    assert code_of_error(error) is code


def _run(status: Literal["succeeded", "failed"], step: str | None = None) -> RunView:
    problem = Problem(code="x", message="x", step=step) if status == "failed" else None
    return RunView(
        run_id="run_1", kind="sync", status=status, created_at=datetime(2026, 1, 1, tzinfo=UTC), problem=problem
    )


def test_a_sync_of_which_a_part_failed_is_partial() -> None:
    both, one_missing = [_run("succeeded"), _run("failed")], [_run("succeeded")]

    codes = [code_of_runs(both, asked=2), code_of_runs(one_missing, asked=2)]

    assert codes == [Exit.PARTIAL, Exit.PARTIAL]


def test_a_sync_that_failed_at_a_step_of_connecting_says_so() -> None:
    assert code_of_runs([_run("failed", step="auth")], asked=1) is Exit.CONNECTION
    assert code_of_runs([_run("failed")], asked=1) is Exit.FAILED
    assert code_of_runs([_run("succeeded")], asked=1) is Exit.OK


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["tabels"], "did you mean: tables"),
        (["runs", "shwo"], "did you mean: show"),
        (["query", "--limmit", "3", "select 1"], "did you mean: --limit"),
        (["--setting", "evolv=add", "plugins"], "did you mean: evolve"),
        (["connect", "postgrs", "--name", "shop"], "did you mean: postgres"),
    ],
)
def test_a_misspelt_word_is_answered_with_what_was_meant(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(arguments)

    out, err = capsys.readouterr()
    assert code in (Exit.USAGE, Exit.NOT_FOUND)
    assert out == ""
    assert meant in err


def test_a_missing_argument_is_a_usage_error_that_names_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["describe"])

    assert code == Exit.USAGE
    assert capsys.readouterr().err == (
        "error: usage: Missing argument 'table'\n  fix: tsunami describe --help shows what can be said\n"
    )


def test_an_unknown_run_is_not_found(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["runs", "show", "run_none"])

    assert code == Exit.NOT_FOUND
    assert capsys.readouterr().err.startswith("error: run_not_found: ")


def test_a_traceback_is_shown_with_debug_only(capsys: pytest.CaptureFixture[str]) -> None:
    run(["runs", "show", "run_none"])
    plain = capsys.readouterr().err

    run(["--debug", "runs", "show", "run_none"])

    assert "Traceback" not in plain
    assert "Traceback" in capsys.readouterr().err


def test_a_fault_of_ours_is_told_by_its_type_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("row with hunter2")

    monkeypatch.setattr("servicetsunami.operations.installation.list_plugins", broken)

    code = run(["plugins"])

    err = capsys.readouterr().err
    assert code == Exit.FAILED
    assert err.startswith("error: internal: ")
    assert "RuntimeError" in err
    assert "hunter2" not in err


def test_an_interrupted_command_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("servicetsunami.operations.installation.list_plugins", interrupted)

    code = run(["plugins"])

    assert code == Exit.INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("setting", ["master_key=hunter2", 'sink_options={"client_secret": "hunter2"}'])
def test_a_secret_setting_is_not_taken_from_the_command_line(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["--setting", setting, "plugins"])

    err = capsys.readouterr().err
    assert code == Exit.USAGE
    assert "secret_on_command_line" in err
    assert "hunter2" not in err
