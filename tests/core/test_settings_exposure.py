"""Settings with which the MCP server would be more open over HTTP than it is protected."""

from __future__ import annotations

import os
from typing import Any

import pytest

from servicetsunami.runtime.exposure import endpoint_of, hosts_of, is_loopback, origins_of, refuse_exposure
from servicetsunami.runtime.settings import Settings
from servicetsunami.sdk import ConfigError

KEY = "a-shared-secret-of-at-least-32-bytes"
PEM = "-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY-----"
AUTH: dict[str, Any] = {
    "mcp_auth_issuer": "https://idp.example.com",
    "mcp_public_url": "https://mcp.example.com/mcp",
    "mcp_auth_jwks_url": "https://idp.example.com/keys",
}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "any address without authentication": ({"mcp_host": "0.0.0.0"}, "http_needs_authentication", "mcp_auth_issuer"),
    "an address without authentication": ({"mcp_host": "10.0.0.5"}, "http_needs_authentication", "mcp_auth_issuer"),
    "IPv6 without authentication": ({"mcp_host": "::"}, "http_needs_authentication", "mcp_auth_issuer"),
    "a name without authentication": ({"mcp_host": "mcp"}, "http_needs_authentication", "mcp_auth_issuer"),
    "another host without authentication": (
        {"mcp_allowed_hosts": "mcp.example.com"},
        "http_needs_authentication",
        "mcp_auth_issuer",
    ),
    "a public address without authentication": (
        {"mcp_public_url": "https://mcp.example.com/mcp"},
        "http_needs_authentication",
        "mcp_auth_issuer",
    ),
    "no hosts": (
        {**AUTH, "mcp_host": "0.0.0.0", "mcp_public_url": None, "mcp_auth_audience": "mcp"},
        "http_needs_hosts",
        "mcp_allowed_hosts",
    ),
    "issuer alone": ({"mcp_auth_issuer": "https://idp.example.com"}, "auth_incomplete", "mcp_auth_audience"),
    "audience alone": ({"mcp_auth_audience": "mcp"}, "auth_incomplete", "mcp_auth_issuer"),
    "keys alone": ({"mcp_auth_jwks_url": "https://idp.example.com/keys"}, "auth_incomplete", "mcp_auth_issuer"),
    "no keys": ({**AUTH, "mcp_auth_jwks_url": None}, "auth_incomplete", "mcp_auth_jwks_url"),
    "two kinds of keys": ({**AUTH, "mcp_auth_key": PEM}, "auth_incomplete", "mcp_auth_key"),
    "a short secret": (
        {**AUTH, "mcp_auth_jwks_url": None, "mcp_auth_key": "x" * 31, "mcp_auth_algorithms": "HS256"},
        "auth_key_unsuitable",
        "mcp_auth_key",
    ),
    "a shared algorithm for a public key": (
        {**AUTH, "mcp_auth_jwks_url": None, "mcp_auth_key": PEM, "mcp_auth_algorithms": "HS256"},
        "auth_algorithms_unsuitable",
        "mcp_auth_algorithms",
    ),
    "a shared algorithm for published keys": (
        {**AUTH, "mcp_auth_algorithms": "RS256, HS256"},
        "auth_algorithms_unsuitable",
        "mcp_auth_algorithms",
    ),
    "a public algorithm for a secret": (
        {**AUTH, "mcp_auth_jwks_url": None, "mcp_auth_key": KEY},
        "auth_algorithms_unsuitable",
        "mcp_auth_algorithms",
    ),
    "the algorithm none": (
        {**AUTH, "mcp_auth_algorithms": "none"},
        "auth_algorithms_unsuitable",
        "mcp_auth_algorithms",
    ),
    "no algorithm": ({**AUTH, "mcp_auth_algorithms": ""}, "auth_algorithms_unsuitable", "mcp_auth_algorithms"),
    "keys in the clear": (
        {**AUTH, "mcp_auth_jwks_url": "http://idp.example.com/keys"},
        "url_not_https",
        "mcp_auth_jwks_url",
    ),
    "keys with a password": (
        {**AUTH, "mcp_auth_jwks_url": "https://u:canary@idp.example.com/"},
        "url_not_https",
        "mcp_auth_jwks_url",
    ),
    "keys in a file": ({**AUTH, "mcp_auth_jwks_url": "file://keys"}, "url_not_https", "mcp_auth_jwks_url"),
    "an issuer that is no address": ({**AUTH, "mcp_auth_issuer": "idp"}, "url_not_https", "mcp_auth_issuer"),
    "a public address in the clear": (
        {**AUTH, "mcp_public_url": "http://mcp.example.com/mcp"},
        "url_not_https",
        "mcp_public_url",
    ),
    "several processes for the older transport": (
        {"mcp_workers": 2, "mcp_transport": "sse"},
        "http_workers_unavailable",
        "mcp_workers",
    ),
}


