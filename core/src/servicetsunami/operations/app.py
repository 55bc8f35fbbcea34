"""What a process holds while it serves: settings, plugins, records, and the runs it executes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from servicetsunami.operations.access_tokens import AccessTokens
from servicetsunami.operations.answers.shelf import sweep
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.events import Event, Events
from servicetsunami.operations.joint_runs import JointRuns
from servicetsunami.operations.problems import config_error
from servicetsunami.operations.read_only import refuse_if_read_only
from servicetsunami.operations.runs import RunKeeper
from servicetsunami.operations.uploads.folder import uploads_root
from servicetsunami.operations.workers import Workers
from servicetsunami.plugins import Plugins, discover, rediscover
from servicetsunami.records import Connection, Records, open_records, open_vault
from servicetsunami.runtime import (
    AddressPolicy,
    HostContext,
    LoadedSettings,
    Presence,
    Redactor,
    Settings,
    active_sink,
    live_secrets,
    refuse_unserved,
    roots_for,
    sink_settings,
)
from servicetsunami.sdk import Config, ConfigError, Sink, Source, Warehouse, secret_fields

if TYPE_CHECKING:
    from servicetsunami.sdk.http import HttpClient
    from servicetsunami.sync.workers import WorkerWarehouse


class App:
    """Everything an operation needs; opened once per process by `open_app`."""

    def __init__(self, loaded: LoadedSettings, plugins: Plugins, records: Records, presence: Presence) -> None:
        self.loaded = loaded
        self.settings: Settings = loaded.settings
        self.plugins = plugins
        self.records = records
        self.presence = presence
        self.redactor = Redactor((*live_secrets(self.settings), *self._sink_secrets()))
        self.workers = Workers(self.settings, self.redactor)
        self.events = Events()
        self.access_tokens = AccessTokens(self)
        self.runs = RunKeeper(self)
        self.joint_runs = JointRuns(self)

    @property
    def sink_name(self) -> str:
        """The sink in force."""
        return active_sink(self.settings, self.plugins.sinks)

    @property
    def warehouse_class(self) -> type[Sink[Any]] | None:
        """The class of the active sink if it can be asked, None if it is missing or cannot."""
        cls = self.plugins.sinks.get(self.sink_name)
        return cls if cls is not None and issubclass(cls, Warehouse) else None

    def open_source(self, connection: Connection, secrets: Mapping[str, str], cancel: threading.Event) -> Source[Any]:
        """Make a source instance of a connection, in a worker process; the caller closes it."""
        from servicetsunami.sync.workers import Spec

        cls = self.plugins.connector(connection.connector)
        config = {**connection.settings, **secrets}
        parsed = _parsed(cls, config)
        folder = self._folder(connection.tenant, cls.name)
        known = tuple(secrets.values())
        roots, tokens = self._roots(connection.tenant), self.access_tokens.of(connection)
        spec = Spec(cls, config, connection.tenant, connection.id, folder, self._policy, known, roots, tokens)
        return self.workers.open(spec, parsed, cancel)

    def new_source(
        self,
        cls: type[Source[Any]],
        config: Mapping[str, Any],
        tenant: str,
        cancel: threading.Event,
    ) -> Source[Any]:
        """Make a source instance from raw settings; raises `ConfigError` that names the field, never its value."""
        return cls(_parsed(cls, config), self._context(tenant, cls.name, cancel))

    def open_sink(self, tenant: str, cancel: threading.Event) -> Sink[Any]:
        """Make an instance of the active sink for a tenant; the caller closes it. Not in read-only mode."""
        refuse_if_read_only(self, "nothing is stored")
        return self._sink(tenant, cancel)

    def _sink(self, tenant: str, cancel: threading.Event) -> Sink[Any]:
        cls = self.plugins.sink(self.sink_name)
        return cls(_parsed(cls, self._sink_config(cls)), self._context(tenant, cls.name, cancel))

    def _sink_config(self, cls: type[Sink[Any]]) -> dict[str, str]:
        return sink_settings(self.settings, cls.name, cls.config_type.model_fields)

    def _sink_secrets(self) -> list[str]:
        cls = self.plugins.sinks.get(self.sink_name)
        if cls is None:
            return []
        given = self._sink_config(cls)
        return [given[name] for name in secret_fields(cls.config_type) if name in given]

    def open_warehouse(self, tenant: str, cancel: threading.Event) -> tuple[Sink[Any], Warehouse]:
        """Make an instance of the active sink to be queried, as sink and as warehouse; the caller closes it."""
        sink = self._sink(tenant, cancel)
        if not isinstance(sink, Warehouse):
            raise ConfigError(
                f"the sink '{self.sink_name}' stores rows but cannot be queried",
                code="sink_not_queryable",
                fix="choose a sink that is a warehouse, such as lakehouse, with the setting `sink`",
            )
        return sink, sink

    def ask_in_worker(self, tenant: str, cancel: threading.Event) -> WorkerWarehouse:
        """Open the active sink in a worker process, to be queried there; the caller closes it."""
        from servicetsunami.sync.workers import Spec

        cls = self.plugins.sink(self.sink_name)
        config, known = self._sink_config(cls), tuple(self._sink_secrets())
        folder = self._folder(tenant, cls.name)
        return self.workers.ask(Spec(cls, config, tenant, "", folder, self._policy, known), cancel)

    def http_of(self, tenant: str, base_url: str) -> HttpClient:
        """Return a client for requests of the host itself, on behalf of a tenant; the caller closes it."""
        return self._context(tenant, "host", threading.Event()).http(base_url)

    def _context(self, tenant: str, plugin: str, cancel: threading.Event) -> HostContext:
        given = (self._folder(tenant, plugin), self._policy, cancel, self.redactor)
        return HostContext(tenant, plugin, *given, file_roots=self._roots(tenant))

    def _roots(self, tenant: str) -> tuple[Path, ...]:
        listed = roots_for(tenant, self.settings.file_roots, exposed=self.settings.mcp_transport != "stdio")
        return (*listed, uploads_root(self.settings.home, tenant))

    def _folder(self, tenant: str, plugin: str) -> Path:
        return self.settings.home / "data" / tenant / plugin

    @property
    def _policy(self) -> AddressPolicy:
        return AddressPolicy(self.settings.allow_private_addresses, self.settings.allowed_networks)

    async def refresh_plugins(self) -> None:
        """Find the plugins anew and tell of it if they are others than before; no connection is lost by it."""
        found = await asyncio.to_thread(rediscover, self.plugins, allow=self.settings.plugins_allow)
        if found != self.plugins:
            self.plugins = found
            await asyncio.to_thread(self.workers.renew)
            self.events.tell(Event("plugins", listed=True))

    async def close(self) -> None:
        """Park the runs and release the records."""
        await self.joint_runs.close()
        await self.runs.close()
        await asyncio.to_thread(self.workers.close)
        await self.records.close()


def _parsed(cls: type[Source[Any] | Sink[Any]], config: Mapping[str, Any]) -> Config:
    try:
        return cls.config_type.model_validate(dict(config))
    except ValidationError as error:
        raise config_error(error, cls) from None


def _ready(home: Path) -> Path:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"the folder {home} cannot be made, so nothing can be kept",
            code="home_unavailable",
            why=error.strerror,
            field="home",
            fix="set TSUNAMI_HOME to a folder that you may write",
        ) from error
    return home


@asynccontextmanager
async def open_app(loaded: LoadedSettings) -> AsyncIterator[App]:
    """Open everything a front needs, and close it at the end."""
    settings = loaded.settings
    plugins = discover(allow=settings.plugins_allow)
    refuse_unserved(settings, plugins.sinks.keys())
    home = _ready(settings.home)
    master_key = settings.master_key.get_secret_value() if settings.master_key else None
    vault = open_vault(home, master_key=master_key, use_keyring=settings.use_keyring)
    with closing(Presence(home)) as presence:
        records = await open_records(settings.records_url or f"sqlite:///{home / 'records.db'}", vault)
        app = App(loaded, plugins, records, presence)
        try:
            await records.create_tenant(settings.tenant)
            await asyncio.to_thread(sweep, home)
            yield app
        finally:
            await app.close()


def local_caller(app: App) -> Caller:
    """Return the caller of stdio and the command line: the person whose machine this is."""
    return Caller(app.settings.tenant, local=True)
