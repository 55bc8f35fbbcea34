"""The commands of `tsunami`, in the order in which somebody new needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from servicetsunami.cli.commands import (
    assistant,
    authoring,
    clients,
    connectors,
    installation,
    lakehouse,
    refining,
    runs,
    schedules,
    serving,
    sources,
)
from servicetsunami.cli.group import Commands
from servicetsunami.cli.options import Spoken, pairs

tsunami = typer.Typer(
    cls=Commands,
    name="tsunami",
    rich_markup_mode=None,  # rich's help costs half as much again as the whole of --help
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from servicetsunami import __version__

        typer.echo(f"tsunami {__version__}")
        raise typer.Exit


@tsunami.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="Folder of our own files, instead of TSUNAMI_HOME.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Tenant to work for, instead of TSUNAMI_TENANT.")] = None,
    sink: Annotated[str | None, typer.Option(help="Sink to store rows in, instead of TSUNAMI_SINK.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Any other setting; may be repeated.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the program an error came from.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Connect a source, bring its tables into a lakehouse and ask questions; or serve Claude over MCP.

    Settings come from the options here, then TSUNAMI_* in the environment, tsunami.toml in the project, the user's
    own file, and defaults: `tsunami config show --origin` tells which.
    """
    spoken = context.ensure_object(Spoken)
    spoken.debug = debug
    named = {"home": home, "tenant": tenant, "sink": sink}
    spoken.settings = {name: str(value) for name, value in named.items() if value is not None}
    spoken.settings |= serving.open_settings(pairs("--setting", setting))
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _group(about: str) -> typer.Typer:
    return typer.Typer(cls=Commands, rich_markup_mode=None, help=about)


def _add_groups() -> None:
    connections = _group("List the connections, or delete one.")
    connections.callback(invoke_without_command=True)(sources.connections)
    connections.command("delete")(sources.delete)
    tsunami.add_typer(connections, name="connections")
    history = _group("List the latest runs, show one or cancel one.")
    history.callback(invoke_without_command=True)(runs.listed)
    history.command("show")(runs.show)
    history.command("cancel")(runs.cancel)
    tsunami.add_typer(history, name="runs")

    again = _group("List the schedules, add or remove one, or run them.")
    again.callback(invoke_without_command=True)(schedules.schedules)
    again.command("add")(schedules.add)
    again.command("list")(schedules.listed)
    again.command("remove")(schedules.remove)
    again.command("pause")(schedules.pause)
    again.command("resume")(schedules.resume)
    again.command("run")(schedules.run)
    tsunami.add_typer(again, name="schedule")


def _add_administration() -> None:
    tsunami.command()(installation.plugins)
    tsunami.command()(installation.doctor)
    kept = _group("List the connectors that are kept, add or remove one, or install what is missing.")
    kept.callback(invoke_without_command=True)(connectors.connectors)
    kept.command("list")(connectors.listed)
    kept.command("add")(connectors.add)
    kept.command("remove")(connectors.remove)
    kept.command("sync")(connectors.sync)
    tsunami.add_typer(kept, name="connectors")
    tsunami.command()(authoring.certify)
    tsunami.command("new-connector")(authoring.new_connector)
    config = _group("Show the settings in force.")
    config.callback()(installation.config)
    config.command("show")(installation.config_show)
    tsunami.add_typer(config, name="config")
    tenants = _group("List the tenants, or create one.")
    tenants.callback(invoke_without_command=True)(installation.tenants)
    tenants.command("list")(installation.tenants_list)
    tenants.command("create")(installation.tenants_create)
    tsunami.add_typer(tenants, name="tenants")
    keys = _group("Look after the keys that seal stored secrets.")
    keys.callback()(installation.keys)
    keys.command("rotate")(installation.keys_rotate)
    tsunami.add_typer(keys, name="keys")


tsunami.command()(serving.demo)
tsunami.command()(serving.serve)
tsunami.command()(serving.lookalike)
tsunami.command()(clients.install)
tsunami.command()(clients.uninstall)
tsunami.command()(sources.connect)
tsunami.command("test")(sources.try_out)
tsunami.command()(runs.sync)
tsunami.command()(runs.upload)
tsunami.command()(lakehouse.tables)
tsunami.command()(lakehouse.describe)
tsunami.command()(lakehouse.query)
tsunami.command()(assistant.analyze)
tsunami.command()(assistant.suggest)
tsunami.command()(refining.transform)
tsunami.command()(refining.view)
tsunami.command()(refining.lineage)
_add_groups()
_add_administration()
