"""What is installed and how it is set up: plugins, settings, health, tenants, keys."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import TYPE_CHECKING

from servicetsunami.operations.connector_set import lost_connectors
from servicetsunami.operations.models import (
    CheckList,
    CheckView,
    ConnectorView,
    PluginFailureView,
    PluginList,
    PluginView,
    SettingList,
    SettingView,
    TenantList,
    TenantView,
)
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.threads import in_thread
from servicetsunami.sdk import Provisions, Sink, TsunamiError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.plugins import FoundPlugin, Plugins
    from servicetsunami.runtime import LoadedSettings

_LONGEST_README = 100_000
_LOW_DISK_BYTES = 2 * 1024**3


def list_plugins(plugins: Plugins) -> PluginList:
    """Show the plugins that work, and why the others do not."""
    return PluginList(
        plugins=tuple(map(_plugin_view, plugins.found)),
        failures=tuple(
            PluginFailureView(
                distribution=failure.distribution,
                version=failure.version,
                entry_point=failure.entry_point,
                code=failure.code,
                reason=failure.reason,
                fix=failure.fix,
            )
            for failure in plugins.failures
        ),
    )


def describe_connector(plugins: Plugins, name: str) -> ConnectorView:
    """Describe an installed connector, with the documentation its distribution brings."""
    plugins.connector(name)  # raises for one that is not installed
    found = next(one for one in plugins.found if one.kind == "connector" and one.name == name)
    return ConnectorView(
        plugin=_plugin_view(found),
        config_schema=found.manifest.config_schema,
        secrets=found.manifest.secrets,
        readme=_readme(found.distribution),
    )


def _readme(distribution: str) -> str:
    try:
        text = metadata(distribution).json.get("description")
    except PackageNotFoundError:  # it was uninstalled a moment ago
        return ""
    return text[:_LONGEST_README] if isinstance(text, str) else ""


def _plugin_view(found: FoundPlugin) -> PluginView:
    return PluginView(
        name=found.name,
        title=found.manifest.title,
        kind=found.manifest.kind,
        description=found.manifest.description,
        version=found.version,
        distribution=found.distribution,
        license=found.license or "",
        capabilities=tuple(found.manifest.capabilities),
    )


def show_settings(loaded: LoadedSettings) -> SettingList:
    """Show every setting, where it came from, and no secret."""
    values = loaded.settings.model_dump(mode="json")
    return SettingList(
        settings=tuple(
            SettingView(name=name, value=None if value is None else str(value), origin=loaded.origins[name])
            for name, value in values.items()
        )
    )


async def list_tenants(app: App) -> TenantList:
    """List the tenants of this installation."""
    tenants = await app.records.tenants()
    return TenantList(tenants=tuple(TenantView(tenant_id=tenant.id, title=tenant.title) for tenant in tenants))


@changing("no tenant was made")
async def create_tenant(app: App, tenant_id: str, title: str = "", *, dry_run: bool = False) -> TenantView:
    """Create a tenant, or return it if it exists, and set it up in the warehouse where that takes more than a load.

    With `dry_run` nothing is made; the statements that would be run are shown.
    """
    if dry_run:
        shown = await in_thread(_provisioner(app, tenant_id, make=False))
        return TenantView(tenant_id=tenant_id, title=title, statements=shown)
    tenant = await app.records.create_tenant(tenant_id, title)
    made = await in_thread(_provisioner(app, tenant.id, make=True))
    return TenantView(tenant_id=tenant.id, title=tenant.title, statements=made)


def _provisioner(app: App, tenant: str, *, make: bool) -> Callable[[threading.Event], tuple[str, ...]]:
    """Return the work that sets a tenant up, or only tells how; of a sink that needs nothing there is nothing to do."""

    def work(cancel: threading.Event) -> tuple[str, ...]:
        if not issubclass(app.plugins.sinks.get(app.sink_name, Sink), Provisions):
            return ()
        with closing(app.open_sink(tenant, cancel)) as sink:
            if not isinstance(sink, Provisions):
                return ()
            if make:
                sink.provision()
            return tuple(sink.provisioning())

    return work


async def rotate_keys(app: App) -> int:
    """Seal every stored secret anew under the newest key; returns how many were."""
    return await app.records.rotate_keys()


async def run_checks(app: App, caller: Caller) -> CheckList:
    """Look for what would stop this installation from working."""
    checks = [
        _check_plugins(app),
        _check_kept(app.settings.home),
        _check_home(app.settings.home),
        _check_disk(app.settings.home),
        _check_sink(app, caller),
        CheckView(name="records", status="ok", detail="the system of record is open and up to date"),
    ]
    return CheckList(checks=tuple(checks))


def _check_plugins(app: App) -> CheckView:
    names = ", ".join(found.name for found in app.plugins.found) or "none"
    if app.plugins.failures:
        broken = ", ".join(failure.distribution for failure in app.plugins.failures)
        return CheckView(
            name="plugins",
            status="warning",
            detail=f"found {names}; not working: {broken}",
            fix="`tsunami plugins` says why; reinstall or uninstall what is broken",
        )
    if not app.plugins.connectors:
        return CheckView(
            name="plugins",
            status="failed",
            detail="no connector is installed",
            fix="pip install 'servicetsunami[postgres,lakehouse]'",
        )
    return CheckView(name="plugins", status="ok", detail=f"found {names}")


def _check_kept(home: Path) -> CheckView:
    lost = lost_connectors(home)
    if lost:
        return CheckView(
            name="connectors",
            status="warning",
            detail=f"kept, but not installed: {', '.join(lost)}",
            fix="tsunami connectors sync",
        )
    return CheckView(name="connectors", status="ok", detail="what is kept is installed")


def _check_home(home: Path) -> CheckView:
    others = home.stat().st_mode & 0o077
    if not os.access(home, os.W_OK):
        return CheckView(
            name="home",
            status="failed",
            detail=f"{home} cannot be written",
            fix="set TSUNAMI_HOME to a folder of yours",
        )
    if others:
        return CheckView(
            name="home",
            status="warning",
            detail=f"other users of this machine may look into {home}",
            fix=f"chmod 700 {home}",
        )
    return CheckView(name="home", status="ok", detail=str(home))


def _check_disk(home: Path) -> CheckView:
    free = shutil.disk_usage(home).free
    gibibytes = f"{free / 1024**3:.1f} GiB free"
    if free < _LOW_DISK_BYTES:
        return CheckView(name="disk", status="warning", detail=gibibytes, fix="make room before syncing large tables")
    return CheckView(name="disk", status="ok", detail=gibibytes)


def _check_sink(app: App, caller: Caller) -> CheckView:
    if app.settings.read_only:
        return CheckView(name="sink", status="ok", detail=f"{app.sink_name} is only queried, since read_only is set")
    return _try("sink", f"{app.sink_name} is ready", lambda: _write_to_sink(app, caller))


def _write_to_sink(app: App, caller: Caller) -> None:
    sink = app.open_sink(caller.tenant, threading.Event())
    try:
        sink.check()
    finally:
        sink.close()


def _try(name: str, detail: str, work: Callable[[], None]) -> CheckView:
    try:
        work()
    except TsunamiError as error:
        return CheckView(name=name, status="failed", detail=error.message, fix=error.fix)
    return CheckView(name=name, status="ok", detail=detail)
