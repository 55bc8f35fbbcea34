"""A connector that reads with access tokens, for the tests of who keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from pydantic import SecretStr

from servicetsunami.sdk import AuthError, Config, Item, Read, SignIn, Source, Stream, TokenRequest


class TokenConfig(Config):
    """Where tokens are, and what they cost."""

    url: str
    refresh_token: SecretStr
    authorize_url: str = ""
    client_secret: SecretStr | None = None
    again: bool = False


class Tokened(Source[TokenConfig]):
    """Yields one row: the last letters of the token it was given."""

    name = "tokened"
    title = "Tokened"

    @classmethod
    def sign_in(cls, settings: Mapping[str, Any]) -> SignIn | None:
        """Send people to the site that the settings name."""
        if not settings.get("authorize_url"):
            return None
        secret = settings.get("client_secret")
        return SignIn(
            settings["authorize_url"],
            settings["url"],
            "client 1",
            "read write",
            client_secret=SecretStr(secret) if secret else None,
            params={"access_type": "offline"},
        )

    def check(self) -> None:
        """Get a token."""
        next(iter(self.read(Read(next(iter(self.streams()))))))

    def streams(self) -> Iterable[Stream]:
        """Name one stream."""
        return [Stream("t", schema=pa.schema([("found", pa.string())]))]

    def read(self, read: Read) -> Iterator[Item]:
        """Get a token, log it as nobody should, and yield what may be told of it."""
        del read
        request = TokenRequest(
            self.config.url,
            {"grant_type": "refresh_token", "refresh_token": self.config.refresh_token.get_secret_value()},
            refresh_field="refresh_token",
        )
        token = self.ctx.token(request)
        if self.config.again:
            token = self.ctx.token(request, renew=True)
        value = token.value.get_secret_value()
        self.ctx.log.warning("the token is %s", value)
        if value.startswith("broken"):
            raise AuthError(f"the token {value} was refused")
        yield [{"found": f"{value[-3:]} of {token.answer['instance_url']}"}]
