"""How the assistant's answers look in a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from servicetsunami.cli.show.words import thousands

if TYPE_CHECKING:
    from servicetsunami.assistant.models import ColumnEvidence, SchemaAnalysis, TransformAdvice
    from servicetsunami.cli.screen import Screen


def show_analysis(screen: Screen, result: SchemaAnalysis) -> None:
    """Show what a table holds, a line a column."""
    screen.line(result.table, "bold")
    screen.line(f"{thousands(result.rows)} rows, key {', '.join(result.key) or 'none'}, version {result.version}")
    screen.line("")
    screen.table(
        ("column", "type", "nulls", "distinct", "range", "what it seems to hold"),
        (
            (one.name, one.type, thousands(one.nulls), thousands(one.distinct), _range(one), _seems(one))
            for one in result.columns
        ),
    )
    for join in result.joins:
        screen.line(f"{join.column} leads to {join.to_table}.{join.to_column} ({join.why})")
    for note in result.notes:
        screen.talk(note)


def show_advice(screen: Screen, result: TransformAdvice) -> None:
    """Show the steps as they are given to `transform`, and the reason of each."""
    steps = {"transformations": result.transformations, "checks": result.checks}
    screen.line(json.dumps(steps, ensure_ascii=False, indent=2))
    for at, one in enumerate(result.reasons, start=1):
        screen.talk(f"{at}. {one.step['op']}: {one.why}")
    for note in result.notes:
        screen.talk(note)


def _range(column: ColumnEvidence) -> str:
    return "" if column.minimum is None else f"{column.minimum} to {column.maximum}"


def _seems(column: ColumnEvidence) -> str:
    top = ", ".join(f"{one.value} ({one.count})" for one in column.top)
    personal = f"personal: {column.personal}" if column.personal else ""
    return "; ".join(part for part in (*column.looks_like, *column.faults, personal, top) if part)
