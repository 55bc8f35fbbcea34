"""What the host gives a plugin: nothing global, so tenants cannot see each other through it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pydantic import SecretStr

    from servicetsunami.sdk.http import HttpClient


@dataclass(frozen=True)
class Address:
    """A resolved and permitted address. Connect to `ip`, never to `host` again; verify TLS against `host`."""

    host: str
    ip: str
    port: int


class Context(Protocol):
    """Host services of one plugin instance."""

    @property
    def log(self) -> logging.Logger:
        """Logger whose records pass through redaction."""

    @property
    def tenant(self) -> str:
        """The tenant this instance works for."""

    @property
    def connection(self) -> str:
        """Id of the connection this instance works for: a lasting name for what the source keeps for us.

        Empty before a connection is stored, and for sinks.
        """

    @property
    def data_dir(self) -> Path:
        """Folder of this tenant and this plugin; it exists, and only the host's user may enter it."""

    def dial(self, host: str, port: int, *, timeout_seconds: float = 10.0) -> Address:
        """Resolve `host` once, check every answer against the policy and prove that one accepts a connection.

        Raises `ConfigError` with step `resolve` (unknown host, code `host_not_found`), step `connect` (refused or
        silent, code `connection_refused` or `connection_timeout`), or code `address_not_allowed`.
        """

    def http(
        self,
        base_url: str,
        *,
        bearer: SecretStr | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        per_second: float | None = None,
        timeout_seconds: float = 60.0,
    ) -> HttpClient:
        """Return a client for one base URL, each of its connections made by `dial`; the caller closes it.

        `headers` and `params` go to the base URL's own origin alone, so that a redirect or a link to a next page
        takes no key elsewhere. `per_second` bounds requests. Raises `ConfigError` (`bad_base_url`).
        """

    def sleep(self, seconds: float) -> None:
        """Wait; raises `Cancelled` at once when the work is cancelled."""

    def cancelled(self) -> bool:
        """Tell whether somebody asked for the work to stop."""
