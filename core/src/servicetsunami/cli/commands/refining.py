"""Commands that make silver of bronze and gold of silver, and tell where a table comes from."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from servicetsunami.cli.options import AsJson
from servicetsunami.cli.session import emit, perform

if TYPE_CHECKING:
    from servicetsunami.sdk import Json


def transform(
    context: typer.Context,
    table: Annotated[str, typer.Argument(help="The table to clean, such as bronze.customers.")],
    steps: Annotated[
        Path | None,
        typer.Option("--steps", help="JSON file with `transformations` and `checks`; `-` is standard input."),
    ] = None,
    to: Annotated[str | None, typer.Option(help="Name of the silver table; by default that of the source.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only show what would come out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Clean a bronze table into a silver one.

    What is to be done is declared: docs/how-to/clean-a-table.md lists the steps and checks.
    """
    from servicetsunami.cli.show.refining import show_transform
    from servicetsunami.operations.transforms import Wish, preview_transform, transform_to_silver

    transformations, checks = _declared(steps)
    wish = Wish(table, transformations, checks, to)
    begin = preview_transform if preview else transform_to_silver
    result = perform(context, lambda app, who: begin(app, who, wish))
    emit(result, show_transform, as_json=as_json)
    if result.status not in ("previewed", "succeeded"):
        raise typer.Exit(1)


def view(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the view, such as monthly_signups.")],
    sql: Annotated[str | None, typer.Argument(metavar="SQL", help="One SELECT; `-` reads standard input.")] = None,
    comment: Annotated[str, typer.Option(help="What it tells, for those who find it.")] = "",
    drop: Annotated[bool, typer.Option("--drop", help="Remove the view instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Keep a question as a view of the gold layer."""
    from servicetsunami.cli.show.refining import show_dropped, show_view
    from servicetsunami.operations.gold import create_gold_view, drop_gold_view

    if drop:
        emit(perform(context, lambda app, who: drop_gold_view(app, who, name)), show_dropped, as_json=as_json)
        return
    if sql is None:
        raise typer.BadParameter("a view needs its SELECT", param_hint="SQL")
    text = sys.stdin.read() if sql == "-" else sql
    made = perform(context, lambda app, who: create_gold_view(app, who, name, text, comment=comment))
    emit(made, show_view, as_json=as_json)


def lineage(
    context: typer.Context,
    table: Annotated[str, typer.Argument(help="Name of a table or view, such as gold.monthly_signups.")],
    as_json: AsJson = False,
) -> None:
    """Show where a table's rows come from."""
    from servicetsunami.cli.show.refining import show_lineage
    from servicetsunami.operations.lineage import lineage_of

    emit(perform(context, lambda app, who: lineage_of(app, who, table)), show_lineage, as_json=as_json)


def _declared(steps: Path | None) -> tuple[list[Json], list[Json]]:
    if steps is None:
        return [], []
    try:
        found: Any = json.loads(sys.stdin.read() if str(steps) == "-" else steps.read_text(encoding="utf-8"))
    except OSError as error:
        raise typer.BadParameter(f"{steps}: {error.strerror}", param_hint="--steps") from None
    except ValueError as error:
        raise typer.BadParameter(f"{steps} is no JSON: {error}", param_hint="--steps") from None
    if isinstance(found, list):
        return found, []
    if not isinstance(found, dict) or not found.keys() <= {"transformations", "checks"}:
        wanted = "give a list of steps, or an object with transformations and checks"
        raise typer.BadParameter(wanted, param_hint="--steps")
    return list(found.get("transformations", ())), list(found.get("checks", ()))
