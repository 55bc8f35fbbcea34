"""What the host gives one plugin instance."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

from servicetsunami.runtime.addresses import AddressPolicy
from servicetsunami.runtime.dialling import dial
from servicetsunami.runtime.redaction import Redactor
from servicetsunami.sdk import Address, Cancelled, FileEntry
from servicetsunami.sdk.http import HttpClient, open_http
from servicetsunami.sdk.oauth import AccessToken, TokenCache, TokenRequest, TokenSource
from servicetsunami.sdk.roots import FileRoots

PLUGIN_LOGGER = "servicetsunami.plugin"


class HostContext:
    """Host services of one plugin instance, for one tenant; implements `servicetsunami.sdk.Context`."""

    def __init__(
        self,
        tenant: str,
        plugin: str,
        data_dir: Path,
        policy: AddressPolicy,
        cancel: threading.Event | None,
        redactor: Redactor,
        connection: str = "",
        file_roots: Sequence[Path] = (),
    ) -> None:
        """`cancel` is set by whoever wants the work to stop; None where nobody can."""
        self._roots = FileRoots(file_roots)
        self._tenant = tenant
        self._connection = connection
        self._data_dir = data_dir
        self._policy = policy
        self._cancel = cancel or threading.Event()
        self._tokens: TokenSource = TokenCache(self.http)
        self._redactor = redactor
        self._log = _PluginLogger(plugin, redactor)

    def with_tokens(self, tokens: TokenSource) -> Self:
        """Take access tokens from where they outlive this instance; otherwise it keeps them itself."""
        self._tokens = tokens
        return self

    @property
    def log(self) -> logging.Logger:
        """Logger whose records pass through redaction."""
        return self._log

    @property
    def tenant(self) -> str:
        """The tenant this instance works for."""
        return self._tenant

    @property
    def connection(self) -> str:
        """Id of the connection this instance works for; empty before it is stored, and for sinks."""
        return self._connection

    @property
    def data_dir(self) -> Path:
        """Folder of this tenant and this plugin; made when first asked for, and only the host's user may enter it."""
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._data_dir

    def dial(self, host: str, port: int, *, timeout_seconds: float = 10.0) -> Address:
        """Resolve `host`, check every answer against the policy and prove that one accepts a connection."""
        return dial(host, port, self._policy, timeout_seconds=timeout_seconds)

    def http(self, base_url: str, **options: Any) -> HttpClient:
        """Return a client for one base URL, each of its connections made by `dial`; the caller closes it."""
        return open_http(base_url, self, **options)

    def token(self, request: TokenRequest, *, renew: bool = False) -> AccessToken:
        """Return an access token of OAuth 2, kept until it is over; `renew` asks for another one."""
        token = self._tokens.get(request, renew=renew)
        self._redactor.add([token.value.get_secret_value()])
        return token

    def list_files(self, path: str) -> Iterator[FileEntry]:
        """Yield the file at `path`, or what is below the folder there that is no folder, by path."""
        return self._roots.list(path)

    def open_file(self, path: str) -> BinaryIO:
        """Open a regular file of a folder that this tenant may read; the caller closes it."""
        return self._roots.open(path)

    def sleep(self, seconds: float) -> None:
        """Wait; raises `Cancelled` at once when the work is cancelled."""
        if self._cancel.wait(seconds):
            raise Cancelled("the work was cancelled")

    def cancelled(self) -> bool:
        """Tell whether somebody asked for the work to stop."""
        return self._cancel.is_set()


class _PluginLogger(logging.Logger):
    """A logger of one instance alone: one from the registry would keep every redactor there ever was."""

    def __init__(self, plugin: str, redactor: Redactor) -> None:
        super().__init__(f"{PLUGIN_LOGGER}.{plugin}")
        self.parent = logging.getLogger(PLUGIN_LOGGER)
        self.addFilter(redactor)
