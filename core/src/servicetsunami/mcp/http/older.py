"""HTTP+SSE, for clients that speak nothing newer: a stream of answers, and an address to send requests to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.bearer_auth import RequireAuthMiddleware
from mcp.server.auth.routes import build_resource_metadata_url
from mcp.server.runner import serve_loop
from mcp.server.sse import SseServerTransport
from mcp.server.transport_security import TransportSecurityMiddleware
from starlette.requests import Request
from starlette.routing import Route

if TYPE_CHECKING:
    from mcp.server.auth.settings import AuthSettings
    from mcp.server.transport_security import TransportSecuritySettings
    from starlette.types import ASGIApp, Receive, Scope, Send

    from servicetsunami.mcp.host import Host

PATH = "/sse"
_MESSAGES = "/messages/"


def older_routes(
    host: Host, allowed: TransportSecuritySettings, auth: AuthSettings | None, *, max_request_bytes: int
) -> list[Route]:
    """Return the two endpoints of the older transport, as closed as the newer one."""
    transport = SseServerTransport(_MESSAGES, allowed, max_request_bytes)
    check = TransportSecurityMiddleware(allowed)

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = await check.validate_request(Request(scope))
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        async with transport.connect_sse(scope, receive, send) as (reading, writing):
            await serve_loop(host, reading, writing, lifespan_state={})

    return [
        Route(PATH, _closed(_Endpoint(stream), auth), methods=["GET"]),
        Route(_MESSAGES, _closed(_Endpoint(transport.handle_post_message), auth), methods=["POST"]),
    ]


@dataclass(frozen=True)
class _Endpoint:
    """Lets a route take a function as an application."""

    answer: Callable[[Scope, Receive, Send], Awaitable[None]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer(scope, receive, send)


def _closed(application: ASGIApp, auth: AuthSettings | None) -> ASGIApp:
    if auth is None or auth.resource_server_url is None:
        return application
    told = build_resource_metadata_url(auth.resource_server_url)
    return RequireAuthMiddleware(application, auth.required_scopes or [], told)
