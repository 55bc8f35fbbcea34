"""An installation whose one connector, `locked`, opens with one password."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator

from servicetsunami.operations.app import App
from servicetsunami.plugins import FoundPlugin, Plugins
from servicetsunami.records import Connection, open_records, open_vault
from servicetsunami.runtime import AddressPolicy, HostContext, Presence, load_settings
from servicetsunami.sdk import AuthError, Config, Item, Read, Source, Stream, manifest

PASSWORD = 'canary "päss" /#%+& 7f3a'


class LockedConfig(Config):
    """A door and its keys."""

    host: str = Field(description="Where the door is.")
    user: str = Field("reader", description="Who knocks.")
    password: SecretStr = Field(description="Password of the user.")
    key: SecretStr | None = Field(None, description="PEM text of a key.")

    @field_validator("password")
    @classmethod
    def _not_refused(cls, password: SecretStr) -> SecretStr:
        if password.get_secret_value().startswith("refused"):
            raise ValueError("passwords do not begin like that")
        return password


class Locked(Source[LockedConfig]):
    """Let in whoever knows the password."""

    name = "locked"
    title = "Locked door"

    def check(self) -> None:
        if self.config.password.get_secret_value() != PASSWORD:
            raise AuthError("the door did not open", code="auth", fix="give the right password")

    def streams(self) -> Iterable[Stream]:
        return [Stream("room", key=("id",))]

    def read(self, read: Read) -> Iterator[Item]:
        yield [{"id": 1, "of": read.stream.name}]


class LockedApp(App):
    """An app that reads `locked` in this process."""

    def open_source(self, connection: Connection, secrets: Mapping[str, str], cancel: threading.Event) -> Source[Any]:
        folder = self.settings.home / "data" / connection.tenant / "locked"
        context = HostContext(
            connection.tenant, "locked", folder, AddressPolicy(True, ()), cancel, self.redactor, connection.id
        )
        return Locked(LockedConfig.model_validate({**connection.settings, **secrets}), context)


@asynccontextmanager
async def locked_app(home: Path, *tenants: str, **settings: Any) -> AsyncIterator[LockedApp]:
    """Open an app in a folder; the tenants exist."""
    loaded = load_settings({"home": str(home), **settings}, environ={}, cwd=home)
    plugin = FoundPlugin("locked", "connector", Locked, "locked", "1", None, manifest(Locked))
    async with AsyncExitStack() as stack:
        presence = stack.enter_context(closing(Presence(home)))
        records = await open_records(f"sqlite:///{home}/records.db", open_vault(home, master_key=None))
        app = LockedApp(loaded, Plugins((plugin,)), records, presence)
        stack.push_async_callback(app.close)
        for tenant in ("default", *tenants):
            await records.create_tenant(tenant)
        yield app
