"""Checking access tokens: JSON Web Tokens of one issuer, for one audience, signed with one of its keys.

The signature is PyJWT's part; what a token may look like and what it must say is decided here, and anything that is
not foreseen is refused. Why a token was refused is for the log: whoever sent it only learns that it was.
"""

from __future__ import annotations

import math
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

from servicetsunami.runtime.strict_json import NotStrict, strict_object

LONGEST_TOKEN = 8 * 1024
_LEEWAY_SECONDS = 60
_LATEST = 2**53
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_TYPES = frozenset({"at+jwt", "jwt"})
_FOREIGN_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty"})
"""Headers that bring a key along, name where to fetch one, or change how the token is to be read."""
_LONGEST_NAME = 256
_MOST_AUDIENCES = 16


class TokenRefused(Exception):
    """A token that proves nothing; the reason holds no part of it."""


class Keys(Protocol):
    """The issuer's keys."""

    async def find(self, key_id: str | None, algorithm: str) -> Any:
        """Return the key that a token names; raises `TokenRefused` if there is none that fits."""


@dataclass(frozen=True)
class TokenRules:
    """What a token has to be."""

    issuer: str
    audience: str
    algorithms: frozenset[str]
    tenant_claim: str


@dataclass(frozen=True)
class Claims:
    """What a token proves."""

    subject: str
    client: str
    tenant: str
    scopes: frozenset[str]
    expires_at: float
    """When it ends, in seconds since 1970, the leeway included."""


class TokenChecker:
    """Checks tokens against rules and keys."""

    def __init__(self, rules: TokenRules, keys: Keys, *, clock: Callable[[], float] = time.time) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock

    async def check(self, token: str) -> Claims:
        """Return what a token proves; raises `TokenRefused`."""
        if len(token) > LONGEST_TOKEN:
            raise TokenRefused("it is longer than 8 KiB")
        if _COMPACT.fullmatch(token) is None:
            raise TokenRefused("it is no signed JSON Web Token in compact form")
        head, body, _signature = token.split(".")
        algorithm, key_id = self._read_header(_segment(head))
        key = await self._keys.find(key_id, algorithm)
        _check_signature(token, key, algorithm)
        return self._read_claims(_segment(body))

    def _read_header(self, header: Mapping[str, Any]) -> tuple[str, str | None]:
        if _FOREIGN_HEADERS & header.keys():
            raise TokenRefused("its header brings or names a key, or asks for another reading")
        algorithm, kind, key_id = header.get("alg"), header.get("typ"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._rules.algorithms:
            raise TokenRefused("it is signed with an algorithm that is not allowed")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
            raise TokenRefused("its type is not at+jwt or JWT")
        if "kid" in header and not _is_name(key_id):
            raise TokenRefused("the name of its key is not a short text")
        return algorithm, key_id

    def _read_claims(self, claims: Mapping[str, Any]) -> Claims:
        if claims.get("iss") != self._rules.issuer:
            raise TokenRefused("another issuer made it")
        if self._rules.audience not in _audiences(claims.get("aud")):
            raise TokenRefused("it is for another audience")
        if "cnf" in claims:
            raise TokenRefused("it belongs to the holder of a key, which is not asked for here")
        expires_at = self._check_times(claims)
        subject, tenant = claims.get("sub"), claims.get(self._rules.tenant_claim)
        if not _is_name(subject) or not _is_name(tenant):
            raise TokenRefused("it does not name a subject and a tenant")
        client = next((value for name in ("client_id", "azp") if (value := claims.get(name)) is not None), subject)
        if not _is_name(client):
            raise TokenRefused("the name of its client is not a short text")
        return Claims(subject, client, tenant, _scopes(claims), expires_at)

    def _check_times(self, claims: Mapping[str, Any]) -> float:
        now, expires_at = self._clock(), _moment(claims, "exp")
        if expires_at + _LEEWAY_SECONDS <= now:
            raise TokenRefused("it has expired")
        if _moment(claims, "iat") > now + _LEEWAY_SECONDS:
            raise TokenRefused("it was issued in the future")
        if "nbf" in claims and _moment(claims, "nbf") > now + _LEEWAY_SECONDS:
            raise TokenRefused("it is not valid yet")
        return expires_at + _LEEWAY_SECONDS


def _segment(text: str) -> Mapping[str, Any]:
    try:
        return strict_object(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (NotStrict, ValueError):
        raise TokenRefused("a part of it is not one JSON object without repeated names") from None


def _check_signature(token: str, key: Any, algorithm: str) -> None:
    import jwt

    try:
        jwt.PyJWS(algorithms=[algorithm], options={"enforce_minimum_key_length": True}).decode_complete(
            token, key, algorithms=[algorithm]
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        raise TokenRefused("its signature is not by the issuer's key") from None


def _audiences(value: Any) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or len(values) > _MOST_AUDIENCES or not all(isinstance(one, str) for one in values):
        raise TokenRefused("its audience is not text or a short list of texts")
    return values


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(f"its {name} is not a number")
    if not math.isfinite(value) or not 0 <= value < _LATEST:
        raise TokenRefused(f"its {name} is no moment")
    return float(value)


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    scopes: set[str] = set()
    for name in ("scope", "scp"):
        value = claims.get(name, "")
        words = value.split(" ") if isinstance(value, str) else value
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise TokenRefused(f"its {name} is not text or a list of texts")
        scopes.update(words)
    return frozenset(scopes - {""})


def _is_name(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()
