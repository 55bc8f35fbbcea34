"""Access tokens for the Sheets API: of a service account, or of a person who signed in. Google's endpoint, no other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from servicetsunami.sdk import AccessToken, AuthError, ConfigError, Context, SignIn, TokenRequest
from servicetsunami_sheets.config import GOOGLE, SheetsConfig, service_account

SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"
AUTHORIZE_URL = "https://accounts.google.com/o/oauth2/v2/auth"
_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, no secret
_LASTS_SECONDS = 3600
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Access:
    """The access token of one connection."""

    def __init__(self, config: SheetsConfig, ctx: Context) -> None:
        self._config = config
        self._ctx = ctx
        self._request: TokenRequest | None = None
        self._until = 0.0

    @property
    def email(self) -> str | None:
        """The address that spreadsheets are shared with; None if a person signed in."""
        key = self._config.service_account_json
        return service_account(key.get_secret_value())["client_email"] if key else None

    def token(self, *, renew: bool = False) -> AccessToken:
        """Return a token; `renew` after one was refused."""
        if self._request is None or renew or time.monotonic() > self._until:
            self._request = self._asked()
            self._until = time.monotonic() + _LASTS_SECONDS / 2
        try:
            return self._ctx.token(self._request, renew=renew)
        except AuthError as error:
            raise self._refused() from error

    def _refused(self) -> AuthError:
        if self.email is None:
            return AuthError(
                "Google no longer knows this sign-in, so nothing can be read",
                code="sign_in_ended",
                field="refresh_token",
                fix="sign in again; sign-ins end when access is withdrawn, and of a program in test after a week",
            )
        return AuthError(
            f"Google does not let {self.email} in with this key, so nothing can be read",
            code="key_refused",
            field="service_account_json",
            fix="check in the Google Cloud console that the account and the key are there, or make a new key",
        )

    def _asked(self) -> TokenRequest:
        url = token_url(self._config.api_url)
        key = self._config.service_account_json
        if key is not None:
            return TokenRequest(url, {"grant_type": _JWT_BEARER, "assertion": _assertion(key.get_secret_value(), url)})
        form = {
            "grant_type": "refresh_token",
            "client_id": self._config.client_id or "",
            "client_secret": _plain(self._config.client_secret),
            "refresh_token": _plain(self._config.refresh_token),
        }
        return TokenRequest(url, form, refresh_field="refresh_token")


def token_url(api_url: str) -> str:
    """Return the token endpoint: Google's, unless the API itself is somewhere else."""
    return _TOKEN_URL if api_url == GOOGLE else f"{api_url}/token"


def sign_in(settings: Mapping[str, Any]) -> SignIn | None:
    """Return how a person signs in; None where a service account is used or the client id is missing."""
    client_id, secret = settings.get("client_id"), settings.get("client_secret")
    if not client_id or settings.get("service_account_json"):
        return None
    api_url = str(settings.get("api_url") or GOOGLE)
    return SignIn(
        AUTHORIZE_URL if api_url == GOOGLE else f"{api_url}/authorize",
        token_url(api_url),
        str(client_id),
        SCOPE,
        client_secret=SecretStr(str(secret)) if secret else None,
        params={"access_type": "offline", "prompt": "consent"},
    )


def _assertion(key: str, audience: str) -> str:
    """Sign, with the key alone, that we are the account: no address of the key file is used."""
    import jwt

    account = service_account(key)
    now = int(time.time())
    claims = {
        "iss": account["client_email"],
        "scope": SCOPE,
        "aud": audience,
        "iat": now,
        "exp": now + _LASTS_SECONDS,
    }
    try:
        return jwt.encode(claims, account["private_key"], "RS256", headers={"kid": account["private_key_id"]})
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise ConfigError(
            "the private key in service_account_json cannot be read, so nobody can be let in",
            code="bad_private_key",
            field="service_account_json",
            fix="give the key file as Google made it, whole; make a new key if it was cut or changed",
        ) from error


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
