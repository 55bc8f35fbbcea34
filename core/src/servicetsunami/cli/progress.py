"""Showing how far a run is: a bar on a terminal, a plain line now and then off it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from servicetsunami.cli.screen import Screen

if TYPE_CHECKING:
    from servicetsunami.operations.models import RunView

Watch = Callable[["RunView"], Awaitable[None]]
_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def watching(table: str, screen: Screen | None = None) -> Iterator[Watch]:
    """Yield what to call with the run whenever it has moved on."""
    screen = screen or Screen()
    if not screen.is_terminal:
        yield _lines(table, screen)
        return
    with _bar(table, screen) as watch:
        yield watch


def _lines(table: str, screen: Screen) -> Watch:
    due = 0.0

    async def watch(run: RunView) -> None:
        nonlocal due
        elapsed = run.elapsed_seconds or 0.0
        if run.status == "running" and elapsed >= due:
            due = elapsed + _SECONDS_BETWEEN_LINES
            of = f" of about {run.rows_total:,}" if run.rows_total else ""
            screen.talk(f"{table}: {run.rows_read:,} rows read{of}, {elapsed:.0f} s")

    return watch


@contextmanager
def _bar(table: str, screen: Screen) -> Iterator[Watch]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]}"))
    with Progress(*columns, TimeElapsedColumn(), console=screen.talk_console(), transient=True) as progress:
        task = progress.add_task(table, total=None, rows="")

        async def watch(run: RunView) -> None:
            # The total is an estimate: a bar that is full before the end would lie.
            total = max(run.rows_total, run.rows_read + 1) if run.rows_total else None
            progress.update(task, completed=run.rows_read, total=total, rows=f"{run.rows_read:,} rows")

        yield watch
