"""The issuer's keys: one that is configured, or those that it publishes as a JSON Web Key Set."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from servicetsunami.runtime.settings import Settings
from servicetsunami.runtime.strict_json import NotStrict, strict_object
from servicetsunami.runtime.tokens import TokenRefused
from servicetsunami.sdk import ConfigError, TsunamiError

log = logging.getLogger(__name__)
_REFRESH_SECONDS = 600.0
_STALE_SECONDS = 3600.0
"""How long keys serve that could not be fetched again; after that, no token proves anything."""
_REFETCH_SECONDS = 60.0
_RETRY_SECONDS = 5.0
"""How long a failed first fetch keeps from the next."""
_MOST_KEYS = 64
_SHORTEST_RSA_BITS = 2048
_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}

Fetch = Callable[[], Awaitable[bytes]]


class ConfiguredKey:
    """One key for every token: a public key, or a secret shared with the issuer."""

    def __init__(self, settings: Settings) -> None:
        text = settings.mcp_auth_key.get_secret_value() if settings.mcp_auth_key else ""
        self._key = _public_key(text) if "-----BEGIN" in text else text.encode()
        if not any(fits(self._key, algorithm) for algorithm in settings.mcp_auth_algorithms):
            raise _unsuitable("is too short, or of another kind than TSUNAMI_MCP_AUTH_ALGORITHMS names")

    async def find(self, _key_id: str | None, algorithm: str) -> Any:
        """Return the key, if the algorithm is one of its kind."""
        if not fits(self._key, algorithm):
            raise TokenRefused("it is signed with an algorithm of another kind of key")
        return self._key


class PublishedKeys:
    """The issuer's published keys, fetched when they are first needed and again from time to time.

    A token that names an unknown key lets them be fetched again, once a minute at most. If that fails, the last ones
    serve for an hour.
    """

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: Mapping[str | None, Mapping[str, Any]] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._turn = asyncio.Lock()

    async def find(self, key_id: str | None, algorithm: str) -> Any:
        """Return the key a token names; a token that names none gets the only one there is."""
        # While one caller fetches, those whose key is known go on with it.
        if self._is_due(key_id) and not (self._turn.locked() and self._named(key_id)):
            async with self._turn:
                if self._is_due(key_id):
                    await self._refresh()
        if self._age() > _STALE_SECONDS:
            raise TokenRefused("the issuer's keys cannot be had")
        jwk = self._named(key_id)
        key = None if jwk is None else _from_jwk(jwk, algorithm)
        if key is None or not fits(key, algorithm):
            raise TokenRefused("the issuer publishes no such key")
        return key

    def _is_due(self, key_id: str | None) -> bool:
        since = self._since_try()
        if self._fetched_at is None:
            return since > _RETRY_SECONDS
        return since > _REFETCH_SECONDS and (self._age() > _REFRESH_SECONDS or self._named(key_id) is None)

    def _named(self, key_id: str | None) -> Mapping[str, Any] | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    def _since_try(self) -> float:
        return float("inf") if self._tried_at is None else self._clock() - self._tried_at

    async def _refresh(self) -> None:
        try:
            self._keys = _read_set(await self._fetch())
        except NotStrict:
            log.warning("what the issuer publishes is no JSON Web Key Set of at most %d keys", _MOST_KEYS)
        except TsunamiError as error:
            log.warning("%s: %s", error.message, error.why)
        else:
            self._fetched_at = self._clock()
        self._tried_at = self._clock()


def fits(key: Any, algorithm: str) -> bool:
    """Tell whether a key is of the kind and strength that a signature algorithm needs."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if algorithm.startswith("HS"):
        return isinstance(key, bytes) and len(key) * 8 >= int(algorithm[2:])
    if algorithm.startswith(("RS", "PS")):
        return isinstance(key, rsa.RSAPublicKey) and key.key_size >= _SHORTEST_RSA_BITS
    if algorithm == "EdDSA":
        return isinstance(key, ed25519.Ed25519PublicKey)
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == _CURVES.get(algorithm)


def _public_key(pem: str) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(pem.replace("\\n", "\n").encode())
    except ValueError:
        raise _unsuitable("is no public key in PEM") from None


def _unsuitable(what: str) -> ConfigError:
    return ConfigError(
        f"TSUNAMI_MCP_AUTH_KEY {what}, so tokens cannot be checked and nothing starts",
        code="auth_key_unsuitable",
        field="mcp_auth_key",
        fix="set it to the issuer's public key (-----BEGIN PUBLIC KEY-----), RSA from 2048 bits on, or to a shared "
        "secret as long as the digest, and TSUNAMI_MCP_AUTH_ALGORITHMS to what the issuer signs with",
    )


def _read_set(raw: bytes) -> Mapping[str | None, Mapping[str, Any]]:
    keys = strict_object(raw).get("keys")
    if not isinstance(keys, list) or len(keys) > _MOST_KEYS or not all(isinstance(key, dict) for key in keys):
        raise NotStrict
    signing = [key for key in keys if key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"]
    found = {key.get("kid") if isinstance(key.get("kid"), str) else None: key for key in signing}
    if len(found) != len(signing):
        raise NotStrict  # two keys of one name: which one is meant cannot be known
    return found


def _from_jwk(jwk: Mapping[str, Any], algorithm: str) -> Any:
    import jwt

    if "d" in jwk or jwk.get("alg", algorithm) != algorithm:
        return None
    try:
        return jwt.PyJWK(dict(jwk), algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
