"""Commands that help to understand a table: `analyze`, and `suggest` what would clean it."""

from __future__ import annotations

from typing import Annotated

import typer

from servicetsunami.cli.options import AsJson
from servicetsunami.cli.session import emit, perform

Table = Annotated[str, typer.Argument(help="Name of a table, such as bronze.customers.")]


def analyze(context: typer.Context, table: Table, as_json: AsJson = False) -> None:
    """Show what a table holds: ranges, frequent values, faults, keys, joins."""
    from servicetsunami.assistant.analyzing import analyze_schema
    from servicetsunami.cli.show.assistant import show_analysis

    emit(perform(context, lambda app, who: analyze_schema(app, who, table)), show_analysis, as_json=as_json)


def suggest(context: typer.Context, table: Table, as_json: AsJson = False) -> None:
    """Propose what would clean a table; the steps are for `transform --steps`."""
    from servicetsunami.assistant.advising import suggest_transformations
    from servicetsunami.cli.show.assistant import show_advice

    emit(perform(context, lambda app, who: suggest_transformations(app, who, table)), show_advice, as_json=as_json)
