"""Showing connections and their tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.cli.show.words import counted, moment

if TYPE_CHECKING:
    from servicetsunami.cli.screen import Screen
    from servicetsunami.operations.models import Connected, ConnectionList, DeleteResult, TestResult


def show_connected(screen: Screen, result: Connected) -> None:
    """Show a connection that was stored, and what to do next."""
    screen.line(result.connection_id)
    if result.problem is not None:
        screen.problem(result.problem)
        screen.talk(f"The connection '{result.name}' is stored all the same: connect again with the setting corrected.")
        return
    screen.talk(f"Connected '{result.name}' to {result.connector}; it can read {counted(result.tables or 0, 'table')}.")
    if result.notice:
        screen.talk(result.notice)
    screen.talk(f"Next: tsunami tables --at {result.name}")


def show_tested(screen: Screen, result: TestResult) -> None:
    """Show the outcome of a test."""
    screen.line(result.status, "red" if result.problem else "green")
    if result.problem is not None:
        screen.problem(result.problem)
    elif result.tables is not None:
        screen.talk(f"It can read {counted(result.tables, 'table')}; tested in {result.elapsed_seconds:.2f} s.")


def show_connections(screen: Screen, result: ConnectionList) -> None:
    """Show connections as a table."""
    if not result.connections:
        screen.talk("There are no connections yet: make one with `tsunami connect`.")
        return
    screen.table(
        ("name", "connection_id", "connector", "status", "tested"),
        (
            (
                one.name,
                one.connection_id,
                one.connector if one.available else f"{one.connector} (not installed)",
                one.status,
                moment(one.tested_at),
            )
            for one in result.connections
        ),
    )


def show_deleted(screen: Screen, result: DeleteResult) -> None:
    """Show what was deleted and what stays."""
    screen.line(result.connection_id)
    kept = f" Its tables stay: {', '.join(result.kept_tables)}." if result.kept_tables else ""
    schedules = f" Its schedules went too: {', '.join(result.schedules)}." if result.schedules else ""
    screen.talk(f"Deleted the connection '{result.name}' and its secrets.{kept}{schedules}")
    for note in result.notes:
        screen.talk(note)
