"""Who may reach the MCP server over HTTP: settings that would expose it further than they protect it are refused."""

from __future__ import annotations

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from servicetsunami.runtime.settings import Settings, variable_of
from servicetsunami.sdk import ConfigError

SHORTEST_SHARED_KEY = 32
"""Bytes of a shared secret that signs tokens: as many as its digest has (RFC 7518, 3.2)."""
_OF_AUTHENTICATION = ("mcp_auth_issuer", "mcp_auth_audience", "mcp_auth_jwks_url", "mcp_auth_key")
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_SIGNATURES = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
_SHARED = frozenset({"HS256", "HS384", "HS512"})


def authenticates(settings: Settings) -> bool:
    """Tell whether callers over HTTP have to prove who they are."""
    return any(getattr(settings, name) for name in _OF_AUTHENTICATION)


def audience_of(settings: Settings) -> str | None:
    """Return whom tokens have to be for."""
    return settings.mcp_auth_audience or settings.mcp_public_url


def endpoint_of(settings: Settings) -> str:
    """Return the address by which clients reach the server over HTTP: the public one, or what comes nearest to it."""
    if settings.mcp_public_url:
        return settings.mcp_public_url
    listening = f"[{settings.mcp_host}]" if ":" in settings.mcp_host else settings.mcp_host
    named = [] if is_loopback(settings.mcp_host) else _foreign_hosts(settings)
    host = named[0].removesuffix(":*") if named else listening
    return f"http://{host}/mcp" if host.rpartition(":")[2].isdigit() else f"http://{host}:{settings.mcp_port}/mcp"


def hosts_of(settings: Settings) -> tuple[str, ...]:
    """Return the values of the `Host` header that are served, `name:*` for any port."""
    return tuple(form for name in (*_LOOPBACK_NAMES, *_foreign_hosts(settings)) for form in _with_ports(name))


def origins_of(settings: Settings) -> tuple[str, ...]:
    """Return the web origins that may use the server; those of this machine only while it listens on loopback."""
    own = [f"http://{name}:*" for name in _LOOPBACK_NAMES] if is_loopback(settings.mcp_host) else []
    return (*own, *settings.mcp_allowed_origins)


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine only; names other than `localhost` are not trusted."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_exposure(settings: Settings) -> None:
    """Raise `ConfigError` for settings with which the server over HTTP would not be safe to start.

    Codes: `auth_incomplete`, `auth_key_unsuitable`, `auth_algorithms_unsuitable`, `url_not_https`,
    `http_needs_authentication`, `http_needs_hosts`, `http_workers_unavailable`.
    """
    _check_url("mcp_public_url", settings.mcp_public_url)
    _check_url("mcp_auth_issuer", settings.mcp_auth_issuer)
    _check_url("mcp_auth_jwks_url", settings.mcp_auth_jwks_url)
    if authenticates(settings):
        _refuse_incomplete(settings)
        _refuse_algorithms(settings)
    else:
        _refuse_anonymous(settings)
    if not is_loopback(settings.mcp_host) and not _foreign_hosts(settings):
        raise ConfigError(
            f"the MCP server would listen on {settings.mcp_host}, but no host name is allowed, so every request "
            "from another machine would be refused",
            code="http_needs_hosts",
            field="mcp_allowed_hosts",
            fix="set TSUNAMI_MCP_ALLOWED_HOSTS to the names by which clients reach it, such as mcp.example.com",
        )
    _refuse_workers(settings)


def _refuse_anonymous(settings: Settings) -> None:
    foreign = [] if is_loopback(settings.mcp_host) else [settings.mcp_host]
    foreign += _foreign_hosts(settings)
    if foreign:
        raise ConfigError(
            f"the MCP server would serve {foreign[0]} without knowing who calls, so it does not start",
            code="http_needs_authentication",
            field="mcp_auth_issuer",
            fix="set TSUNAMI_MCP_AUTH_ISSUER, TSUNAMI_MCP_PUBLIC_URL and TSUNAMI_MCP_AUTH_JWKS_URL (or "
            "TSUNAMI_MCP_AUTH_KEY), or serve this machine only: leave TSUNAMI_MCP_HOST at 127.0.0.1 and allow no "
            "other host",
        )


