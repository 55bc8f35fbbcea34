"""Asking a person for secrets on a page of ours, so that a model need not see them.

The page's address holds a token; the records keep its hash, what shall be connected, and how it went. Whether a secret
came is looked up there: what a client says about it proves nothing.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

from servicetsunami.operations.caller import Caller
from servicetsunami.operations.connections import connect_source
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.secrets import gather_secrets
from servicetsunami.operations.stream_settings import parse_streams
from servicetsunami.records import SecretRequest
from servicetsunami.sdk import ConfigError, TsunamiError, secret_fields

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.secrets import Wish

LASTS = timedelta(minutes=10)
"""How long a page can be used."""
_FORMS = "secret-page/form/v1"
_LOOKS_SECONDS = 0.1


@dataclass(frozen=True)
class Page:
    """A page that waits for a person."""

    id: str
    token: str
    code: str


@changing("nobody is asked for a secret")
async def ask_for(app: App, caller: Caller, wish: Wish, fields: tuple[str, ...]) -> Page:
    """Make a page that asks for `fields`; only whoever is told its token can open it.

    It also asks for secrets that were given already: they are not kept before the connection is. Raises what
    `connect_source` raises for settings that are not valid whatever the secrets are.
    """
    streams = parse_streams(wish.streams or {})
    await _check(app, caller, wish, fields)
    token = secrets.token_urlsafe(32)
    request = SecretRequest(
        id=_id_of(token),
        tenant=caller.tenant,
        subject=caller.subject,
        connector=wish.connector,
        name=wish.name,
        settings=_open_settings(app, wish),
        streams=streams,
        secret_refs=dict(wish.secret_refs),
        fields=(*fields, *(name for name in _given(app, wish) if name not in fields)),
        expires_at=datetime.now(UTC) + LASTS,
    )
    await app.records.create_secret_request(request)
    return Page(request.id, token, code_of(token))


async def opened(app: App, token: str) -> SecretRequest | None:
    """Return what a page asks for; None if it was used, expired, or never was."""
    request = await app.records.secret_request(_id_of(token))
    return request if request is not None and request.status != "done" else None


@changing("nothing was connected")
async def give(app: App, token: str, given: Mapping[str, str]) -> SecretRequest | None:
    """Connect with the secrets a person gave; the request as it is then, None if there was nothing to answer.

    A page can be answered until its connection works, once at a time.
    """
    request = await opened(app, token)
    if request is None or not await app.records.claim_secret_request(request.id):
        return None
    wanted = {name: value for name, value in given.items() if name in request.fields and value}
    app.redactor.add(wanted.values())
    # Whatever happens, the page must not stay taken.
    changes: dict[str, Any] = {"status": "failed"}
    try:
        changes = await connected_with(app, request, wanted)
    finally:
        await asyncio.shield(app.records.change_secret_request(request.id, **changes))
    return await app.records.secret_request(request.id)


async def outcome(app: App, caller: Caller, request_id: str, patience_seconds: float) -> SecretRequest | None:
    """Return one of the caller's requests once it is done, or as it is when patience ends; None if it is not theirs."""
    ends = time.monotonic() + patience_seconds
    while True:
        request = await app.records.secret_request(request_id)
        if request is None or (request.tenant, request.subject) != (caller.tenant, caller.subject):
            return None
        if request.status == "done" or time.monotonic() >= ends:
            return request
        await asyncio.sleep(_LOOKS_SECONDS)


async def find_waiting(app: App, caller: Caller, wish: Wish) -> SecretRequest | None:
    """Return the newest of the caller's requests that waits for the secrets of the same connection."""
    for request in await app.records.secret_requests(caller.tenant, caller.subject):
        same = (request.connector, request.name) == (wish.connector, wish.name)
        if same and request.settings == _open_settings(app, wish) and request.status != "done":
            return request
    return None


async def is_anybody_asked(app: App, caller: Caller) -> bool:
    """Tell whether a page of the caller waits for its secrets."""
    theirs = await app.records.secret_requests(caller.tenant, caller.subject)
    return any(request.status != "done" for request in theirs)


async def form_token(app: App, token: str) -> str:
    """Return what a form on the page must send along, to show that it came from there."""
    key = await app.records.derived_key(_FORMS)
    return hmac.new(key, token.encode(), hashlib.sha256).hexdigest()


def code_of(token: str) -> str:
    """Return a few characters by which a person sees that page and message belong together."""
    letters = base64.b32encode(hashlib.sha256(f"code/{token}".encode()).digest()).decode()
    return f"{letters[:4]}-{letters[4:8]}"


def _given(app: App, wish: Wish) -> tuple[str, ...]:
    fields = secret_fields(app.plugins.connector(wish.connector).config_type)
    return tuple(name for name in fields if wish.config.get(name) is not None)


def _open_settings(app: App, wish: Wish) -> dict[str, Any]:
    hidden = secret_fields(app.plugins.connector(wish.connector).config_type)
    return {name: value for name, value in wish.config.items() if name not in hidden and value is not None}


async def _check(app: App, caller: Caller, wish: Wish, fields: tuple[str, ...]) -> None:
    cls = app.plugins.connector(wish.connector)
    known = (await gather_secrets(app, caller, cls, wish)).values
    try:
        app.new_source(cls, {**wish.config, **dict.fromkeys(fields, "-"), **known}, caller.tenant, Event()).close()
    except ConfigError as error:
        if error.field not in fields:
            raise


@changing("nothing was connected")
async def connected_with(app: App, request: SecretRequest, given: Mapping[str, str]) -> dict[str, Any]:
    """Connect what a request asks for, and return how it went, as fields of the request."""
    # Whoever asked proved who they are when they did; over stdio they are the person at this machine.
    caller = Caller(request.tenant, local=app.settings.mcp_transport == "stdio", subject=request.subject)
    try:
        result = await connect_source(
            app,
            caller,
            connector=request.connector,
            name=request.name,
            config={**request.settings, **given},
            streams=request.streams,
            secret_refs=request.secret_refs,
        )
    except TsunamiError as error:
        return {"status": "failed", "problem": app.redactor.value(error.problem().model_dump(mode="json"))}
    problem = result.problem and app.redactor.value(result.problem.model_dump(mode="json"))
    status = "failed" if problem else "done"
    return {"status": status, "problem": problem, "connection_id": result.connection_id, "tables": result.tables}


def _id_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
