"""Where the secrets of a connection come from: given now, kept from before, or read from where it refers to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from servicetsunami.operations.identity import leads_elsewhere
from servicetsunami.operations.problems import config_error
from servicetsunami.runtime import References
from servicetsunami.sdk import (
    ConfigError,
    Json,
    PermanentError,
    SignIn,
    Source,
    TsunamiError,
    nearest,
    secret_fields,
)
from servicetsunami.sync.crash import plugin_crashed

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.records import Connection


@dataclass(frozen=True)
class Wish:
    """What somebody wants to connect."""

    connector: str
    name: str
    config: Mapping[str, Any]
    streams: Json | None = None
    secret_refs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Secrets:
    """The secrets of one connection."""

    stored: Mapping[str, str] = field(default_factory=dict, repr=False)
    """To be sealed and kept."""
    refs: Mapping[str, str] = field(default_factory=dict)
    """To be read where they lie each time."""
    read: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What `refs` led to just now."""

    @property
    def values(self) -> dict[str, str]:
        """All of them, as the connector takes them."""
        return {**self.stored, **self.read}


async def gather_secrets(app: App, caller: Caller, cls: type[Source[Any]], wish: Wish) -> Secrets:
    """Return the secrets of what is to be connected; redacted from now on.

    A connection of that name that leads to the same place keeps the secrets that are not given anew. Raises what
    `References.resolve` raises, and `ConfigError` for a reference of what is no secret, or is given too.
    """
    fields = secret_fields(cls.config_type)
    given = {name: str(wish.config[name]) for name in fields if wish.config.get(name) is not None}
    for name in wish.secret_refs:
        _check_reference(cls, name, fields, given)
    stored, refs = {**given}, dict(wish.secret_refs)
    existing = await find_connection(app, caller, wish)
    if existing is not None and not leads_elsewhere(cls, existing.settings, wish.config):
        lacking = [name for name in fields if name not in given and name not in refs]
        refs |= {name: ref for name, ref in existing.secret_refs.items() if name in lacking}
        kept = await _kept(app, existing, lacking)
        stored |= {name: secret for name, secret in kept.items() if name not in refs}
    app.redactor.add(stored.values())
    return Secrets(stored, refs, await read_references(app, caller.tenant, refs, local=caller.local))


async def dialling_secrets(app: App, connection: Connection) -> dict[str, str]:
    """Return a connection's secrets, at the moment they are needed to dial; raises what `References.resolve` does."""
    stored = await app.records.reveal_secrets(connection.tenant, connection.id)
    app.redactor.add(stored.values())
    # Who made the connection was allowed to refer; what another tenant may not name is not read for it either.
    local = connection.tenant == app.settings.tenant
    return {**stored, **await read_references(app, connection.tenant, connection.secret_refs, local=local)}


async def find_connection(app: App, caller: Caller, wish: Wish) -> Connection | None:
    """Return the connection that connecting would replace."""
    found = await app.records.connections(caller.tenant)
    return next((one for one in found if (one.name, one.connector) == (wish.name, wish.connector)), None)


def expected_secrets(cls: type[Source[Any]]) -> tuple[str, ...]:
    """Name the secrets that a connector is seldom used without: those it requires, and those that are empty else."""
    fields = cls.config_type.model_fields
    # A secret that is empty by default, such as a password, is seldom meant to be; one that is None is rarely used.
    return tuple(
        name
        for name in secret_fields(cls.config_type)
        if fields[name].is_required() or isinstance(fields[name].default, SecretStr)
    )


async def missing_secrets(app: App, caller: Caller, wish: Wish) -> tuple[str, ...]:
    """Name the secrets that are expected, but neither given nor referred to nor kept from before.

    Raises `ConfigError` too for settings that are wrong whatever the secrets: nobody is to type a password for them.
    """
    cls = app.plugins.connector(wish.connector)
    values = (await gather_secrets(app, caller, cls, wish)).values
    way = sign_in_for(cls, {**wish.config, **values})
    expected = dict.fromkeys((*expected_secrets(cls), *([way.refresh_field] if way else ())))
    missing = tuple(name for name in expected if name not in values)
    _check_settings(cls, {**wish.config, **values}, missing)
    return missing


def sign_in_for(cls: type[Source[Any]], settings: Mapping[str, Any]) -> SignIn | None:
    """Return how a person signs in for a connection with these settings; None if they cannot."""
    try:
        return cls.sign_in(settings)
    except TsunamiError:
        raise
    except Exception as error:  # the plugin boundary: what a plugin raises unasked has no meaning for a person
        raise plugin_crashed(error) from error


def _check_settings(cls: type[Source[Any]], config: Mapping[str, Any], missing: tuple[str, ...]) -> None:
    try:
        cls.config_type.model_validate(dict(config))
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        if {str(fault["loc"][0]) for fault in faults if fault["loc"]} - set(missing):
            raise config_error(error, cls, besides=missing) from None


async def _kept(app: App, existing: Connection, lacking: list[str]) -> dict[str, str]:
    if not set(lacking) & set(existing.secret_names):
        return {}
    try:
        revealed = await app.records.reveal_secrets(existing.tenant, existing.id)
    except PermanentError:
        return {}  # what does not open is lost, and connecting again is how it is replaced
    return {name: secret for name, secret in revealed.items() if name in lacking}


async def read_references(app: App, tenant: str, refs: Mapping[str, str], *, local: bool) -> dict[str, str]:
    """Read secrets where they lie; redacted from now on."""
    if not refs:
        return {}
    places = References(app.settings.secret_references, app.settings.home, tenant, local)
    found = await asyncio.to_thread(lambda: {name: places.resolve(name, ref) for name, ref in refs.items()})
    app.redactor.add(found.values())
    return found


def _check_reference(cls: type[Source[Any]], name: str, fields: tuple[str, ...], given: Mapping[str, str]) -> None:
    if name not in fields:
        raise ConfigError(
            f"{cls.title or cls.name} has no such secret to refer to, so nothing was connected",
            code="unknown_setting",
            field="secret_refs",
            fix=f"its secrets are: {', '.join(fields) or 'none'}",
            did_you_mean=nearest(name, fields),
        )
    if name in given:
        raise ConfigError(
            f"the secret '{name}' is given and referred to, so nothing was connected",
            code="secret_given_twice",
            field=name,
            fix="leave one of them out",
        )
