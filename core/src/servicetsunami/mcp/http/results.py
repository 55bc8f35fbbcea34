"""The route of exported files: whoever has a link may fetch its file, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from servicetsunami.operations.answers.links import PATH, Download, open_export
from servicetsunami.sdk import TsunamiError

if TYPE_CHECKING:
    from starlette.requests import Request

    from servicetsunami.operations.app import App

_CHUNK = 256 * 1024
_NOBODY_KEEPS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


def result_routes(app: App) -> list[Route]:
    """Return the route under which links lead to files."""

    async def fetch(request: Request) -> Response:
        if request.method != "GET":  # a look ahead must not use the link up
            return Response(status_code=405, headers={"Allow": "GET"})
        try:
            download = await open_export(app, request.path_params["token"])
        except TsunamiError as error:
            return PlainTextResponse(f"{error.problem().message}\n", 404, _NOBODY_KEEPS)
        told = {
            **_NOBODY_KEEPS,
            "Content-Disposition": f'attachment; filename="{download.name}"',
            "Content-Length": str(download.size_bytes),
        }
        return StreamingResponse(_parts(download), media_type=download.media_type, headers=told)

    return [Route(f"/{PATH}{{token}}", fetch, methods=["GET"])]


async def _parts(download: Download) -> AsyncIterator[bytes]:
    with download.file as file:
        while part := await asyncio.to_thread(file.read, _CHUNK):
            yield part
