"""Commands that read: tables, describe, query; in the lakehouse, or with --at in a source."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from servicetsunami.cli.options import AsJson
from servicetsunami.cli.session import emit, perform

if TYPE_CHECKING:
    from servicetsunami.operations.models import QueryResult

At = Annotated[
    str | None, typer.Option("--at", metavar="CONNECTION", help="Look into this source instead of the lakehouse.")
]


def tables(
    context: typer.Context,
    at: At = None,
    layer: Annotated[str | None, typer.Option(help="Only this layer: bronze, silver or gold.")] = None,
    search: Annotated[str | None, typer.Option(help="With --at: only tables whose name holds this.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most tables to list.")] = 100,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the answer before.")] = None,
    as_json: AsJson = False,
) -> None:
    """List tables; with --at those of a source."""
    from servicetsunami.cli.show.lakehouse import show_source_tables, show_tables
    from servicetsunami.operations.sources import list_source_tables
    from servicetsunami.operations.tables import list_tables

    if at is None:
        listed = perform(context, lambda app, who: list_tables(app, who, layer=layer, cursor=cursor, limit=limit))
        emit(listed, show_tables, as_json=as_json)
        return
    there = perform(
        context, lambda app, who: list_source_tables(app, who, at, search=search, cursor=cursor, limit=limit)
    )
    emit(there, show_source_tables, as_json=as_json)


def describe(
    context: typer.Context,
    table: Annotated[str, typer.Argument(help="Name of a table, such as bronze.customers.")],
    preview: Annotated[bool, typer.Option("--preview", help="Also rows, and what the columns hold.")] = False,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the answer before.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a table: columns, types, key, history."""
    from servicetsunami.cli.show.lakehouse import show_description
    from servicetsunami.operations.tables import describe_table

    found = perform(context, lambda app, who: describe_table(app, who, table, preview=preview, cursor=cursor))
    emit(found, show_description, as_json=as_json)


def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; `-` reads it from standard input.")],
    at: At = None,
    limit: Annotated[int | None, typer.Option(help="Most rows to return; 200 if left out, 1,000 at most.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the whole result to this new file: .csv, .parquet, .jsonl, .arrow."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer a question in SQL.

    It is Databricks SQL over the lakehouse; with --at it is the source's own SQL, answered there.
    """
    from servicetsunami.cli.show.lakehouse import show_answer
    from servicetsunami.operations.sources import query_source
    from servicetsunami.operations.tables import query_sql

    text = sys.stdin.read() if sql == "-" else sql
    if output is not None:
        _export(context, text, output, at, as_json=as_json)
        return
    if at is None:
        answer: QueryResult = perform(context, lambda app, who: query_sql(app, who, text, limit=limit, keep=False))
    else:
        answer = perform(context, lambda app, who: query_source(app, who, at, text, limit=limit))
    emit(answer, show_answer, as_json=as_json)


def _export(context: typer.Context, sql: str, output: Path, at: str | None, *, as_json: bool) -> None:
    from servicetsunami.cli.show.lakehouse import show_export
    from servicetsunami.operations.answers.saving import export_query

    if at is not None:
        raise typer.BadParameter("only results of the lakehouse are written to files, so not together with --at")
    emit(perform(context, lambda app, who: export_query(app, who, sql, output)), show_export, as_json=as_json)
