"""Showing tables and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.cli.show.words import counted, moment, size, thousands

if TYPE_CHECKING:
    from servicetsunami.cli.screen import Screen
    from servicetsunami.operations.models import (
        Cell,
        ColumnView,
        ExportedFile,
        QueryResult,
        SourceTables,
        TableDescription,
        TableList,
    )


def show_tables(screen: Screen, result: TableList) -> None:
    """Show the tables of the lakehouse."""
    if not result.total:
        screen.talk(f"{result.catalog} holds no table yet: bring one in with `tsunami sync`.")
        return
    screen.table(
        ("table", "rows", "size", "updated", "comment"),
        (
            (one.table, thousands(one.rows), size(one.size_bytes), moment(one.updated_at), one.comment)
            for one in result.tables
        ),
    )
    _more(screen, len(result.tables), result.total, result.next_cursor)


def show_source_tables(screen: Screen, result: SourceTables) -> None:
    """Show the tables of a source."""
    if not result.tables:
        screen.talk("No table is found: the credentials may lack the right to read, or the search is too narrow.")
        return
    screen.table(
        ("table", "kind", "rows (estimate)", "size", "key", "cursor", "synced to"),
        (
            (
                one.table_name,
                one.kind,
                thousands(one.rows),
                size(one.size_bytes),
                ", ".join(one.key) or "-",
                one.cursor or "-",
                one.bronze_table or "-",
            )
            for one in result.tables
        ),
    )
    _more(screen, len(result.tables), result.total, result.next_cursor)


def _identity(result: TableDescription) -> tuple[str, ...]:
    """Tell what identifies rows and which version this is; a view has neither."""
    if result.table.kind == "view":
        return (f"a view: {result.definition}",)
    return (f"key {', '.join(result.key)}" if result.key else "no key", f"version {result.version}")


def show_description(screen: Screen, result: TableDescription) -> None:
    """Show all about one table."""
    table = result.table
    screen.line(table.table, "bold")
    facts = [
        f"{table.rows:,} rows" if table.rows is not None else "",
        size(table.size_bytes) if table.size_bytes is not None else "",
        *_identity(result),
        table.comment,
    ]
    screen.line(", ".join(fact for fact in facts if fact))
    screen.line()
    _show_columns(screen, result)
    if result.sample:
        screen.line()
        screen.table([column.name for column in result.columns], result.sample)
    if result.history:
        screen.line()
        _show_history(screen, result)
    if result.next_cursor:
        screen.talk(f"There are more columns: the next ones with --cursor {result.next_cursor}")


def _show_columns(screen: Screen, result: TableDescription) -> None:
    header = ("column", "type", "nullable", "at the source", "comment")
    rows = [(one.name, one.type, one.nullable, one.source_type, one.comment) for one in result.columns]
    if result.profiled_rows is None:
        screen.table(header, rows)
        return
    profiles = [_profile(column) for column in result.columns]
    found = [(*row, *profile) for row, profile in zip(rows, profiles, strict=True)]
    screen.table((*header, "nulls", "distinct", "minimum", "maximum"), found)
    screen.talk(f"Nulls, distinct values and range are of {counted(result.profiled_rows, 'row')}.")


def _profile(column: ColumnView) -> tuple[Cell, ...]:
    if column.profile is None:
        return ("", "", "", "")
    seen = column.profile
    return (thousands(seen.nulls), thousands(seen.distinct), seen.minimum, seen.maximum)


def _show_history(screen: Screen, result: TableDescription) -> None:
    screen.table(
        ("version", "when", "operation", "added", "removed"),
        (
            (one.version, moment(one.timestamp), one.operation, thousands(one.rows_added), thousands(one.rows_removed))
            for one in result.history
        ),
    )


def show_answer(screen: Screen, result: QueryResult) -> None:
    """Show the rows of an answer; how long it took and what is left out is talk."""
    screen.table([column.name for column in result.columns], result.rows)
    screen.talk(f"{counted(result.row_count, 'row')} in {result.execution_time:.2f} s")
    if result.truncated:
        screen.talk(
            "There are more rows: aggregate, filter, raise --limit, or write all of them with --output.", "yellow"
        )


def show_export(screen: Screen, file: ExportedFile) -> None:
    """Show where a result was written."""
    screen.line(file.path or "")
    screen.talk(f"{counted(file.rows, 'row')}, {size(file.size_bytes)}")
    if file.truncated:
        screen.talk("There are more rows than a file may hold: filter in SQL.", "yellow")


def _more(screen: Screen, shown: int, total: int, next_cursor: str | None) -> None:
    if next_cursor:
        screen.talk(f"{shown:,} of {counted(total, 'table')}; the next ones with --cursor {next_cursor}")