def made(**settings: Any) -> Settings:
    return Settings.model_validate({name: value for name, value in settings.items() if value is not None})


@pytest.mark.parametrize("name", REFUSED)
def test_an_exposed_server_is_refused(name: str) -> None:
    settings, code, field = REFUSED[name]

    with pytest.raises(ConfigError) as refused:
        refuse_exposure(made(**settings))

    assert (refused.value.code, refused.value.field) == (code, field)
    assert refused.value.fix
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mcp_host": "localhost"},
        {"mcp_host": "::1"},
        {"mcp_allowed_hosts": "localhost:9000"},
        AUTH,
        {**AUTH, "mcp_host": "0.0.0.0"},
        {**AUTH, "mcp_host": "0.0.0.0", "mcp_workers": 8},
        {**AUTH, "mcp_auth_jwks_url": "http://127.0.0.1:9000/keys"},
        {**AUTH, "mcp_auth_jwks_url": None, "mcp_auth_key": KEY, "mcp_auth_algorithms": "HS256"},
        {**AUTH, "mcp_public_url": None, "mcp_auth_audience": "mcp", "mcp_allowed_hosts": "mcp.internal"},
    ],
    ids=str,
)
def test_a_protected_server_starts(settings: dict[str, Any]) -> None:
    refuse_exposure(made(**settings))

    assert endpoint_of(made(**settings)).endswith("/mcp")


def test_the_hosts_served_are_this_machines_the_allowed_ones_and_the_public_one() -> None:
    hosts = hosts_of(made(**AUTH, mcp_allowed_hosts="mcp.internal, proxy:8443, other:*"))

    assert {"localhost:*", "127.0.0.1", "[::1]:*", "mcp.example.com", "mcp.example.com:*"} <= set(hosts)
    assert {"mcp.internal", "mcp.internal:*", "proxy:8443", "other:*"} <= set(hosts)
    assert not {"proxy", "proxy:8443:*", "other", "*"} & set(hosts)


def test_origins_of_this_machine_are_served_on_loopback_only() -> None:
    here, elsewhere = made(**AUTH), made(**AUTH, mcp_host="0.0.0.0", mcp_allowed_origins="https://app.example.com")

    assert "http://localhost:*" in origins_of(here)
    assert origins_of(elsewhere) == ("https://app.example.com",)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_recognised(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example.com", "127.0.0.1.nip.io", "2130706433"]
)
def test_what_only_looks_like_loopback_is_not(host: str) -> None:
    assert not is_loopback(host)


def test_several_processes_are_refused_where_there_is_no_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")

    with pytest.raises(ConfigError) as refused:
        refuse_exposure(made(mcp_workers=2))

    assert refused.value.code == "http_workers_unavailable"


@pytest.mark.parametrize(
    ("settings", "endpoint"),
    [
        ({}, "http://127.0.0.1:8085/mcp"),
        ({"mcp_host": "::1", "mcp_port": 9000}, "http://[::1]:9000/mcp"),
        ({"mcp_allowed_hosts": "localhost:9000"}, "http://127.0.0.1:8085/mcp"),
        ({"mcp_host": "0.0.0.0", "mcp_allowed_hosts": "mcp.internal, other"}, "http://mcp.internal:8085/mcp"),
        ({"mcp_host": "0.0.0.0", "mcp_allowed_hosts": "mcp.internal:*"}, "http://mcp.internal:8085/mcp"),
        ({"mcp_host": "0.0.0.0", "mcp_allowed_hosts": "mcp.internal:8443"}, "http://mcp.internal:8443/mcp"),
        ({**AUTH, "mcp_host": "0.0.0.0", "mcp_allowed_hosts": "mcp.internal"}, "https://mcp.example.com/mcp"),
    ],
    ids=str,
)
def test_the_endpoint_is_where_clients_reach_it(settings: dict[str, Any], endpoint: str) -> None:
    assert endpoint_of(made(**settings)) == endpoint
