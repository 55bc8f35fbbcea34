"""Commands for those who write connectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from servicetsunami.cli.exits import Exit
from servicetsunami.cli.options import AsJson
from servicetsunami.cli.session import emit, settings_of


def certify(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="An installed connector.")],
    tests: Annotated[
        Path | None, typer.Option(help="Folder of its tests, which are run too; nothing is certified without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a connector's report card: the points of the connector standard, and what its tests say."""
    from servicetsunami.cli.show.authoring import show_certificate
    from servicetsunami.operations.certifying import certify as look_at
    from servicetsunami.plugins import discover

    plugins = discover(allow=settings_of(context).settings.plugins_allow)
    result = emit(look_at(plugins, name, tests), show_certificate, as_json=as_json)
    is_well = all(point.status == "passed" for point in result.points)
    if not is_well or (tests is not None and not result.certified):
        raise typer.Exit(Exit.FAILED)


def new_connector(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the connector: lower-case letters, digits and _.")],
    title: Annotated[str | None, typer.Option(help="What people call the source; by default made of the name.")] = None,
    into: Annotated[Path, typer.Option(help="Folder to make the distribution in.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make a distribution with a connector that works, and tests that pass."""
    from servicetsunami.cli.authoring import make_connector
    from servicetsunami.cli.show.authoring import show_made
    from servicetsunami.plugins import discover

    plugins = discover(allow=settings_of(context).settings.plugins_allow)
    emit(make_connector(plugins, name, title, into), show_made, as_json=as_json)
