"""A context for tests: nothing but this machine's loopback may be reached."""

from __future__ import annotations

import logging
import math
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, BinaryIO

from servicetsunami.sdk.context import Address, FileEntry
from servicetsunami.sdk.errors import Cancelled, ConfigError
from servicetsunami.sdk.http import HttpClient, open_http
from servicetsunami.sdk.oauth import AccessToken, TokenCache, TokenRequest
from servicetsunami.sdk.roots import FileRoots

_SHORTEST_SECONDS = 0.1
"""What a sleep counts for at least, so that a loop of short ones comes to an end."""


class OutOfPatienceError(Exception):
    """A connector waits for what may never come."""


@dataclass(frozen=True, kw_only=True)
class LocalContext:
    """Host services for a test: `LocalContext(data_dir=tmp_path)`.

    `loopback_only=False` lets `dial` reach other machines too.
    """

    data_dir: Path
    tenant: str = "default"
    connection: str = "conn_test"
    loopback_only: bool = True
    patience_seconds: float = math.inf
    """How much sleep the test grants in all; who asks for more gets `OutOfPatienceError` at once."""
    file_roots: tuple[Path, ...] = ()
    """Folders whose files may be read; the one that holds `data_dir` where none is named."""
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("servicetsunami.testing"))
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _tokens: TokenCache = field(init=False, repr=False)
    _slept: list[float] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        """Make the data folder."""
        object.__setattr__(self, "_tokens", TokenCache(self.http))
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    def dial(self, host: str, port: int, *, timeout_seconds: float = 10.0) -> Address:
        """Resolve `host`, refuse what is not loopback and return the first address that accepts a connection."""
        addresses = _resolve(host, port)
        if self.loopback_only and not all(ip_address(ip).is_loopback for ip in addresses):
            raise ConfigError(
                f"host {host} is not on this machine; a test may reach loopback only",
                code="address_not_allowed",
                field="host",
                step="resolve",
            )
        return _first_open(host, port, addresses, timeout_seconds)

    def http(self, base_url: str, **options: Any) -> HttpClient:
        """Return a client for one base URL, each of its connections made by `dial`; the caller closes it."""
        return open_http(base_url, self, **options)

    def token(self, request: TokenRequest, *, renew: bool = False) -> AccessToken:
        """Return an access token of OAuth 2, as the host does; nothing of it is kept on disk."""
        return self._tokens.get(request, renew=renew)

    def list_files(self, path: str) -> Iterator[FileEntry]:
        """Yield the file at `path`, or what is below the folder there, as the host does; below `file_roots` only."""
        return self._roots.list(path)

    def open_file(self, path: str) -> BinaryIO:
        """Open a regular file below `file_roots`, as the host does; the caller closes it."""
        return self._roots.open(path)

    @property
    def _roots(self) -> FileRoots:
        return FileRoots(self.file_roots or (self.data_dir.parent,))

    def sleep(self, seconds: float) -> None:
        """Wait; raises `Cancelled` at once after `cancel()`."""
        self._slept.append(max(seconds, _SHORTEST_SECONDS))
        if sum(self._slept) > self.patience_seconds:
            raise OutOfPatienceError(
                f"the connector asked to sleep for more than {self.patience_seconds} seconds in all"
            )
        if self._stop.wait(seconds):
            raise Cancelled("the test cancelled the work")

    def cancelled(self) -> bool:
        """Tell whether `cancel()` was called."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """Ask for the work to stop."""
        self._stop.set()


def _resolve(host: str, port: int) -> list[str]:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"host {host} is not known",
            code="host_not_found",
            field="host",
            step="resolve",
            fix="check the host's name",
        ) from error
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _first_open(host: str, port: int, addresses: list[str], timeout_seconds: float) -> Address:
    silent = False
    for ip in addresses:
        try:
            socket.create_connection((ip, port), timeout_seconds).close()
        except TimeoutError:
            silent = True
        except OSError:
            continue
        else:
            return Address(host, ip, port)
    raise ConfigError(
        f"{host} port {port} does not {'answer' if silent else 'accept connections'}",
        code="connection_timeout" if silent else "connection_refused",
        field="port",
        step="connect",
        fix="check host and port, and that the server runs",
    )
