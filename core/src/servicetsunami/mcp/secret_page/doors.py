"""Where the page is reached: beside the server's endpoint over HTTP, or on a listener of its own."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from servicetsunami.mcp.secret_page.routes import PATH, secret_routes
from servicetsunami.mcp.upload_page import upload_routes
from servicetsunami.operations.secret_requests import is_anybody_asked
from servicetsunami.operations.uploads.links import LASTS
from servicetsunami.operations.uploads.links import PATH as UPLOADS
from servicetsunami.runtime.exposure import endpoint_of

if TYPE_CHECKING:
    from servicetsunami.mcp.secret_page.loopback import Loopback
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller


class Beside:
    """The page of a server over HTTP, which serves it itself."""

    def __init__(self, app: App) -> None:
        self._endpoint = endpoint_of(app.settings)

    async def url(self, token: str) -> str:
        """Return the address of a page."""
        return urljoin(self._endpoint, f"{PATH}{token}")

    async def upload_url(self, token: str) -> str:
        """Return the address that a file is uploaded to."""
        return urljoin(self._endpoint, f"{UPLOADS}{token}")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Do nothing: the server serves."""
        yield


class OnLoopback:
    """The page of a server on standard input and output; nothing listens before somebody is asked."""

    def __init__(self, app: App, caller: Caller) -> None:
        self._app, self._caller = app, caller
        self._listener: Loopback | None = None
        self._until = 0.0

    async def url(self, token: str) -> str:
        """Return the address of a page, which is served from now on, as long as anybody is asked."""
        if self._listener is None:
            self._listener = self._made()
        return f"{await self._listener.base_url()}/{PATH}{token}"

    async def upload_url(self, token: str) -> str:
        """Return the address that a file is uploaded to, which is served for as long as the link lasts."""
        self._until = time.monotonic() + LASTS.total_seconds()
        if self._listener is None:
            self._listener = self._made()
        return f"{await self._listener.base_url()}/{UPLOADS}{token}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Stop listening at the end."""
        try:
            yield
        finally:
            if self._listener is not None:
                await self._listener.close()

    def _made(self) -> Loopback:
        from starlette.applications import Starlette

        from servicetsunami.mcp.secret_page.loopback import Loopback

        hosts = ("127.0.0.1:*",)
        served = Starlette(routes=[*secret_routes(self._app, hosts), *upload_routes(self._app, hosts)])
        return Loopback(served, self._is_needed)

    async def _is_needed(self) -> bool:
        return time.monotonic() < self._until or await is_anybody_asked(self._app, self._caller)
