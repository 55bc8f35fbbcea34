"""The access tokens of connections: asked for once for all who read, and no refresh token lost.

Many endpoints take a refresh token a single time and give the next one with the answer. So of all processes on the
same records one at a time asks with it, and the next one is stored before anybody gets the access token.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from servicetsunami.sdk import AccessToken, NotFound, PermanentError, TokenRequest, TransientError
from servicetsunami.sdk.oauth import fetch_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servicetsunami.operations.app import App
    from servicetsunami.records import Connection
    from servicetsunami.sdk.http import HttpClient

log = logging.getLogger(__name__)
T = TypeVar("T")
_Key = tuple[str, frozenset[tuple[str, str]]]
_LEASE = timedelta(seconds=90)
"""Longer than an endpoint may take to answer."""
_RECORDS_SECONDS = 30.0
_PAUSE_SECONDS = 0.1
_JUST_NOW_SECONDS = 5.0
"""How old a token is at least that one who was refused gets another one for: the first of many who read has asked."""


class AccessTokens:
    """Those of every connection that this process reads; threads may share it."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._of: dict[tuple[str, str], ConnectionTokens] = {}

    def of(self, connection: Connection) -> ConnectionTokens:
        """Return where the tokens of a connection are."""
        with self._lock:
            place = connection.tenant, connection.id
            return self._of.setdefault(place, ConnectionTokens(self._app, *place, self._loop))


class ConnectionTokens:
    """The access tokens of one connection, in memory; its refresh token, in the records."""

    def __init__(self, app: App, tenant: str, connection_id: str, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._tenant = tenant
        self._connection_id = connection_id
        self._loop = loop
        self._lock = threading.Lock()
        self._kept: dict[_Key, tuple[AccessToken, float]] = {}
        self._first: dict[str, str] = {}
        """For each refresh token that came in the place of another, the first of them."""

    def get(self, request: TokenRequest, *, renew: bool = False) -> AccessToken:
        """Return a token that is not over, asking for it where there is none; called in threads."""
        with self._lock:
            key = self._key(request)
            token, since = self._kept.get(key, (None, 0.0))
            is_new = time.monotonic() - since < _JUST_NOW_SECONDS
            if token is None or token.is_over or (renew and not is_new):
                token = self._fetched(request)
                self._kept[key] = token, time.monotonic()
            return token

    def _fetched(self, request: TokenRequest) -> AccessToken:
        field = request.refresh_field
        if field is None or not request.form.get("refresh_token"):
            return fetch_token(request, self._http)
        with self._alone():
            stored = self._stored().get(field)
            latest = request if stored is None else _with_refresh(request, stored)
            token = fetch_token(latest, self._http)
            if token.refresh_token is not None:
                self._keep(field, token.refresh_token.get_secret_value(), latest.form["refresh_token"])
        return token

    def _key(self, request: TokenRequest) -> _Key:
        """Tell requests apart, those of another sign-in too; a refresh token stands for the one it replaced."""
        refresh = request.form.get("refresh_token", "")
        said = {**request.form, **request.headers, "refresh_token": self._first.get(refresh, refresh)}
        return request.url, frozenset(said.items())

    def _http(self, url: str) -> HttpClient:
        return self._app.http_of(self._tenant, url)

    def _stored(self) -> dict[str, str]:
        with suppress(NotFound):
            return self._await(self._app.records.reveal_secrets(self._tenant, self._connection_id))
        return {}

    def _keep(self, field: str, value: str, former: str) -> None:
        self._app.redactor.add([value])
        self._first[value] = self._first.get(former, former)
        if value != former and not self._replaced(field, value, former):
            log.warning(
                "the endpoint replaced the refresh token of connection %s, which is not stored here: "
                "store it with the connection, or it may be void next time",
                self._connection_id,
            )

    def _replaced(self, field: str, value: str, former: str) -> bool:
        place = self._tenant, self._connection_id, field
        try:
            return self._await(self._app.records.replace_secret(*place, value, instead_of=former))
        except NotFound:
            return False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the only process that asks for tokens of this connection."""
        name, owner, records = f"tokens/{self._tenant}/{self._connection_id}", uuid4().hex, self._app.records
        until = time.monotonic() + _LEASE.total_seconds()
        while not self._await(records.lease(name, owner, _LEASE)):
            if time.monotonic() > until:
                raise TransientError("another process has been asking for a token for long", code="token_busy")
            time.sleep(_PAUSE_SECONDS)
        try:
            yield
        finally:
            self._await(records.release(name, owner))

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the event loop do what only it may do."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(_RECORDS_SECONDS)
        except TimeoutError as error:
            raise TransientError("the records did not answer in time, so no token was asked for") from error
        except RuntimeError as error:  # the loop is closed: the server ends
            work.close()
            raise PermanentError("the server ends, so no token is asked for", code="server_ending") from error


def _with_refresh(request: TokenRequest, refresh_token: str) -> TokenRequest:
    return replace(request, form={**request.form, "refresh_token": refresh_token})
