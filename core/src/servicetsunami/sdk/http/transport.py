"""Connections that the host has checked: names are resolved once, by `dial`, and the address it gives is used."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2

from servicetsunami.sdk.context import Address

Dial = Callable[..., Address]
"""`Context.dial`."""


def open_pool(dial: Dial, *, connections: int) -> httpcore2.ConnectionPool:
    """Return a pool of keep-alive connections, each made through `dial`; TLS is verified against the name asked for."""
    return httpcore2.ConnectionPool(
        ssl_context=ssl.create_default_context(),
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=30.0,
        network_backend=_Dialled(dial),
    )


class _Dialled(httpcore2.NetworkBackend):
    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._system = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        address = self._dial(host, port, timeout_seconds=timeout or 10.0)
        return self._system.connect_tcp(address.ip, address.port, timeout, local_address, socket_options)
