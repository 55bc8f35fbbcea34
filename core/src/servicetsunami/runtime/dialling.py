"""The one way out: resolve once, check every answer, and prove that a checked address accepts a connection."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Protocol

from servicetsunami.runtime.addresses import AddressPolicy
from servicetsunami.sdk import Address, ConfigError

# libc's resolver stops at a NUL and takes what is before it; the others are no part of any host name.
_REFUSED_CHARACTERS = frozenset("\\/@?#%\x7f") | {chr(code) for code in range(0x21)}
_LONGEST_NAME = 253


@dataclass(frozen=True)
class Endpoint:
    """An answer of the resolver, in the form that the socket takes."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]

    @property
    def ip(self) -> str:
        """The address as text."""
        return str(self.sockaddr[0])


class Network(Protocol):
    """What dialling needs of the operating system."""

    def resolve(self, host: str, port: int) -> Sequence[Endpoint]:
        """Return every answer of the resolver; raises `OSError` or `UnicodeError` for an unknown name."""

    def connect(self, endpoint: Endpoint, timeout_seconds: float) -> None:
        """Connect and close again; raises `OSError`."""


class SystemNetwork:
    """The network of this machine."""

    def resolve(self, host: str, port: int) -> Sequence[Endpoint]:
        """Ask the system's resolver."""
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [Endpoint(answer[0], answer[4]) for answer in answers]

    def connect(self, endpoint: Endpoint, timeout_seconds: float) -> None:
        """Open a TCP connection and close it."""
        with socket.socket(endpoint.family, socket.SOCK_STREAM) as probe:
            probe.settimeout(timeout_seconds)
            probe.connect(endpoint.sockaddr)


def dial(
    host: str, port: int, policy: AddressPolicy, *, timeout_seconds: float = 10.0, network: Network | None = None
) -> Address:
    """Return an address of `host` that the policy permits and that accepts a connection.

    Raises `ConfigError` as `Context.dial` says. One answer that is not permitted refuses them all: a name that
    resolves to public and internal addresses at once is an attack or a mistake.
    """
    network = network or SystemNetwork()
    _check_spelling(host, port)
    endpoints = _resolve(host, port, network)
    if not all(policy.permits(ip_address(endpoint.ip)) for endpoint in endpoints):
        raise _not_allowed(f"the host '{host}' may not be reached from here", "host")
    return Address(host, _first_open(host, port, endpoints, network, timeout_seconds), port)


def _check_spelling(host: str, port: int) -> None:
    # The host is not repeated: with user and password before an @ it would hold a secret.
    if not host or len(host) > _LONGEST_NAME or _REFUSED_CHARACTERS & set(host):
        raise _not_allowed("the host is not a plain host name or IP address, so it is not looked up", "host")
    if not 0 < port < 65536:
        raise _not_allowed("the port is not between 1 and 65535, so nothing is connected", "port")


def _resolve(host: str, port: int, network: Network) -> Sequence[Endpoint]:
    try:
        endpoints = network.resolve(host, port)
    except (OSError, UnicodeError):
        endpoints = ()
    if endpoints:
        return list(dict.fromkeys(endpoints))
    raise ConfigError(
        f"the host '{host}' is not known, so there is nothing to connect to",
        code="host_not_found",
        field="host",
        step="resolve",
        fix="check the spelling of the host, and that this machine's DNS knows it",
    )


def _first_open(host: str, port: int, endpoints: Sequence[Endpoint], network: Network, timeout_seconds: float) -> str:
    deadline, failures = time.monotonic() + timeout_seconds, []
    for position, endpoint in enumerate(endpoints):
        # Each one that is left gets an equal share, so that one silent address does not hide one that answers.
        share = (deadline - time.monotonic()) / (len(endpoints) - position)
        try:
            network.connect(endpoint, max(share, 0.001))
        except OSError as error:
            failures.append(error)
        else:
            return endpoint.ip
    raise _not_open(host, port, failures)


def _not_open(host: str, port: int, failures: Sequence[OSError]) -> ConfigError:
    if any(isinstance(failure, TimeoutError) for failure in failures):
        return ConfigError(
            f"{host} port {port} does not answer, so nothing can be read from it",
            code="connection_timeout",
            field="host",
            step="connect",
            fix="check host and port, and that no firewall between here and there drops the connection",
        )
    return ConfigError(
        f"{host} port {port} does not accept connections, so nothing can be read from it",
        code="connection_refused",
        why=next((failure.strerror for failure in failures if failure.strerror), None),
        field="port",
        step="connect",
        fix="check host and port, that the server runs, and that it listens for connections from this machine",
    )


def _not_allowed(message: str, field: str) -> ConfigError:
    return ConfigError(
        message,
        code="address_not_allowed",
        field=field,
        step="resolve",
        fix="use another host; an operator lists private networks in the setting allowed_networks, link-local and "
        "metadata addresses are never reached",
    )
