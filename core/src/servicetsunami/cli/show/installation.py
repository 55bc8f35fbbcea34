"""Showing what is installed and how it is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.cli.show.words import counted

if TYPE_CHECKING:
    from servicetsunami.cli.screen import Screen
    from servicetsunami.operations.connector_set.models import KeptConnectors
    from servicetsunami.operations.models import (
        CheckList,
        PluginList,
        SettingList,
        TenantList,
        TenantView,
    )

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def show_plugins(screen: Screen, result: PluginList) -> None:
    """Show the plugins that work, and why others do not."""
    if result.plugins:
        screen.table(
            ("name", "kind", "version", "distribution", "license", "capabilities"),
            (
                (one.name, one.kind, one.version, one.distribution, one.license or "-", ", ".join(one.capabilities))
                for one in result.plugins
            ),
        )
    else:
        screen.talk("No plugin is installed: pip install 'servicetsunami[postgres,lakehouse]'")
    for broken in result.failures:
        screen.talk(f"not working: {broken.entry_point} of {broken.distribution} {broken.version}", "bold red")
        screen.talk(f"  {broken.code}: {broken.reason}")
        screen.talk(f"  fix: {broken.fix}", "green")


def show_connectors(screen: Screen, result: KeptConnectors) -> None:
    """Show the connectors that are kept or installed, and what to do about those that are missing or broken."""
    screen.table(
        ("distribution", "version", "connectors", "status", "kept as"),
        (
            (one.distribution, one.version or "-", ", ".join(one.connectors), one.status, one.requirement or "-")
            for one in result.connectors
        ),
    )
    for one in result.connectors:
        if one.reason:
            screen.talk(f"not working: {one.distribution}: {one.reason}", "bold red")
    if any(one.status == "missing" for one in result.connectors):
        screen.talk("Some are kept, but not installed: tsunami connectors sync", "bold yellow")


def show_checks(screen: Screen, result: CheckList) -> None:
    """Show what the doctor found, a line a check."""
    for check in result.checks:
        screen.line(f"{check.status:<8}{check.name}: {check.detail}", _STYLES[check.status])
        if check.fix and check.status != "ok":
            screen.line(f"        fix: {check.fix}")
    unwell = sum(check.status != "ok" for check in result.checks)
    screen.talk(
        "All is well." if not unwell else f"{counted(unwell, 'check')} of {len(result.checks)} found something."
    )


def show_settings_list(screen: Screen, result: SettingList, *, origin: bool) -> None:
    """Show the settings, and where each comes from if asked."""
    if origin:
        screen.table(("setting", "value", "origin"), ((one.name, one.value, one.origin) for one in result.settings))
        return
    screen.table(("setting", "value"), ((one.name, one.value) for one in result.settings))


def show_tenants(screen: Screen, result: TenantList) -> None:
    """Show the tenants."""
    screen.table(("tenant_id", "title"), ((one.tenant_id, one.title) for one in result.tenants))


def show_tenant(screen: Screen, result: TenantView, *, dry_run: bool) -> None:
    """Show one tenant; of a dry run, the statements that would set it up."""
    if dry_run:
        for statement in result.statements:
            screen.line(f"{statement};")
        told = "Nothing was made." if result.statements else "Nothing was made; the sink needs nothing to be set up."
        screen.talk(told)
        return
    screen.line(result.tenant_id)
    screen.talk(f"Its tables live in the catalog tenant_{result.tenant_id}.")
