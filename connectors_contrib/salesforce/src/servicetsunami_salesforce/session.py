"""The way to one organisation: its address and access token by the host, a token that ended renewed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from servicetsunami.sdk import AccessToken, AuthError, ConfigError, Context, SignIn, TokenRequest
from servicetsunami.sdk.http import HttpClient, HttpResponse
from servicetsunami_salesforce.config import SalesforceConfig
from servicetsunami_salesforce.refusals import explained

T = TypeVar("T")
_OURS = (".salesforce.com", ".force.com", ".cloudforce.com", ".salesforce.mil", ".sfcrmproducts.cn")
_AUTHORIZE, _TOKEN = "/services/oauth2/authorize", "/services/oauth2/token"


class Session:
    """Sends requests to one organisation; `close()` ends it."""

    def __init__(self, config: SalesforceConfig, ctx: Context) -> None:
        self._config = config
        self._ctx = ctx
        self._http: HttpClient | None = None
        self._base = f"/services/data/v{config.api_version}"

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> HttpResponse:
        """GET a path below the API's version, or a whole path that an answer named."""
        return self.renewing(lambda http: http.get(self._whole(path), params))

    def send(self, method: str, path: str, body: bytes = b"") -> HttpResponse:
        """Send a request that is not only read."""
        headers = {"content-type": "application/json"}
        return self.renewing(lambda http: http.request(method, self._whole(path), headers=headers, content=body))

    def renewing(self, work: Callable[[HttpClient], T]) -> T:
        """Do some requests, and once more with another token if the first had ended."""
        try:
            return work(self._client(renew=False))
        except AuthError:
            self.close()
            return work(self._client(renew=True))

    def whole(self, paths: list[str]) -> list[tuple[str, Mapping[str, Any]]]:
        """Return requests for `HttpClient.get_all`."""
        return [(self._whole(path), {}) for path in paths]

    def close(self) -> None:
        """Close every connection."""
        http, self._http = self._http, None
        if http is not None:
            http.close()

    def _whole(self, path: str) -> str:
        return path if path.startswith("/services/") else f"{self._base}{path}"

    def _client(self, *, renew: bool) -> HttpClient:
        token = self._token(renew=renew)
        if self._http is None:
            self._http = self._ctx.http(
                _instance(token, self._config.login_url), bearer=token.value, explain=explained, timeout_seconds=120
            )
        return self._http

    def _token(self, *, renew: bool) -> AccessToken:
        config = self._config
        form = {"client_id": config.client_id, "client_secret": _plain(config.client_secret)}
        if config.refresh_token is not None:
            form |= {"grant_type": "refresh_token", "refresh_token": _plain(config.refresh_token)}
        else:
            form |= {"grant_type": "client_credentials"}
        request = TokenRequest(f"{config.login_url.rstrip('/')}{_TOKEN}", form, refresh_field="refresh_token")
        try:
            return self._ctx.token(request, renew=renew)
        except AuthError as error:
            raise _refused(config) from error


def sign_in(settings: Mapping[str, Any]) -> SignIn | None:
    """Return how a person signs in; None while the consumer key is missing."""
    if not settings.get("client_id"):
        return None
    login = str(settings.get("login_url") or "https://login.salesforce.com").rstrip("/")
    secret = settings.get("client_secret")
    return SignIn(
        f"{login}{_AUTHORIZE}",
        f"{login}{_TOKEN}",
        str(settings["client_id"]),
        "api refresh_token",
        client_secret=SecretStr(str(secret)) if secret else None,
    )


def _instance(token: AccessToken, login_url: str) -> str:
    """Return where the organisation is, as the answer with the token says, if that is Salesforce's."""
    told = str(token.answer.get("instance_url") or "")
    parts = urlsplit(told)
    same = (parts.scheme, parts.netloc) == urlsplit(login_url)[:2]
    if same or (parts.scheme == "https" and (parts.hostname or "").endswith(_OURS)):
        return told
    raise ConfigError(
        "the answer with the access token names an address that is not Salesforce's, so it is not asked",
        code="bad_instance",
        field="login_url",
        fix="check login_url",
    )


def _refused(config: SalesforceConfig) -> AuthError:
    if config.refresh_token is None:
        return AuthError(
            "Salesforce does not let the connected app log in by itself",
            code="app_refused",
            field="client_secret",
            fix="check consumer key and secret, use your own address as login_url, and enable the client credentials "
            "flow with a run-as user",
        )
    return AuthError(
        "Salesforce no longer knows this sign-in, so nothing can be read",
        code="sign_in_ended",
        field="refresh_token",
        fix="sign in again; check the app's refresh token policy",
    )


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
