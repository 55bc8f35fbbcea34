"""Who calls over HTTP: the tenant and the scopes come from a token that was checked, and from nothing else."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_REQUEST

from servicetsunami.operations.caller import SCOPES, Caller
from servicetsunami.runtime.exposure import audience_of, endpoint_of
from servicetsunami.runtime.key_fetching import fetch_keys
from servicetsunami.runtime.token_keys import ConfiguredKey, PublishedKeys
from servicetsunami.runtime.tokens import Claims, TokenChecker, TokenRefused, TokenRules
from servicetsunami.sdk import TsunamiError

if TYPE_CHECKING:
    from servicetsunami.mcp.surface import RequestContext
    from servicetsunami.operations.app import App
    from servicetsunami.runtime import Settings

log = logging.getLogger(__name__)
_KEPT_SECONDS = 300.0
"""How long a token that was checked is not checked again: a key that its issuer withdrew works for so long."""
_TENANT_KEPT_SECONDS = 30.0
_MOST_KEPT = 4096
K = TypeVar("K")
V = TypeVar("V")


class CallerToken(AccessToken):
    """A token that was checked, and who calls with it."""

    caller: Caller


@dataclass(frozen=True)
class _Known:
    token: CallerToken
    until: float


class Verifier:
    """Checks bearer tokens for the SDK, and that their tenant exists; remembers for a while what it found."""

    def __init__(self, app: App, checker: TokenChecker, *, clock: Callable[[], float] = time.time) -> None:
        self._app = app
        self._checker = checker
        self._clock = clock
        self._resource = endpoint_of(app.settings)
        self._tokens: OrderedDict[bytes, _Known] = OrderedDict()
        self._tenants: OrderedDict[str, tuple[bool, float]] = OrderedDict()

    async def verify_token(self, token: str) -> CallerToken | None:
        """Return who calls, None for a token that proves nothing."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        known = self._tokens.get(digest)
        if known is None or known.until <= self._clock():
            known = await self._check(token)
            if known is not None:
                _keep(self._tokens, digest, known)
        if known is None or not await self._has_tenant(known.token.caller.tenant):
            return None
        return known.token

    async def _check(self, token: str) -> _Known | None:
        try:
            claims = await self._checker.check(token)
        except TokenRefused as refusal:
            log.info("a token was refused: %s", refusal)
            return None
        return _Known(self._accept(claims), min(claims.expires_at, self._clock() + _KEPT_SECONDS))

    def _accept(self, claims: Claims) -> CallerToken:
        scopes = frozenset(scope for scope in SCOPES if scope in claims.scopes)
        return CallerToken(
            token="",  # it is never passed on
            # The SDK binds sessions and request states to client, issuer and subject: with the tenant in one of them,
            # somebody who works for two tenants is two.
            client_id=f"{claims.tenant}/{claims.client}",
            subject=claims.subject,
            scopes=list(scopes),
            expires_at=int(claims.expires_at),
            resource=self._resource,
            claims={"iss": self._app.settings.mcp_auth_issuer},
            caller=Caller(claims.tenant, local=False, subject=claims.subject, scopes=scopes),
        )

    async def _has_tenant(self, tenant: str) -> bool:
        exists, until = self._tenants.get(tenant, (False, 0.0))
        if until > self._clock():
            return exists
        try:
            await self._app.records.require_tenant(tenant)
        except TsunamiError as error:
            log.info("a token was refused: %s", error.code)
            exists = False
        else:
            exists = True
        _keep(self._tenants, tenant, (exists, self._clock() + _TENANT_KEPT_SECONDS))
        return exists


def make_checker(settings: Settings) -> TokenChecker:
    """Return the checker that the settings ask for; raises `ConfigError` for a key that cannot check anything."""
    rules = TokenRules(
        issuer=settings.mcp_auth_issuer or "",
        audience=audience_of(settings) or "",
        algorithms=frozenset(settings.mcp_auth_algorithms),
        tenant_claim=settings.mcp_auth_tenant_claim,
    )
    if settings.mcp_auth_jwks_url:
        return TokenChecker(rules, PublishedKeys(partial(fetch_keys, settings.mcp_auth_jwks_url)))
    return TokenChecker(rules, ConfiguredKey(settings))


def verified_caller(context: RequestContext) -> Caller:
    """Return who sent this very request, not who opened its session."""
    user = context.request.scope.get("user") if context.request is not None else None
    if isinstance(user, AuthenticatedUser) and isinstance(user.access_token, CallerToken):
        return user.access_token.caller
    raise MCPError(INVALID_REQUEST, "Authentication required")


def _keep(kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _MOST_KEPT:
        kept.popitem(last=False)
