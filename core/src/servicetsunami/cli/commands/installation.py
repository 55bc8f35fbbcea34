"""Commands about the installation: plugins, doctor, settings, tenants, keys."""

from __future__ import annotations

from typing import Annotated

import typer

from servicetsunami.cli.exits import Exit
from servicetsunami.cli.options import AsJson
from servicetsunami.cli.screen import Screen
from servicetsunami.cli.session import emit, perform, settings_of


def plugins(context: typer.Context, as_json: AsJson = False) -> None:
    """List connectors and sinks, working or not."""
    from servicetsunami.cli.show.installation import show_plugins
    from servicetsunami.operations.installation import list_plugins
    from servicetsunami.plugins import discover

    found = discover(allow=settings_of(context).settings.plugins_allow)
    emit(list_plugins(found), show_plugins, as_json=as_json)


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Look for faults, and say what to do."""
    from servicetsunami.cli.show.installation import show_checks
    from servicetsunami.operations.installation import run_checks

    result = emit(perform(context, run_checks), show_checks, as_json=as_json)
    if any(check.status == "failed" for check in result.checks):
        raise typer.Exit(Exit.FAILED)


def config() -> None:
    """Show the settings in force."""


def config_show(
    context: typer.Context,
    origin: Annotated[bool, typer.Option("--origin", help="Show where each value comes from.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every setting, secrets masked."""
    from servicetsunami.cli.show.installation import show_settings_list
    from servicetsunami.operations.installation import show_settings

    emit(
        show_settings(settings_of(context)),
        lambda screen, result: show_settings_list(screen, result, origin=origin),
        as_json=as_json,
    )


def tenants(context: typer.Context, as_json: AsJson = False) -> None:
    """List the tenants of this installation, or create one."""
    if context.invoked_subcommand is None:
        tenants_list(context, as_json)


def tenants_list(context: typer.Context, as_json: AsJson = False) -> None:
    """List the tenants."""
    from servicetsunami.cli.show.installation import show_tenants
    from servicetsunami.operations.installation import list_tenants

    emit(perform(context, lambda app, _caller: list_tenants(app)), show_tenants, as_json=as_json)


def tenants_create(
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(help="Its id: lower-case letters, digits and _.")],
    title: Annotated[str, typer.Option(help="What people call it.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make nothing; show the statements that would be run.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create a tenant, or show it if it exists."""
    from servicetsunami.cli.show.installation import show_tenant
    from servicetsunami.operations.installation import create_tenant

    made = perform(context, lambda app, _caller: create_tenant(app, tenant, title, dry_run=dry_run))
    emit(made, lambda screen, result: show_tenant(screen, result, dry_run=dry_run), as_json=as_json)


def keys() -> None:
    """Look after the keys that seal stored secrets."""


def keys_rotate(context: typer.Context) -> None:
    """Seal every stored secret anew under a new key."""
    from servicetsunami.cli.show.words import counted
    from servicetsunami.operations.installation import rotate_keys

    sealed = perform(context, lambda app, _caller: rotate_keys(app))
    Screen().talk(f"Sealed {counted(sealed, 'stored secret')} anew.")
