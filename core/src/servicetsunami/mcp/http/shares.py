"""How many sessions one caller may hold: those of a process are bounded, and nobody may take them all."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_SESSIONS = 1_000
"""Of all callers, in one process."""
MOST_OF_ONE = 100
IDLE_SECONDS = 600.0
"""How long a session is kept that nobody uses."""
_SESSION = b"mcp-session-id"
_VERSION = b"mcp-protocol-version"
_WITHOUT_SESSIONS_SINCE = b"2026-07-28"
_FULL = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Too many open sessions of yours"}}'


class SessionShares:
    """Wraps the endpoint behind authentication, and refuses a caller's sessions beyond their share."""

    def __init__(self, application: ASGIApp, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._application = application
        self._clock = clock
        self._held: defaultdict[str, dict[bytes, float]] = defaultdict(dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, unless it would open one session too many."""
        headers, caller = dict(scope["headers"]), _caller(scope)
        session, held = headers.get(_SESSION), self._held_now(caller)
        if session in held:
            held[session] = self._clock()
        opens = session is None and headers.get(_VERSION, b"") < _WITHOUT_SESSIONS_SINCE
        if opens and len(held) >= MOST_OF_ONE:
            await _refuse(send)
            return
        try:
            await self._application(scope, receive, self._noting(send, held) if opens else send)
        finally:
            if session in held and scope["method"] == "DELETE":
                del held[session]
            if not held:
                self._held.pop(caller, None)

    def _held_now(self, caller: str) -> dict[bytes, float]:
        held, since = self._held[caller], self._clock() - IDLE_SECONDS
        for session in [session for session, used in held.items() if used < since]:
            del held[session]
        return held

    def _noting(self, send: Send, held: dict[bytes, float]) -> Send:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                named = next((value for name, value in message["headers"] if name.lower() == _SESSION), None)
                if named is not None:
                    held[named] = self._clock()
            await send(message)

        return noted


def _caller(scope: Scope) -> str:
    user = scope.get("user")
    return user.username if isinstance(user, AuthenticatedUser) else ""


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"60")]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": _FULL})
