"""Where the server is: at an address, or behind a command that starts it."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from servicetsunami.sdk import ConfigError

if TYPE_CHECKING:
    import httpx2
    from mcp import Client

CONNECT_SECONDS = 10.0
GREETING_SECONDS = 30.0
"""How long a server may take to start and to say who it is, however short an answer may take."""


@dataclass(frozen=True)
class Target:
    """A server to talk to."""

    url: str | None = None
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        if self.url is None:
            return f"the server started as {self.command[0]}"
        return f"the server at {_without_user(self.url)}"


def target_of(
    url: str | None, *, command: Sequence[str] | None, env: Mapping[str, str] | None, token: str | None
) -> Target:
    """Return the server that was meant; raises `ConfigError` for what contradicts itself or would show a token."""
    if url is None:
        if token is not None:
            raise ConfigError("a token is for a server at an address", code="token_unused", fix="pass url=... too")
        return Target(command=tuple(command or (sys.executable, "-m", "servicetsunami.cli", "serve")), env=env or {})
    if command is not None or env is not None:
        raise ConfigError("url and command exclude each other", code="two_targets", fix="pass one of them")
    _check(url, token)
    return Target(url=url, token=token)


@asynccontextmanager
async def opened(target: Target, seconds: float, heard: Callable[[int], None]) -> AsyncIterator[Client]:
    """Connect; `heard` is told each HTTP status that is an error."""
    from mcp import Client, StdioServerParameters
    from mcp.client.streamable_http import streamable_http_client

    if target.url is None:
        # A server of one's own is a child like any other: it has the environment of its parent.
        server = StdioServerParameters(
            command=target.command[0], args=list(target.command[1:]), env={**os.environ, **target.env}
        )
        async with Client(server, read_timeout_seconds=max(seconds, GREETING_SECONDS)) as client:
            yield client
        return
    async with _http(target.token, seconds, heard) as http:
        transport = streamable_http_client(target.url, http_client=http)
        async with Client(transport, read_timeout_seconds=max(seconds, GREETING_SECONDS)) as client:
            yield client


def _http(token: str | None, seconds: float, heard: Callable[[int], None]) -> httpx2.AsyncClient:
    import httpx2

    async def note(response: httpx2.Response) -> None:
        if response.status_code >= 400:
            heard(response.status_code)

    return httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {token}"} if token else {},
        # The SDK's own limit is per call; this one is for silence on a stream.
        timeout=httpx2.Timeout(CONNECT_SECONDS, read=max(seconds, 300.0)),
        event_hooks={"response": [note]},
    )


def _check(url: str, token: str | None) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            "the address of a server begins with http:// or https://",
            code="bad_url",
            field="url",
            fix="write it as https://mcp.example.com/mcp",
        )
    if token is not None and parts.scheme == "http" and not _is_this_machine(parts.hostname):
        raise ConfigError(
            "a token would cross the network unencrypted, so it is not sent",
            code="url_not_https",
            field="url",
            fix="use the server's https:// address",
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
