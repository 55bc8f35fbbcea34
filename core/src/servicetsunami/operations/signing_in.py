"""Having a person sign in at a source's own site, so that a connection gets a refresh token nobody typed.

The page of a secret request sends the person there, and they come back with a code (RFC 6749, 4.1, with PKCE of RFC
7636). What they come back with counts only in the browser that left, for a request that still waits.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from servicetsunami.operations.read_only import changing
from servicetsunami.operations.secret_requests import connected_with, opened
from servicetsunami.operations.secrets import read_references, sign_in_for
from servicetsunami.sdk import AuthError, Problem, TokenRequest, TsunamiError
from servicetsunami.sdk.oauth import fetch_token

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.records import SecretRequest
    from servicetsunami.sdk import SignIn

_PURPOSE = "sign-in/v1"
_ERROR = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True)
class Departure:
    """Where a person goes to sign in, and what their browser keeps until they are back."""

    url: str
    browser: str


@dataclass(frozen=True)
class Return:
    """What a person came back with."""

    state: str
    browser: str
    code: str = ""
    error: str = ""


@dataclass(frozen=True)
class _Departed:
    """What the endpoint is told again of how a person left."""

    redirect_uri: str
    verifier: str


async def sign_in_of(app: App, request: SecretRequest, given: Mapping[str, str] | None = None) -> SignIn | None:
    """Return how a person signs in for what a request asks; None if its connector knows no way."""
    cls = app.plugins.connector(request.connector)
    local = app.settings.mcp_transport == "stdio"
    read = await read_references(app, request.tenant, request.secret_refs, local=local)
    way = sign_in_for(cls, {**request.settings, **read, **(given or {})})
    return way if way is not None and way.refresh_field in request.fields else None


@changing("nobody signs in")
async def depart(app: App, token: str, given: Mapping[str, str], redirect_uri: str) -> Departure | None:
    """Begin to sign in for a page; the secrets that were given on it are kept until then. None if nobody can."""
    request = await opened(app, token)
    if request is None:
        return None
    wanted = {name: value for name, value in given.items() if name in request.fields and value}
    app.redactor.add(wanted.values())
    way = await sign_in_of(app, request, wanted)
    if way is None:
        return None
    await app.records.keep_given_secrets(request, wanted)
    proofs = await _proofs(app, request.id)
    query = {
        "response_type": "code",
        "client_id": way.client_id,
        "redirect_uri": redirect_uri,
        "scope": way.scope,
        "state": f"{request.id}.{proofs['state']}",
        "code_challenge": _challenge(proofs["verifier"]),
        "code_challenge_method": "S256",
        **way.params,
    }
    joint = "&" if "?" in way.authorize_url else "?"
    return Departure(f"{way.authorize_url}{joint}{urlencode(query)}", proofs["browser"])


@changing("nothing was connected")
async def come_back(app: App, back: Return, redirect_uri: str) -> SecretRequest | None:
    """Connect with what a person came back with; the request as it is then, None if there is nothing to answer."""
    request_id, _, state = back.state.partition(".")
    proofs = await _proofs(app, request_id)
    if not (_same(state, proofs["state"]) and _same(back.browser, proofs["browser"])):
        return None
    request = await app.records.secret_request(request_id)
    if request is None or not await app.records.claim_secret_request(request.id):
        return None
    changes: dict[str, Any] = {"status": "failed"}
    try:
        changes = await _signed_in(app, request, back, _Departed(redirect_uri, proofs["verifier"]))
    finally:
        await asyncio.shield(app.records.change_secret_request(request.id, **changes))
    return await app.records.secret_request(request.id)


async def _signed_in(app: App, request: SecretRequest, back: Return, departed: _Departed) -> dict[str, Any]:
    try:
        given = await app.records.given_secrets(request)
        app.redactor.add(given.values())
        way = await sign_in_of(app, request, given)
        if way is None or not back.code:
            raise _refused(back.error)
        refresh = await asyncio.to_thread(_exchanged, app, request.tenant, way, back.code, departed)
    except TsunamiError as error:
        problem: Problem = error.problem()
        return {"status": "failed", "problem": app.redactor.value(problem.model_dump(mode="json"))}
    app.redactor.add([refresh])
    return await connected_with(app, request, {**given, way.refresh_field: refresh})


def _exchanged(app: App, tenant: str, way: SignIn, code: str, departed: _Departed) -> str:
    """Return the refresh token that a code is exchanged for."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": departed.redirect_uri,
        "client_id": way.client_id,
        "client_secret": way.client_secret.get_secret_value() if way.client_secret else "",
        "code_verifier": departed.verifier,
    }
    token = fetch_token(TokenRequest(way.token_url, form), lambda url: app.http_of(tenant, url))
    if token.refresh_token is None:
        raise AuthError(
            "the sign-in gave no refresh token, so the connection would end within the hour",
            code="no_refresh_token",
            fix="withdraw the program's access in your account there, then sign in again and allow offline access",
        )
    return token.refresh_token.get_secret_value()


def _refused(error: str) -> AuthError:
    reason = error if _ERROR.fullmatch(error) else "no code came back"
    return AuthError(
        "the sign-in did not succeed, so nothing was connected",
        code="sign_in_refused",
        why=reason,
        fix="begin again on the page that sent you there, and allow what is asked",
    )


async def _proofs(app: App, request_id: str) -> dict[str, str]:
    """Derive what proves that a return belongs to a departure: none of it is stored, and each is of no other use."""
    key = await app.records.derived_key(_PURPOSE)
    return {
        use: _text(hmac.new(key, f"{use}/{request_id}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest())
        for use in ("state", "browser", "verifier")
    }


def _challenge(verifier: str) -> str:
    return _text(hashlib.sha256(verifier.encode()).digest())


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())
