"""What the host gives a plugin: nothing global, so tenants cannot see each other through it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from pydantic import SecretStr

    from servicetsunami.sdk.http import Explain, HttpClient
    from servicetsunami.sdk.oauth import AccessToken, TokenRequest


@dataclass(frozen=True)
class Address:
    """A resolved and permitted address. Connect to `ip`, never to `host` again; verify TLS against `host`."""

    host: str
    ip: str
    port: int


@dataclass(frozen=True)
class FileEntry:
    """One file of a folder that may be read."""

    path: str
    """Path below the folder that was listed, with `/`; empty for the file that was itself listed."""
    size_bytes: int
    changed_ns: int
    """When its content, name or place last changed on this machine, in nanoseconds since 1970; nobody can set it."""


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
        explain: Explain | None = None,
    ) -> HttpClient:
        """Return a client for one base URL, each of its connections made by `dial`; the caller closes it.

        `headers` and `params` go to the base URL's own origin alone, so that a redirect or a link to a next page
        takes no key elsewhere. `per_second` bounds requests. `explain` may make
        a better error of an answer that refuses than its status is. Raises `ConfigError` (`bad_base_url`).
        """

    def token(self, request: TokenRequest, *, renew: bool = False) -> AccessToken:
        """Return an access token of OAuth 2, kept from an earlier call until it is over; `renew` after a refusal.

        A refresh token that the endpoint replaces is kept in `request.refresh_field` of this connection. Raises
        `AuthError` (`token_refused`) and what `http` raises.
        """

    def list_files(self, path: str) -> Iterator[FileEntry]:
        """Yield the file at `path`, or everything below the folder there that is no folder, by path.

        `path` is absolute, or relative to a folder that may be read. A link is listed and never followed: opening it
        is refused. Raises `ConfigError` (`file_not_allowed`), `NotFound` (`file_not_found`) or `PermissionDenied`.
        """

    def open_file(self, path: str) -> BinaryIO:
        """Open a regular file of a folder that may be read; the caller closes it. Raises what `list_files` raises."""

    def sleep(self, seconds: float) -> None:
        """Wait; raises `Cancelled` at once when the work is cancelled."""

    def cancelled(self) -> bool:
        """Tell whether somebody asked for the work to stop."""
