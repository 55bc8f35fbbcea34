"""Showing tables and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.cli.show.words import counted, moment, size, thousands

if TYPE_CHECKING:
    from servicetsunami.cli.screen import Screen
    from servicetsunami.operations.models import ExportedFile, QueryResult, SourceTables, TableDescription, TableList


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


def show_description(screen: Screen, result: TableDescription) -> None:
    """Show all about one table."""
    table = result.table
    screen.line(table.table, "bold")
    facts = [
        f"{table.rows:,} rows" if table.rows is not None else "",
        size(table.size_bytes) if table.size_bytes is not None else "",
        f"key {', '.join(result.key)}" if result.key else "no key",
        f"version {result.version}",
        table.comment,
    ]
    screen.line(", ".join(fact for fact in facts if fact))
    screen.line()
    screen.table(
        ("column", "type", "nullable", "at the source", "comment"),
        ((one.name, one.type, one.nullable, one.source_type, one.comment) for one in result.columns),
    )
    if result.history:
        screen.line()
        screen.table(
            ("version", "when", "operation", "added", "removed"),
            (
                (
                    one.version,
                    moment(one.timestamp),
                    one.operation,
                    thousands(one.rows_added),
                    thousands(one.rows_removed),
                )
                for one in result.history
            ),
        )


def show_answer(screen: Screen, result: QueryResult) -> None:
    """Show the rows of an answer; how long it took and what is left out is talk."""
    screen.table([column.name for column in result.columns], result.rows)
    screen.talk(f"{counted(result.row_count, 'row')} in {result.execution_time:.2f} s")
    if result.truncated:
        screen.talk("There are more rows: aggregate, filter, or raise --limit.", "yellow")


def show_export(screen: Screen, file: ExportedFile) -> None:
    """Show where a result was written."""
    screen.line(file.path or "")
    screen.talk(f"{counted(file.rows, 'row')}, {size(file.size_bytes)}")
    if file.truncated:
        screen.talk("There are more rows than a file may hold: filter in SQL.", "yellow")


def _more(screen: Screen, shown: int, total: int, next_cursor: str | None) -> None:
    if next_cursor:
        screen.talk(f"{shown:,} of {counted(total, 'table')}; the next ones with --cursor {next_cursor}")
