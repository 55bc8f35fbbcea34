"""Access tokens of OAuth 2 (RFC 6749): what a connector asks its host for, and what it gets."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from pydantic import SecretStr

from servicetsunami.sdk.errors import AuthError, DataError, NotFound, PermanentError, PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Callable

    from servicetsunami.sdk.http import HttpClient

_REFUSALS = (AuthError, PermissionDenied, PermanentError, NotFound)
_EARLY_SECONDS = 60.0
"""How long before its end a token counts as over: a request under way must not meet that end."""


@dataclass(frozen=True)
class TokenRequest:
    """A request for an access token: the form that is posted to a token endpoint."""

    url: str
    form: Mapping[str, str] = field(repr=False)
    """Fields of the form, `grant_type` among them; empty ones are left out."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with it: `basic(client_id, client_secret)` where the endpoint wants the client there."""
    refresh_field: str | None = None
    """The setting that `form`'s refresh_token comes from: the host keeps what the endpoint puts in its place."""


@dataclass(frozen=True)
class SignIn:
    """How a person signs in and lets a connection read for them: an authorization code of OAuth 2, with PKCE."""

    authorize_url: str
    token_url: str
    client_id: str
    scope: str
    client_secret: SecretStr | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    """Further parameters of the first request, such as `access_type=offline`."""
    refresh_field: str = "refresh_token"
    """The secret that keeps the refresh token."""


@dataclass(frozen=True)
class AccessToken:
    """An access token and what else its endpoint said."""

    value: SecretStr
    expires_at: float | None
    """Seconds since 1970; None where the endpoint does not tell."""
    answer: Mapping[str, Any] = field(repr=False)
    """The other fields of the answer, without the tokens."""
    refresh_token: SecretStr | None = None
    """What the endpoint gave in place of the refresh token, if it did."""

    @property
    def is_over(self) -> bool:
        """Tell whether it has expired, or is about to."""
        return self.expires_at is not None and time.time() > self.expires_at - _EARLY_SECONDS


def fetch_token(request: TokenRequest, open_http: Callable[[str], HttpClient]) -> AccessToken:
    """Ask a token endpoint once; connectors call `self.ctx.token`, which also keeps what it gets.

    Raises `AuthError` (`token_refused`) if the endpoint gives none, `ConfigError` and `TransientError` as `ctx.http`.
    """
    http = open_http(request.url)
    try:
        answer = http.request(
            "POST",
            request.url,
            headers={
                "content-type": "application/x-www-form-urlencoded",
                "accept": "application/json",
                **request.headers,
            },
            content=urlencode({name: value for name, value in request.form.items() if value}).encode(),
        ).json()
    except DataError as error:
        raise _refused("its answer is no JSON") from error
    except _REFUSALS as error:
        raise _refused(error.message) from error
    finally:
        http.close()
    return _taken(answer)


def _taken(answer: object) -> AccessToken:
    body = dict(answer) if isinstance(answer, dict) else {}
    access, refresh = body.pop("access_token", None), body.pop("refresh_token", None)
    if not isinstance(access, str) or not access:
        raise _refused("its answer holds no access_token")
    return AccessToken(
        SecretStr(access),
        _expiry(body.get("expires_in")),
        body,
        SecretStr(refresh) if isinstance(refresh, str) and refresh else None,
    )


def _expiry(seconds: object) -> float | None:
    """Return when a token that lives so long ends; some endpoints write the number as text."""
    try:
        return time.time() + float(str(seconds))
    except ValueError:
        return None


def _refused(why: str) -> AuthError:
    return AuthError(
        "the token endpoint gave no access token, so nothing can be read",
        code="token_refused",
        why=why,
        fix="check the client's id and secret and the token endpoint; a refresh token may have expired: sign in again",
    )


class TokenSource(Protocol):
    """Gives the access tokens of one connection."""

    def get(self, request: TokenRequest, *, renew: bool = False) -> AccessToken:
        """Return a token that is not over; `renew` after one was refused."""


class TokenCache:
    """Access tokens of one connection, kept in memory until they are over."""

    def __init__(self, open_http: Callable[[str], HttpClient]) -> None:
        self._open_http = open_http
        self._tokens: dict[tuple[str, frozenset[tuple[str, str]]], AccessToken] = {}
        self._refreshed: dict[str, str] = {}

    def get(self, request: TokenRequest, *, renew: bool = False) -> AccessToken:
        """Return the token a request was answered with, or ask; `renew` asks even if one is there."""
        key = (request.url, frozenset(request.form.items()))
        kept = self._tokens.get(key)
        if kept is None or renew or kept.is_over:
            kept = self._tokens[key] = fetch_token(self._latest(request), self._open_http)
            if kept.refresh_token is not None and "refresh_token" in request.form:
                self._refreshed[request.form["refresh_token"]] = kept.refresh_token.get_secret_value()
        return kept

    def _latest(self, request: TokenRequest) -> TokenRequest:
        """Put the newest refresh token in the form: many endpoints take each one a single time."""
        first = request.form.get("refresh_token", "")
        latest = self._refreshed.get(first, first)
        form = {**request.form, "refresh_token": latest} if latest else request.form
        return TokenRequest(request.url, form, request.headers, request.refresh_field)
