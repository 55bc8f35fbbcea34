"""Results in a few words, for clients that show text to a person or hand it to a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from servicetsunami.operations.answers.visible import visible
from servicetsunami.operations.models import (
    ColumnProfile,
    ConnectionList,
    ConnectResult,
    DeleteResult,
    ExportedFile,
    QueryPage,
    QueryResult,
    RunView,
    SourceTables,
    TableDescription,
    TableList,
    TestResult,
)
from servicetsunami.operations.uploads.models import UploadResult
from servicetsunami.sdk import Problem


def problem_text(problem: Problem) -> str:
    """Say what went wrong, why, and what to do."""
    lines = [
        f"{problem.code}: {problem.message}",
        f"Why: {problem.why}" if problem.why else "",
        f"Failed step: {problem.step}" if problem.step else "",
        f"Fix: {problem.fix}" if problem.fix else "",
        f"Did you mean: {', '.join(problem.did_you_mean)}" if problem.did_you_mean else "",
    ]
    return _lines(lines)


def connect_text(result: ConnectResult) -> str:
    """Say that a connection was stored, and whether it works, or which secrets it waits for."""
    if result.status == "needs_secret":
        return _waits_text(result)
    passed = f"Its test passed{_count(result.tables, 'table', ' and it can read ')}."
    return _lines(
        [
            f"Stored the connection '{result.name}' to {result.connector} as {result.connection_id}.",
            passed if result.status == "success" else "Its test failed.",
            problem_text(result.problem) if result.problem else "",
            result.notice or "",
        ]
    )


def _waits_text(result: ConnectResult) -> str:
    names = ", ".join(result.missing_secrets)
    stored = f", which is stored as {result.connection_id}," if result.connection_id else ""
    return _lines([f"The connection '{result.name}'{stored} needs from the person: {names}.", result.notice or ""])


def test_text(result: TestResult) -> str:
    """Say whether a connection works."""
    if result.problem:
        return f"The test of {result.connection_id} failed.\n{problem_text(result.problem)}"
    return f"{result.connection_id} works{_count(result.tables, 'table', ' and can read ')}."


def connections_text(result: ConnectionList) -> str:
    """List connections."""
    if not result.connections:
        return "There are no connections yet: make one with connect_source or a connect_* tool."
    table = pipe_table(
        ("connection_id", "name", "connector", "status"),
        ((view.connection_id, view.name, view.connector, view.status) for view in result.connections),
    )
    return _lines([table, f"More with cursor {result.next_cursor}." if result.next_cursor else ""])


def delete_text(result: DeleteResult) -> str:
    """Say what was deleted and what stays, or what would."""
    what = f"the connection '{result.name}' ({result.connection_id})"
    if result.status == "kept":
        return f"Nothing was deleted: the person said no, so {what} stays as it is."
    asks = result.status == "needs_confirmation"
    return _lines(
        [
            f"This would delete {what} and its secrets." if asks else f"Deleted {what} and its secrets.",
            f"Its tables stay: {', '.join(result.kept_tables)}." if result.kept_tables else "",
            f"Its schedules go: {', '.join(result.schedules)}." if result.schedules else "",
            *result.notes,
            f"confirmation_token: {result.confirmation_token}" if asks else "",
        ]
    )


def source_tables_text(result: SourceTables) -> str:
    """List tables at a source."""
    table = pipe_table(
        ("table_name", "kind", "rows", "cursor", "sync_modes", "bronze_table"),
        (
            (one.table_name, one.kind, one.rows, one.cursor, ", ".join(one.sync_modes), one.bronze_table)
            for one in result.tables
        ),
    )
    return _lines([table, _page(len(result.tables), result.total, result.next_cursor)])


def run_text(run: RunView) -> str:
    """Say how far a run is."""
    what = ", ".join(part for part in (_route(run), run.sync_mode) if part)
    counts = f"{run.rows:,} rows written, {run.rows_read:,} read{_of(run.rows_total)}{_seconds(run.elapsed_seconds)}."
    unfinished = run.status in ("queued", "running")
    return _lines(
        [
            f"Run {run.run_id} ({what}): {run.status}. {counts}",
            f"It goes on: ask get_run with run_id {run.run_id}." if unfinished else "",
            problem_text(run.problem) if run.problem else run.message,
            *run.notes,
        ]
    )


def upload_text(result: UploadResult) -> str:
    """Say what became of a file, or where it is sent to."""
    if result.status == "needs_upload":
        return _lines([f"Send the file to {result.upload_url}", result.message])
    unfinished = result.status in ("queued", "running")
    return _lines(
        [
            f"{result.bronze_table}: {result.status}. {result.rows:,} rows written.",
            f"It goes on: ask get_run with run_id {result.run_id}." if unfinished else "",
            problem_text(result.problem) if result.problem else result.message,
            *result.notes,
        ]
    )


def query_text(result: QueryResult) -> str:
    """Show the rows of an answer."""
    return _answer(result, ", and there are more" if result.truncated else "")


def page_text(result: QueryPage) -> str:
    """Show the rows of a page."""
    if result.would_read is not None:
        columns = ", ".join(f"{one.name} {one.type}" for one in result.columns)
        return f"{result.notice} Columns: {columns}. It would read {_count(result.would_read, 'row')}."
    if result.export is not None:
        return _answer(result, f"; {_file(result.export)}")
    if result.next_cursor is None:
        return query_text(result)
    return _answer(result, f", and there are more with cursor {result.next_cursor}")


def _file(file: ExportedFile) -> str:
    which = "the first" if file.truncated else "all"
    return f"{which} {_count(file.rows, 'row')} are in {file.path or file.url} ({file.size_bytes:,} bytes)"


def _answer(result: QueryResult, more: str) -> str:
    table = pipe_table([column.name for column in result.columns], result.rows)
    rows = _count(result.row_count, "row")
    return _lines([table, f"{rows} in {result.execution_time:.2f} s{more}.", result.notice or ""])


def tables_text(result: TableList) -> str:
    """List tables of the lakehouse."""
    if not result.total:
        return f"{result.catalog} holds no table yet: bring one in with sync_to_bronze."
    table = pipe_table(("table", "rows", "updated_at", "comment"), (_table_row(view) for view in result.tables))
    return _lines([table, _page(len(result.tables), result.total, result.next_cursor)])


def description_text(result: TableDescription) -> str:
    """Show the columns of a table."""
    table = result.table
    key = f", key {', '.join(result.key)}" if result.key else ""
    head = f"{table.table}: {_count(table.rows, 'row') or 'unknown rows'}{key}, version {result.version}."
    more = f"There are more columns, with cursor {result.next_cursor}." if result.next_cursor else ""
    sample = pipe_table([column.name for column in result.columns], result.sample) if result.sample else ""
    return _lines([head, table.comment, _columns(result), more, sample, result.notice or ""])


def _columns(result: TableDescription) -> str:
    header: tuple[str, ...] = ("column", "type", "nullable", "comment")
    plain = [(column.name, column.type, column.nullable, column.comment) for column in result.columns]
    if result.profiled_rows is None:
        return pipe_table(header, plain)
    profiles = (_profile(column.profile) for column in result.columns)
    rows = [(*row, *profile) for row, profile in zip(plain, profiles, strict=True)]
    return pipe_table((*header, "nulls", "distinct", "minimum", "maximum"), rows)


def _profile(profile: ColumnProfile | None) -> tuple[Any, ...]:
    if profile is None:
        return (None, None, None, None)
    return (profile.nulls, profile.distinct, profile.minimum, profile.maximum)


def pipe_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write rows as a Markdown table: the shortest form a model reads without error."""
    lines = [" | ".join(_cell(name) for name in header), "|".join("---" for _ in header)]
    return "\n".join([*lines, *(" | ".join(_cell(value) for value in row) for row in rows)])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return visible(text.replace("\\", "\\\\").replace("|", "\\|"))


def _route(run: RunView) -> str:
    return f"{run.table_name} into {run.bronze_table}" if run.bronze_table else run.kind


def _table_row(view: Any) -> tuple[Any, ...]:
    return (view.table, view.rows, view.updated_at.isoformat() if view.updated_at else None, view.comment)


def _page(shown: int, total: int, next_cursor: str | None) -> str:
    more = f" More with cursor {next_cursor}." if next_cursor else ""
    return f"{shown:,} of {total:,} tables.{more}"


def _count(number: int | None, noun: str, before: str = "") -> str:
    return "" if number is None else f"{before}{number:,} {noun}{'' if number == 1 else 's'}"


def _of(total: int | None) -> str:
    return f" of about {total:,}" if total else ""


def _seconds(elapsed: float | None) -> str:
    return "" if elapsed is None else f" in {elapsed:.1f} s"


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(line for line in lines if line)
