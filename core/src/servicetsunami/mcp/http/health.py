"""Whether the server lives and whether it can serve, for those who watch it: no detail, and no authentication."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
from starlette.responses import JSONResponse
from starlette.routing import Route

from servicetsunami.sdk import NotFound, TsunamiError

if TYPE_CHECKING:
    from starlette.requests import Request

    from servicetsunami.operations.app import App

_PATIENCE_SECONDS = 2.0


def health_routes(app: App, is_closing: Callable[[], bool]) -> list[Route]:
    """Return `/health`, 200 as long as the process answers, and `/ready`, 200 while requests are served."""

    async def health(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> JSONResponse:
        if not is_closing() and await _records_answer(app):
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "unavailable"}, status_code=503)

    return [Route("/health", health), Route("/ready", ready)]


async def _records_answer(app: App) -> bool:
    with anyio.move_on_after(_PATIENCE_SECONDS):
        try:
            await app.records.require_tenant(app.settings.tenant)
        except NotFound:
            return True  # it answered
        except TsunamiError:
            return False
        return True
    return False
