"""gspread's way to Google: through the host, which checks addresses, retries, and redacts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gspread.http_client import HTTPClient

from servicetsunami.sdk import AuthError, Context, RateLimited
from servicetsunami_sheets.access import Access
from servicetsunami_sheets.config import GOOGLE, SheetsConfig
from servicetsunami_sheets.refusals import explained

if TYPE_CHECKING:
    from servicetsunami.sdk.http import HttpClient, HttpResponse

_PAUSES_SECONDS = (15.0, 30.0, 60.0)
"""Google counts reads by the minute."""


class Gateway(HTTPClient):
    """What gspread sends requests through; whoever made it closes it."""

    def __init__(self, config: SheetsConfig, ctx: Context) -> None:
        # Not the base's: it would make a session of its own, with the machine's proxies and credentials.
        self.timeout = None
        self._config = config
        self._ctx = ctx
        self._access = Access(config, ctx)
        self._http: HttpClient | None = None

    def request(self, method: str, endpoint: str, params: Any = None, *_: Any, **__: Any) -> Any:
        """Send one request; an expired token is renewed once, and a used up quota is waited for."""
        path = endpoint.removeprefix(GOOGLE)
        for pause in (*_PAUSES_SECONDS, None):
            try:
                return self._sent(method, path, params)
            except RateLimited as error:
                if pause is None:
                    raise _used_up() from error
                self._ctx.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close every connection."""
        http, self._http = self._http, None
        if http is not None:
            http.close()

    def _sent(self, method: str, path: str, params: Any) -> HttpResponse:
        try:
            return self._client(renew=False).request(method.upper(), path, params=params)
        except AuthError:
            self.close()
            return self._client(renew=True).request(method.upper(), path, params=params)

    def _client(self, *, renew: bool) -> HttpClient:
        token = self._access.token(renew=renew)
        if self._http is None:
            self._http = self._ctx.http(
                self._config.api_url, bearer=token.value, explain=partial(explained, email=self._access.email)
            )
        return self._http


def _used_up() -> RateLimited:
    return RateLimited(
        "Google's quota of reads is used up, and minutes of waiting did not help",
        code="quota_used_up",
        fix="try again later, sync fewer sheets at once, or ask for a higher quota in the Google Cloud console",
        retry_after_seconds=300,
    )
