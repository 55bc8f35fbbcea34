"""Access tokens of OAuth2, kept in memory and asked for anew when one is refused."""

from __future__ import annotations

from urllib.parse import urlencode

from pydantic import SecretStr

from servicetsunami.sdk import AuthError, Context, DataError, NotFound, PermanentError, PermissionDenied
from servicetsunami_rest.config import RestConfig

_REFUSALS = (AuthError, PermissionDenied, PermanentError, NotFound)


class Tokens:
    """The access token of one connection. A refresh token that the server replaces is replaced here as well."""

    def __init__(self, config: RestConfig, ctx: Context) -> None:
        self._config = config
        self._ctx = ctx
        self._refresh = config.refresh_token
        self._access: SecretStr | None = None

    def access(self) -> SecretStr:
        """Return the present token; asks for the first one."""
        return self._access or self.renew()

    def renew(self) -> SecretStr:
        """Ask for another token; raises `AuthError` (`token_refused`) if the server gives none."""
        url = self._config.oauth_url or ""
        http = self._ctx.http(url, timeout_seconds=self._config.timeout_seconds)
        try:
            answer = http.request(
                "POST",
                url,
                headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
                content=urlencode(self._form()).encode(),
            ).json()
        except DataError as error:
            raise _refused(None) from error
        except _REFUSALS as error:
            raise _refused(error.message) from error
        finally:
            http.close()
        self._access = self._taken(answer)
        return self._access

    def _form(self) -> dict[str, str]:
        given = {
            "client_id": self._config.client_id,
            "client_secret": _plain(self._config.client_secret),
            "scope": self._config.scopes,
        }
        if self._config.auth == "oauth2_client_credentials":
            form = {"grant_type": "client_credentials"}
        else:
            form = {"grant_type": "refresh_token", "refresh_token": _plain(self._refresh) or ""}
        return form | {name: value for name, value in given.items() if value}

    def _taken(self, answer: object) -> SecretStr:
        body = answer if isinstance(answer, dict) else {}
        access, refresh = body.get("access_token"), body.get("refresh_token")
        if not isinstance(access, str) or not access:
            raise _refused("its answer holds no access_token")
        if isinstance(refresh, str) and refresh:
            self._refresh = SecretStr(refresh)
        return SecretStr(access)


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _refused(why: str | None) -> AuthError:
    return AuthError(
        "the token endpoint gave no access token, so nothing can be read",
        code="token_refused",
        why=why,
        field="oauth_url",
        fix="check oauth_url, client_id and client_secret; a refresh token may have expired: sign in again",
    )
