"""The way to the API: one client with the connection's credentials, and a second try after a token has expired."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

from servicetsunami.sdk import AuthError, Context, TokenRequest, secret_fields
from servicetsunami.sdk.http import HttpClient, HttpResponse, basic
from servicetsunami_rest.config import RestConfig

Request = tuple[str, Mapping[str, Any]]
"""Path, or whole URL, and query parameters."""


class Session:
    """Sends GET requests as the settings say; `close()` ends it."""

    def __init__(self, config: RestConfig, ctx: Context) -> None:
        self._config = config
        self._ctx = ctx
        self._grant = _grant(config) if config.auth.startswith("oauth2") else None
        self._http: HttpClient | None = None

    def get(self, request: Request) -> HttpResponse:
        """Return the answer to one request; an expired OAuth2 token is renewed once."""
        try:
            return self._client.get(*request)
        except AuthError:
            if not self._renewed():
                raise
            return self._client.get(*request)

    def get_all(self, requests: Iterator[Request], at_once: int) -> Generator[HttpResponse, None, None]:
        """Yield the answers in the order asked for, `at_once` of them under way at the same time."""
        asked: deque[Request] = deque()
        renewed = False
        while True:
            again = tuple(asked)
            asked.clear()
            answers = self._client.get_all(_noted(chain(again, requests), asked), at_once=at_once)
            try:
                for answer in answers:
                    asked.popleft()
                    renewed = False
                    yield answer
            except AuthError:
                if renewed or not self._renewed():
                    raise
                renewed = True
            else:
                return
            finally:
                answers.close()

    def hides(self, text: str) -> bool:
        """Tell whether a text holds one of the connection's secrets."""
        return any(secret in text for secret in self._secrets)

    @cached_property
    def _secrets(self) -> tuple[str, ...]:
        values = [getattr(self._config, name) for name in secret_fields(RestConfig)]
        plain = [value.get_secret_value() for value in values if value is not None]
        return tuple(form for secret in plain if secret for form in (secret, quote(secret), quote_plus(secret)))

    def close(self) -> None:
        """Close every connection."""
        http, self._http = self._http, None
        if http is not None:
            http.close()

    @property
    def _client(self) -> HttpClient:
        if self._http is None:
            self._http = self._opened()
        return self._http

    def _renewed(self) -> bool:
        if self._grant is None:
            return False
        self._access(renew=True)
        self.close()
        return True

    def _access(self, *, renew: bool = False) -> SecretStr | None:
        """Return the access token of OAuth2, None where there is none."""
        return self._ctx.token(self._grant, renew=renew).value if self._grant else None

    def _opened(self) -> HttpClient:
        config = self._config
        headers, params = dict(config.headers), dict(config.params)
        token = config.token.get_secret_value() if config.token else ""
        if config.auth == "header":
            headers[config.auth_name or "X-API-Key"] = token
        elif config.auth == "query":
            params[config.auth_name or "api_key"] = token
        elif config.auth == "basic" and config.password is not None:
            headers |= basic(config.user or "", config.password)
        return self._ctx.http(
            config.base_url,
            bearer=self._access() or (config.token if config.auth == "bearer" else None),
            headers={"accept": "application/json", **headers},
            params=params,
            per_second=config.requests_per_second,
            timeout_seconds=config.timeout_seconds,
        )


def _grant(config: RestConfig) -> TokenRequest:
    """Return what an access token is asked for with."""
    form = {"client_id": config.client_id, "client_secret": _plain(config.client_secret), "scope": config.scopes}
    if config.auth == "oauth2_client_credentials":
        form["grant_type"] = "client_credentials"
    else:
        form |= {"grant_type": "refresh_token", "refresh_token": _plain(config.refresh_token)}
    known = {name: value for name, value in form.items() if value}
    return TokenRequest(config.oauth_url or "", known, refresh_field="refresh_token")


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _noted(requests: Iterable[Request], asked: deque[Request]) -> Iterator[Request]:
    """Yield the requests, and note each: those without an answer are sent again after a token was renewed."""
    for request in requests:
        asked.append(request)
        yield request
