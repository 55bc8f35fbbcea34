"""Showing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.cli.show.words import counted, moment

if TYPE_CHECKING:
    from servicetsunami.cli.screen import Screen
    from servicetsunami.operations.models import RunList, RunView
    from servicetsunami.operations.uploads.models import UploadResult

_STYLES = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "interrupted": "yellow"}


def show_runs(screen: Screen, result: RunList) -> None:
    """Show runs as a table, newest first."""
    if not result.runs:
        screen.talk("There are no runs yet: `tsunami sync CONNECTION TABLE` makes one.")
        return
    screen.table(
        ("run_id", "status", "table", "mode", "rows", "seconds", "began"),
        (
            (
                run.run_id,
                run.status,
                run.bronze_table or run.table_name or run.kind,
                run.sync_mode or "-",
                f"{run.rows:,}",
                "-" if run.elapsed_seconds is None else f"{run.elapsed_seconds:.1f}",
                moment(run.started_at or run.created_at),
            )
            for run in result.runs
        ),
    )


def show_run(screen: Screen, run: RunView) -> None:
    """Show one run: what, how far, and why it ended as it did."""
    screen.line(f"{run.run_id}  {run.status}", _STYLES.get(run.status, ""))
    screen.line(f"  {run.table_name or run.kind} -> {run.bronze_table or '-'} ({run.sync_mode or run.kind})")
    screen.line(f"  {_counts(run)}")
    _explain(screen, run)


def show_runs_ended(screen: Screen, result: RunList) -> None:
    """Show what a sync brought, a line a table."""
    for run in result.runs:
        screen.line(f"{run.bronze_table or run.table_name}  {run.status}  {_counts(run)}", _STYLES.get(run.status, ""))
        _explain(screen, run)
    done = next((run.bronze_table for run in result.runs if run.status == "succeeded"), None)
    if done:
        short = done.partition(".")[2] or done
        screen.talk(f"Next: tsunami describe {short}, then tsunami query with SQL of your own")


def show_upload(screen: Screen, result: UploadResult) -> None:
    """Show what became of an uploaded file."""
    counts = f"{counted(result.rows, 'row')} written of {result.size_bytes:,} bytes"
    screen.line(f"{result.bronze_table}  {result.status}  {counts}", _STYLES.get(result.status, ""))
    if result.problem is not None:
        screen.problem(result.problem)
    for note in result.notes:
        screen.talk(f"  {note}")
    if result.bronze_table and result.status == "succeeded":
        short = result.bronze_table.partition(".")[2]
        screen.talk(f"Next: tsunami describe {short}, then tsunami query with SQL of your own")


def _counts(run: RunView) -> str:
    of = f" of about {run.rows_total:,}" if run.rows_total and run.status == "running" else ""
    took = "" if run.elapsed_seconds is None else f" in {run.elapsed_seconds:.1f} s"
    kept = "" if run.lag_bytes is None else f"; the source keeps {run.lag_bytes:,} bytes of its log"
    return f"{counted(run.rows, 'row')} written, {run.rows_read:,} read{of}{took}{kept}"


def _explain(screen: Screen, run: RunView) -> None:
    if run.problem is not None:
        screen.problem(run.problem)
    elif run.message:
        screen.talk(f"  {run.message}")
    for note in run.notes:
        screen.talk(f"  note: {note}")
