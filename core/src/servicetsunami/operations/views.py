"""Turning what the records keep into what people see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from servicetsunami.operations.models import Cell, ConnectionView, DriftFinding, RunView
from servicetsunami.operations.paging import shortened
from servicetsunami.records import Connection, Run
from servicetsunami.sdk import Problem

if TYPE_CHECKING:
    from servicetsunami.operations.app import App

_MOST_NOTES, _MOST_DRIFT, _LONGEST_TEXT = 50, 200, 1_000


def run_view(run: Run, catalog: str) -> RunView:
    """Show a run."""
    began, ended = run.started_at, run.finished_at
    elapsed = ((ended or datetime.now(UTC)) - began).total_seconds() if began else None
    return RunView(
        run_id=run.id,
        kind=run.kind,
        status=run.status.value,
        connection_id=run.connection_id,
        table_name=run.stream,
        bronze_table=f"{catalog}.{run.table}" if run.table else None,
        sync_mode=run.mode,
        rows=run.rows_written,
        rows_read=run.rows_read,
        rows_rescued=run.rows_rescued,
        rows_total=run.rows_total,
        bytes_read=run.bytes_read,
        created_at=run.created_at,
        started_at=began,
        finished_at=ended,
        elapsed_seconds=None if elapsed is None else round(elapsed, 3),
        message=shortened(run.message, _LONGEST_TEXT),
        problem=Problem.model_validate(run.problem) if run.problem else None,
        notes=tuple(_first(run.details.get("notes", ()))),
        lag_bytes=run.details.get("lag_bytes"),
        drift=tuple(DriftFinding.model_validate(finding) for finding in run.details.get("drift", ())[:_MOST_DRIFT]),
    )


def _first(notes: Sequence[str]) -> Iterator[str]:
    yield from (shortened(note, _LONGEST_TEXT) for note in notes[:_MOST_NOTES])
    if len(notes) > _MOST_NOTES:
        yield f"There are {len(notes) - _MOST_NOTES:,} more notes like these."


def connection_view(app: App, connection: Connection) -> ConnectionView:
    """Show a connection; its secrets by name."""
    status = "untested" if connection.tested_at is None else "failed" if connection.test_problem else "success"
    return ConnectionView(
        connection_id=connection.id,
        name=connection.name,
        connector=connection.connector,
        settings={name: _setting(value) for name, value in connection.settings.items()},
        secrets=connection.secret_names,
        secret_refs=connection.secret_refs,
        streams=connection.streams,
        available=connection.connector in app.plugins.connectors,
        status=status,
        tested_at=connection.tested_at,
        created_at=connection.created_at,
    )


def _setting(value: Any) -> Cell | list[Cell]:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return [str(item) for item in value] if isinstance(value, list | tuple) else str(value)
