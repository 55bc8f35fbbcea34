"""Commands about the connectors that an installation keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from servicetsunami.cli.exits import Exit
from servicetsunami.cli.options import AsJson
from servicetsunami.cli.session import emit, settings_of

if TYPE_CHECKING:
    from servicetsunami.operations.connector_set.models import KeptConnectors


def connectors(context: typer.Context) -> None:
    """List the connectors that are kept and those that are installed."""
    if context.invoked_subcommand is None:
        _list(context, as_json=False)


def listed(context: typer.Context, as_json: AsJson = False) -> None:
    """List the connectors that are kept and those that are installed."""
    _list(context, as_json=as_json)


def add(
    context: typer.Context,
    wanted: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="One of ours such as `sheets`, a package, a folder, a wheel.")
    ],
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Install the newest version of what is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Install connectors, and keep them for the next environment."""
    from servicetsunami.operations.connector_set import add_connectors
    from servicetsunami.operations.connector_set.installer import EnvironmentInstaller

    home = settings_of(context).settings.home
    _shown(add_connectors(home, wanted, EnvironmentInstaller(), upgrade=upgrade), as_json=as_json)


def remove(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A connector or its package.")],
    as_json: AsJson = False,
) -> None:
    """Uninstall a connector and keep it no more; its connections and tables stay."""
    from servicetsunami.operations.connector_set import remove_connector
    from servicetsunami.operations.connector_set.installer import EnvironmentInstaller

    _shown(remove_connector(settings_of(context).settings.home, name, EnvironmentInstaller()), as_json=as_json)


def sync(context: typer.Context, as_json: AsJson = False) -> None:
    """Install the connectors that are kept and missing, as after an upgrade."""
    from servicetsunami.operations.connector_set import sync_connectors
    from servicetsunami.operations.connector_set.installer import EnvironmentInstaller

    _shown(sync_connectors(settings_of(context).settings.home, EnvironmentInstaller()), as_json=as_json)


def _list(context: typer.Context, *, as_json: bool) -> None:
    from servicetsunami.operations.connector_set import list_connectors
    from servicetsunami.plugins import discover

    settings = settings_of(context).settings
    _shown(list_connectors(settings.home, discover(allow=settings.plugins_allow)), as_json=as_json)


def _shown(result: KeptConnectors, *, as_json: bool) -> None:
    from servicetsunami.cli.show.installation import show_connectors

    emit(result, show_connectors, as_json=as_json)
    if any(one.requirement is not None and one.status != "installed" for one in result.connectors):
        raise typer.Exit(Exit.FAILED)
