"""Showing transforms, views and lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.cli.show.words import thousands

if TYPE_CHECKING:
    from servicetsunami.cli.screen import Screen
    from servicetsunami.operations.gold import DroppedView, ViewResult
    from servicetsunami.operations.lineage import Lineage, LineageStep
    from servicetsunami.operations.transforms import TransformResult
    from servicetsunami.operations.transforms.models import RuleCount


def show_transform(screen: Screen, result: TransformResult) -> None:
    """Show what a transform did, or would do."""
    screen.line(f"{result.silver_table}: {_outcome(result)}", "bold")
    if result.problem is not None:
        screen.line(result.problem.message)
        screen.line(result.problem.fix or "")
    if result.rules:
        screen.table(("step", "op", "columns", "changed", "failed", "removed"), map(_rule, result.rules))
    if result.checks:
        screen.table(
            ("check", "action", "rows that fail"),
            ((one.name, one.action, thousands(one.violations)) for one in result.checks),
        )
    if result.quarantine_table:
        screen.line(f"Set aside in {result.quarantine_table}: {thousands(result.quarantined)}.")
    if result.after is not None:
        screen.line()
        screen.table([one.name for one in result.after.columns], result.after.rows)
    for note in result.notes:
        screen.talk(note)


def _outcome(result: TransformResult) -> str:
    if result.status == "previewed":
        return f"would get {thousands(result.rows)} rows, of {thousands(result.rows_read)}; nothing was written"
    if result.mode == "unchanged":
        return "nothing changed since the last run, so nothing was written"
    how = f", {result.mode}" if result.mode else ""
    return f"{result.status}{how}, {thousands(result.rows or 0)} rows written"


def _rule(rule: RuleCount) -> tuple[str, ...]:
    counts = (rule.changed, rule.failed, rule.removed)
    columns = ", ".join(rule.columns) or "-"
    return (str(rule.step), rule.op, columns, *("-" if one is None else thousands(one) for one in counts))


def show_view(screen: Screen, result: ViewResult) -> None:
    """Show a view that was kept."""
    screen.line(f"{result.view}: {result.status}", "bold")
    screen.table(("column", "type"), ((one.name, one.type) for one in result.columns))


def show_dropped(screen: Screen, result: DroppedView) -> None:
    """Say that a view is gone."""
    screen.line(f"{result.view} was removed; the tables it reads stay.")


def show_lineage(screen: Screen, result: Lineage) -> None:
    """Show what a table is made of, step by step."""
    screen.table(("table", "made by", "of"), ((one.table, one.made_by, _origin(one)) for one in result.steps))


def _origin(step: LineageStep) -> str:
    if step.made_by == "sync":
        return f"{step.source_table} of {step.connection or 'a connection that is gone'}"
    return ", ".join(step.made_of) or "-"