def _refuse_incomplete(settings: Settings) -> None:
    keys = [name for name in ("mcp_auth_jwks_url", "mcp_auth_key") if getattr(settings, name)]
    lacking = {
        "mcp_auth_issuer": settings.mcp_auth_issuer,
        "mcp_auth_audience": audience_of(settings),
        "mcp_auth_jwks_url": keys,
    }
    for name, value in lacking.items():
        if not value:
            raise _incomplete(name, f"{variable_of(name)} is not set")
    if len(keys) > 1:
        raise _incomplete("mcp_auth_key", "both TSUNAMI_MCP_AUTH_JWKS_URL and TSUNAMI_MCP_AUTH_KEY are set")


def _incomplete(field: str, what: str) -> ConfigError:
    return ConfigError(
        f"callers should prove who they are, but {what}, so tokens cannot be checked and nothing starts",
        code="auth_incomplete",
        field=field,
        fix="set TSUNAMI_MCP_AUTH_ISSUER, one of TSUNAMI_MCP_AUTH_JWKS_URL and TSUNAMI_MCP_AUTH_KEY, and "
        "TSUNAMI_MCP_AUTH_AUDIENCE unless TSUNAMI_MCP_PUBLIC_URL is the audience",
    )


def _refuse_algorithms(settings: Settings) -> None:
    wanted = set(settings.mcp_auth_algorithms)
    key = settings.mcp_auth_key.get_secret_value() if settings.mcp_auth_key else None
    shared = key is not None and "-----BEGIN" not in key
    allowed = _SHARED if shared else _SIGNATURES
    if not wanted or not wanted <= allowed:
        kind = "a shared secret" if shared else "a public key"
        raise ConfigError(
            f"tokens signed with {', '.join(sorted(wanted - allowed)) or 'nothing'} cannot be checked with {kind}",
            code="auth_algorithms_unsuitable",
            field="mcp_auth_algorithms",
            fix=f"set TSUNAMI_MCP_AUTH_ALGORITHMS to some of {', '.join(sorted(allowed))}",
        )
    if shared and key is not None and len(key.encode()) < SHORTEST_SHARED_KEY:
        raise ConfigError(
            f"the shared secret that signs tokens is shorter than {SHORTEST_SHARED_KEY} bytes, so it could be guessed",
            code="auth_key_unsuitable",
            field="mcp_auth_key",
            fix="make a new one, such as with `openssl rand -base64 48`, and give it to the issuer too",
        )


def _refuse_workers(settings: Settings) -> None:
    if settings.mcp_workers == 1:
        return
    if settings.mcp_transport == "sse":
        raise ConfigError(
            "a client of the transport sse stays with one process, so it cannot be served by several",
            code="http_workers_unavailable",
            field="mcp_workers",
            fix="set TSUNAMI_MCP_WORKERS=1, or MCP_TRANSPORT=streamable-http",
        )
    if not hasattr(os, "fork"):
        raise ConfigError(
            "this system has no fork, so several processes cannot serve one port",
            code="http_workers_unavailable",
            field="mcp_workers",
            fix="set TSUNAMI_MCP_WORKERS=1",
        )


def _check_url(name: str, url: str | None) -> None:
    if url is None:
        return
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not safe or not parts.hostname or parts.username or parts.password or parts.fragment:
        raise ConfigError(
            f"{variable_of(name)} is not an https address without user, password and fragment",
            code="url_not_https",
            field=name,
            fix="use an address such as https://mcp.example.com/mcp; http is for this machine only",
        )


def _foreign_hosts(settings: Settings) -> list[str]:
    public = urlsplit(settings.mcp_public_url or "").netloc
    named = [*settings.mcp_allowed_hosts, *([public] if public else [])]
    return [name for name in dict.fromkeys(named) if not is_loopback(_bare(name))]


def _bare(name: str) -> str:
    return urlsplit(f"//{name.removesuffix(':*')}").hostname or name


def _with_ports(name: str) -> tuple[str, ...]:
    return (name,) if name.rpartition(":")[2].isdigit() or name.endswith(":*") else (name, f"{name}:*")
