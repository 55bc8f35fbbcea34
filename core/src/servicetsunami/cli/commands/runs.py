"""Commands that move rows and watch them move: sync, runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from servicetsunami.cli.exits import Exit, code_of_runs
from servicetsunami.cli.options import AsJson, Connection, RunId
from servicetsunami.cli.screen import Screen
from servicetsunami.cli.session import emit, perform

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.operations.models import RunList
    from servicetsunami.operations.uploads import Upload
    from servicetsunami.operations.uploads.models import UploadResult

_PART_BYTES = 1 << 20


def sync(
    context: typer.Context,
    connection: Connection,
    tables: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TABLE...]", help="Tables at the source; those that landed if left out."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every table of the source.")] = False,
    mode: Annotated[
        str | None,
        typer.Option(help="incremental, full or changes; as before, or incremental where it is possible, if left out."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring tables into the lakehouse, or up to date."""
    from servicetsunami.cli.show.runs import show_runs_ended

    named = tables or []
    _refuse_both(named, every)
    one = named[0] if len(named) == 1 else None
    result, asked = perform(
        context,
        lambda app, caller: (
            _sync_one(app, caller, connection, one, mode)
            if one
            else _sync_many(app, caller, connection, named, every, mode)
        ),
    )
    emit(result, show_runs_ended, as_json=as_json)
    _end(code_of_runs(result.runs, asked=asked))


async def _sync_one(app: App, caller: Caller, connection: str, table: str, mode: str | None) -> tuple[RunList, int]:
    from servicetsunami.cli.progress import watching
    from servicetsunami.operations.models import RunList
    from servicetsunami.operations.sync import sync_to_bronze

    with watching(table) as watch:
        run = await sync_to_bronze(app, caller, connection, table, sync_mode=mode, on_progress=watch)
    return RunList(runs=(run,)), 1


async def _sync_many(
    app: App, caller: Caller, connection: str, tables: list[str], every: bool, mode: str | None
) -> tuple[RunList, int]:
    """Sync several tables, all of them where none is named; return their runs, and how many there should be."""
    from servicetsunami.cli.progress import watching
    from servicetsunami.operations.models import RunList
    from servicetsunami.operations.sync_many import sync_connection

    with watching(connection) as watch:
        result = await sync_connection(
            app, caller, connection, tables, all_tables=every, sync_mode=mode, on_progress=watch
        )
    for table in result.tables:
        if table.run is None and table.problem is not None:
            Screen().problem(table.problem)
    return RunList(runs=tuple(table.run for table in result.tables if table.run)), len(result.tables)


def _refuse_both(tables: list[str], every: bool) -> None:
    if tables and every:
        from servicetsunami.sdk import ConfigError

        raise ConfigError(
            "--all takes every table, so none can be named beside it",
            code="usage",
            field="--all",
            fix="leave out --all or the tables",
        )


def listed(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most runs to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the latest runs, show one or cancel one."""
    if context.invoked_subcommand is not None:
        return
    from servicetsunami.cli.show.runs import show_runs
    from servicetsunami.operations.sync import list_runs

    emit(perform(context, lambda app, who: list_runs(app, who, limit=limit)), show_runs, as_json=as_json)


def show(
    context: typer.Context,
    run: RunId,
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Wait so long for the run to end.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show how far a run is, or how it ended."""
    from servicetsunami.cli.show.runs import show_run
    from servicetsunami.operations.sync import get_run

    emit(perform(context, lambda app, who: get_run(app, who, run, wait_seconds=wait)), show_run, as_json=as_json)


def cancel(context: typer.Context, run: RunId, as_json: AsJson = False) -> None:
    """Stop a run; nothing of it becomes visible."""
    from servicetsunami.cli.show.runs import show_run
    from servicetsunami.operations.sync import cancel_run

    emit(perform(context, lambda app, who: cancel_run(app, who, run)), show_run, as_json=as_json)


def _end(code: Exit) -> None:
    if code is not Exit.OK:
        raise typer.Exit(code)


def upload(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file: CSV, Excel, JSON, Parquet, Arrow.")],
    dataset: Annotated[str, typer.Option("--as", help="Name of the table in bronze.")],
    append: Annotated[
        bool, typer.Option("--append", help="Add to the table's files instead of replacing them.")
    ] = False,
    sheet: Annotated[str | None, typer.Option(help="Which sheet of a workbook, if it has several.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring a file into a bronze table."""
    from servicetsunami.cli.show.runs import show_upload
    from servicetsunami.operations.uploads import Upload

    wish = Upload(file.name, dataset, "append" if append else "replace", sheet, wait_seconds=None)
    result = perform(context, lambda app, caller: _uploaded(app, caller, wish, file))
    emit(result, show_upload, as_json=as_json)
    _end(Exit.OK if result.status == "succeeded" else Exit.FAILED)


async def _uploaded(app: App, caller: Caller, wish: Upload, file: Path) -> UploadResult:
    from servicetsunami.cli.progress import watching
    from servicetsunami.operations.uploads.uploading import upload_parts

    with watching(file.name) as watch:
        return await upload_parts(app, caller, wish, _parts_of(file), on_progress=watch)


async def _parts_of(file: Path) -> AsyncIterator[bytes]:
    from servicetsunami.sdk import NotFound

    try:
        with file.open("rb") as opened:
            while part := opened.read(_PART_BYTES):
                yield part
    except OSError as error:
        raise NotFound(
            f"the file '{file}' cannot be read, so nothing was uploaded",
            code="file_not_read",
            why=error.strerror,
            fix="check its path",
        ) from error
