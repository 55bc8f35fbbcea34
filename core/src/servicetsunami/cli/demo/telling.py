"""How the demo is told: who says what, each tool call, and its answer as a person reads it."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from servicetsunami.assistant.models import TransformAdvice
from servicetsunami.cli.screen import Screen
from servicetsunami.cli.show.lakehouse import show_answer
from servicetsunami.cli.show.words import counted, thousands
from servicetsunami.operations.models import Connected, QueryResult, Result, RunView, SourceTables, TestResult
from servicetsunami.operations.transforms import TransformResult

_SECRETS = frozenset({"password"})


class Teller:
    """Tells the demo on a screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def talk(self, text: str) -> None:
        """Say what happens outside the conversation."""
        self._screen.line()
        self._screen.line(text, "italic")

    def says(self, wish: str) -> None:
        """Tell what a person asks for."""
        self._screen.line()
        self._screen.line(f"You: {wish}", "bold cyan")

    def call(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """Show a tool call; no secret in it."""
        shown = {name: "********" if name in _SECRETS else value for name, value in arguments.items()}
        sql = shown.pop("sql", None)
        said = "" if sql else f"({', '.join(f'{name}={_brief(value)}' for name, value in shown.items())})"
        self._screen.line()
        self._screen.line(f"  -> {tool}{said}", "blue")
        for text in str(sql or "").splitlines():
            self._screen.line(f"     {text}", "blue")

    def answer(self, result: Result) -> None:
        """Show the answer to a tool call."""
        show = _ANSWERS.get(type(result))
        if show is not None:
            show(self._screen, result)

    def answer_of_the_story(self, text: str) -> None:
        """Show what it was all about."""
        self._screen.line()
        self._screen.line(text, "bold green")

    def farewell(self, home: Path | None) -> None:
        """Say how to go on."""
        self._screen.line()
        if home is None:
            self._screen.line("The demo's PostgreSQL and its lakehouse are gone. To do this with data of yours:")
        else:
            self._screen.line(f"The lakehouse is kept: TSUNAMI_HOME={home / 'home'} TSUNAMI_TENANT=demo tsunami tables")
            self._screen.line("To do this with data of yours:")
        self._screen.line()
        self._screen.line(f"  {claude_line()}", "bold")


def _brief(value: Any) -> str:
    """Write an argument; of a list how many it holds."""
    return f"[{counted(len(value), 'item')}]" if isinstance(value, list) else repr(value)


def claude_line() -> str:
    """Return the command that adds this installation to Claude Code; absolute, since apps may lack the PATH."""
    beside = shutil.which("tsunami", path=str(Path(sys.executable).parent))
    command = [beside, "serve"] if beside else [sys.executable, "-m", "servicetsunami.cli", "serve"]
    return f"claude mcp add lakehouse -- {shlex.join(command)}"


def _tell_connect(screen: Screen, result: Connected) -> None:
    tables = counted(result.tables or 0, "table")
    screen.line(f"  <- connected as {result.connection_id}; it can read {tables}", "green")


def _tell_test(screen: Screen, result: TestResult) -> None:
    screen.line(f"  <- {result.status} in {result.elapsed_seconds:.2f} s", "green")


def _tell_tables(screen: Screen, result: SourceTables) -> None:
    screen.table(
        ("table", "rows (estimate)", "key", "cursor", "columns"),
        (
            (one.table_name, thousands(one.rows), ", ".join(one.key), one.cursor or "-", len(one.columns))
            for one in result.tables
        ),
    )


def _tell_run(screen: Screen, run: RunView) -> None:
    took = f" in {run.elapsed_seconds:.1f} s" if run.elapsed_seconds is not None else ""
    rows = f"{counted(run.rows, 'row')} written, {run.rows_read:,} read{took}"
    screen.line(f"  <- {run.bronze_table}: {run.status}, {run.sync_mode}: {rows}", "green")
    for note in run.notes:
        screen.line(f"     {note}")


def _tell_advice(screen: Screen, result: TransformAdvice) -> None:
    for at, one in enumerate(result.reasons, start=1):
        screen.line(f"  <- {at}. {one.step['op']}: {one.why}", "green")
    for note in result.notes:
        screen.line(f"     {note}")


def _tell_transform(screen: Screen, result: TransformResult) -> None:
    done = "would have" if result.status == "previewed" else f"{result.status}:"
    screen.line(f"  <- {result.silver_table} {done} {counted(result.rows or 0, 'row')}", "green")
    for rule in result.rules:
        counts = {"changed": rule.changed, "failed": rule.failed, "removed": rule.removed}
        told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
        screen.line(f"     {rule.op} {', '.join(rule.columns)}: {told or 'nothing to do'}")


_ANSWERS: dict[type[Result], Callable[[Screen, Any], None]] = {
    Connected: _tell_connect,
    TestResult: _tell_test,
    SourceTables: _tell_tables,
    RunView: _tell_run,
    QueryResult: show_answer,
    TransformAdvice: _tell_advice,
    TransformResult: _tell_transform,
}
