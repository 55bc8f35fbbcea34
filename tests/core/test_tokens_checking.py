"""Tokens that prove something, and many more that do not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from servicetsunami.runtime.settings import Settings
from servicetsunami.runtime.token_keys import ConfiguredKey
from servicetsunami.runtime.tokens import LONGEST_TOKEN, TokenChecker, TokenRefused, TokenRules
from servicetsunami.sdk import ConfigError

pytestmark = pytest.mark.anyio
ISSUER = "https://idp.example.com"
AUDIENCE = "https://mcp.example.com/mcp"
NOW = 1_800_000_000
SECRET = "a-shared-secret-of-at-least-32-bytes"


@cache
def rsa_key(bits: int = 2048, which: int = 0) -> rsa.RSAPrivateKey:
    assert which >= 0
    return rsa.generate_private_key(65537, bits)


def public_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def checker(key: str | None = None, *algorithms: str, **rules: Any) -> TokenChecker:
    wanted = algorithms or ("RS256",)
    settings = Settings.model_validate(
        {"mcp_auth_key": key or public_pem(rsa_key()), "mcp_auth_algorithms": ",".join(wanted)}
    )
    chosen = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": frozenset(wanted), "tenant_claim": "tenant"}
    return TokenChecker(TokenRules(**{**chosen, **rules}), ConfiguredKey(settings), clock=lambda: float(NOW))


def claims(**changes: Any) -> dict[str, Any]:
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "iat": NOW,
        "exp": NOW + 600,
        "tenant": "acme",
        "scope": "read sync",
        **changes,
    }
    return {name: value for name, value in said.items() if value is not ...}


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def raw_token(header: bytes, payload: bytes) -> str:
    """Sign exactly these bytes, whatever they are."""
    signed = f"{encoded(header)}.{encoded(payload)}".encode()
    return f"{signed.decode()}.{encoded(jwt.get_algorithm_by_name('RS256').sign(signed, rsa_key()))}"


def token(*, header: dict[str, Any] | None = None, **changes: Any) -> str:
    head = {"alg": "RS256", "typ": "at+jwt", **(header or {})}
    return raw_token(
        json.dumps({name: value for name, value in head.items() if value is not ...}).encode(),
        json.dumps(claims(**changes)).encode(),
    )


def hmac_token(secret: bytes, algorithm: str = "HS256") -> str:
    signed = (
        f"{encoded(json.dumps({'alg': algorithm, 'typ': 'JWT'}).encode())}.{encoded(json.dumps(claims()).encode())}"
    )
    return f"{signed}.{encoded(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def in_other_hands() -> str:
    return jwt.encode(claims(), rsa_key(2048, 1), "RS256", {"typ": "at+jwt"})


def altered() -> str:
    head, body, signature = token().split(".")
    forged = json.loads(base64.urlsafe_b64decode(body + "==")) | {"tenant": "other"}
    return f"{head}.{encoded(json.dumps(forged).encode())}.{signature}"


def unsigned(algorithm: str) -> str:
    head = encoded(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    return f"{head}.{encoded(json.dumps(claims()).encode())}."


PLAIN_HEADER = b'{"alg":"RS256","typ":"at+jwt"}'
HOSTILE: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: unsigned("none"),
    "no algorithm in other letters": lambda: unsigned("nOnE"),
    "no algorithm but a signature": lambda: token(header={"alg": "none"}),
    "algorithm absent": lambda: token(header={"alg": ...}),
    "algorithm a list": lambda: token(header={"alg": ["RS256"]}),
    "algorithm not allowed": lambda: jwt.encode(claims(), rsa_key(), "RS512", {"typ": "JWT"}),
    "the public key as a shared secret": lambda: hmac_token(public_pem(rsa_key()).encode()),
    "an empty shared secret": lambda: hmac_token(b""),
    "another key": in_other_hands,
    "another payload under the signature": altered,
    "a bit of the signature changed": lambda: token()[:-6] + ("A" if token()[-6] != "A" else "B") + token()[-5:],
    "signature cut": lambda: token()[:-40],
    "signature empty": lambda: token().rpartition(".")[0] + ".",
    "type of an identity token": lambda: token(header={"typ": "id+jwt"}),
    "type of a logout token": lambda: token(header={"typ": "logout+jwt"}),
    "type absent": lambda: token(header={"typ": ...}),
    "type no text": lambda: token(header={"typ": 1}),
    "key by address": lambda: token(header={"jku": "https://evil.example/keys"}),
    "key in the header": lambda: token(header={"jwk": {"kty": "oct", "k": "AA"}}),
    "certificate by address": lambda: token(header={"x5u": "https://evil.example/cert"}),
    "certificate in the header": lambda: token(header={"x5c": ["AA"]}),
    "critical header": lambda: token(header={"crit": ["exp"]}),
    "payload not encoded": lambda: token(header={"b64": False}),
    "compressed": lambda: token(header={"zip": "DEF"}),
    "encrypted": lambda: token(header={"enc": "A256GCM"}),
    "nested": lambda: token(header={"cty": "JWT"}),
    "key name a number": lambda: token(header={"kid": 1}),
    "key name empty": lambda: token(header={"kid": ""}),
    "key name with a NUL": lambda: token(header={"kid": "a\0b"}),
    "key name too long": lambda: token(header={"kid": "k" * 300}),
    "another issuer": lambda: token(iss="https://evil.example.com"),
    "issuer with a slash more": lambda: token(iss=f"{ISSUER}/"),
    "issuer in capitals": lambda: token(iss=ISSUER.upper()),
    "issuer a list": lambda: token(iss=[ISSUER]),
    "issuer absent": lambda: token(iss=...),
    "another audience": lambda: token(aud="https://other.example.com/mcp"),
    "audience with a slash more": lambda: token(aud=f"{AUDIENCE}/"),
    "audience a prefix": lambda: token(aud=AUDIENCE[:-4]),
    "audience others": lambda: token(aud=["https://a.example", "https://b.example"]),
    "audience empty": lambda: token(aud=[]),
    "audience absent": lambda: token(aud=...),
    "audience an object": lambda: token(aud={AUDIENCE: 1}),
    "audience of mixed types": lambda: token(aud=[AUDIENCE, 1]),
    "audience of anybody": lambda: token(aud=[AUDIENCE, *map(str, range(100))]),
    "expired": lambda: token(exp=NOW - 61),
    "expired at the end of the leeway": lambda: token(exp=NOW - 60),
    "no end": lambda: token(exp=...),
    "end null": lambda: token(exp=None),
    "end a text": lambda: token(exp=str(NOW + 600)),
    "end true": lambda: token(exp=True),
    "end negative": lambda: token(exp=-1),
    "end beyond all time": lambda: token(exp=10**300),
    "end not a number": lambda: raw_token(PLAIN_HEADER, json.dumps(claims(exp=float("nan"))).encode()),
    "end infinite": lambda: raw_token(PLAIN_HEADER, json.dumps(claims(exp=float("inf"))).encode()),
    "end infinite by overflow": lambda: raw_token(
        PLAIN_HEADER, json.dumps(claims(exp=0)).replace(": 0", ": 1e999").encode()
    ),
    "no beginning": lambda: token(iat=...),
    "issued in the future": lambda: token(iat=NOW + 61),
    "not valid yet": lambda: token(nbf=NOW + 61),
    "beginning a text": lambda: token(nbf="now"),
    "beginning true": lambda: token(iat=True),
    "a claim of ours not a number": lambda: raw_token(PLAIN_HEADER, json.dumps(claims(note=float("nan"))).encode()),
    "no subject": lambda: token(sub=...),
    "subject empty": lambda: token(sub=""),
    "subject a number": lambda: token(sub=7),
    "subject with a line break": lambda: token(sub="ada\nadmin"),
    "subject endless": lambda: token(sub="a" * 300),
    "no tenant": lambda: token(tenant=...),
    "tenant a list": lambda: token(tenant=["acme", "other"]),
    "tenant null": lambda: token(tenant=None),
    "bound to a key": lambda: token(cnf={"jkt": "x"}),
    "scope an object": lambda: token(scope={"read": True}),
    "scope a list of numbers": lambda: token(scope=..., scp=[1]),
    "client a list": lambda: token(client_id=["a"]),
    "two tenants": lambda: raw_token(PLAIN_HEADER, json.dumps(claims()).replace("}", ',"tenant":"other"}').encode()),
    "two issuers": lambda: raw_token(PLAIN_HEADER, json.dumps(claims()).replace("{", '{"iss":"x",').encode()),
    "two algorithms": lambda: raw_token(b'{"alg":"none","alg":"RS256","typ":"JWT"}', json.dumps(claims()).encode()),
    "two of one inside": lambda: raw_token(
        PLAIN_HEADER, json.dumps(claims(act=0)).replace('"act": 0', '"act":{"a":1,"a":2}').encode()
    ),
    "payload a list": lambda: raw_token(PLAIN_HEADER, json.dumps([claims()]).encode()),
    "payload text": lambda: raw_token(PLAIN_HEADER, b"hello"),
    "payload not UTF-8": lambda: raw_token(PLAIN_HEADER, json.dumps(claims(sub="X")).encode().replace(b"X", b"\xff")),
    "payload in UTF-16": lambda: raw_token(PLAIN_HEADER, json.dumps(claims()).encode("utf-16")),
    "payload nested without end": lambda: raw_token(PLAIN_HEADER, b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"),
    "header a text": lambda: raw_token(b'"RS256"', json.dumps(claims()).encode()),
    "header empty": lambda: raw_token(b"{}", json.dumps(claims()).encode()),
    "too long": lambda: token(note="x" * LONGEST_TOKEN),
    "two parts": lambda: token().rpartition(".")[0],
    "four parts": lambda: f"{token()}.AAAA",
    "five parts, as if encrypted": lambda: ".".join([token(), "AAAA", "AAAA"]),
    "a space at the end": lambda: f"{token()} ",
    "a line break at the end": lambda: f"{token()}\n",
    "padding": lambda: token().replace(".", "==.", 1),
    "other letters": lambda: token().replace(".", "é.", 1),
    "base64 of the other kind": lambda: token().replace(".", "+/.", 1),
    "JSON serialization": lambda: json.dumps({"payload": "e30", "signatures": []}),
    "empty": lambda: "",
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_token_is_refused(kind: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        await checker().check(HOSTILE[kind]())

    assert "evil" not in str(refused.value)
    assert "ada" not in str(refused.value)


def test_the_hostile_tokens_are_many() -> None:
    assert len(HOSTILE) >= 90


async def test_a_good_token_proves_subject_tenant_client_and_scopes() -> None:
    found = await checker().check(token(client_id="claude", scp=["admin"]))

    assert (found.subject, found.tenant, found.client) == ("ada", "acme", "claude")
    assert found.scopes == {"read", "sync", "admin"}
    assert found.expires_at == NOW + 660


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [AUDIENCE]},
        {"aud": ["account", AUDIENCE]},
        {"exp": NOW - 59},
        {"exp": NOW + 0.5},
        {"iat": NOW + 60},
        {"nbf": NOW + 60},
        {"scope": ...},
        {"scope": ["read"]},
        {"azp": "claude"},
        {"header": {"typ": "JWT"}},
        {"header": {"typ": "application/at+jwt"}},
        {"header": {"kid": "any", "x5t": "AA"}},
    ],
)
async def test_a_token_within_the_rules_is_accepted(changes: dict[str, Any]) -> None:
    assert (await checker().check(token(**changes))).subject == "ada"


async def test_the_tenant_is_read_from_the_configured_claim() -> None:
    found = await checker(tenant_claim="https://example.com/org").check(
        raw_token(PLAIN_HEADER, json.dumps(claims(tenant="other") | {"https://example.com/org": "acme"}).encode())
    )

    assert found.tenant == "acme"


async def test_curves_edwards_keys_and_shared_secrets_check_tokens_too() -> None:
    curve, edwards = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    signed = [
        (public_pem(curve), "ES256", jwt.encode(claims(), curve, "ES256")),
        (public_pem(edwards), "EdDSA", jwt.encode(claims(), edwards, "EdDSA")),
        (SECRET, "HS256", jwt.encode(claims(), SECRET, "HS256")),
    ]

    found = [await checker(key, algorithm).check(one) for key, algorithm, one in signed]

    assert [one.tenant for one in found] == ["acme"] * 3


async def test_a_token_of_another_curve_is_refused() -> None:
    curve = ec.generate_private_key(ec.SECP384R1())

    with pytest.raises(TokenRefused):
        await checker(public_pem(ec.generate_private_key(ec.SECP256R1())), "ES256").check(
            jwt.encode(claims(), curve, "ES384")
        )


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        ("-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----", "RS256"),
        (
            rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "RS256",
        ),
        (public_pem(rsa_key(1024)), "RS256"),
        (public_pem(ec.generate_private_key(ec.SECP384R1())), "ES256"),
        (public_pem(rsa_key()), "ES256"),
        ("tiny-secret", "HS256"),
    ],
    ids=["nonsense", "private", "1024 bits", "other curve", "other kind", "short"],
)
def test_a_key_that_cannot_check_anything_is_refused_at_the_start(key: str, algorithms: str) -> None:
    settings = Settings.model_validate({"mcp_auth_key": key, "mcp_auth_algorithms": algorithms})

    with pytest.raises(ConfigError) as refused:
        ConfiguredKey(settings)

    assert refused.value.code == "auth_key_unsuitable"
    assert key[-40:] not in str(refused.value)


async def test_checking_logs_no_part_of_a_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    with pytest.raises(TokenRefused):
        await checker().check(altered())

    assert token().split(".")[1][:20] not in caplog.text
