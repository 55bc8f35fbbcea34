"""Asking the person behind a client, in both protocol eras: to confirm something, or to open a page of ours.

Up to 2025-11-25 the server sends the client a request and waits. In 2026-07-28 there is no such way: the call ends with
what it needs (`NeedsInput`), and the client repeats it with the answers. Code that asks is written once: it runs from
its beginning again, so it asks before it changes anything.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import anyio
from mcp.types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
    InputResponseRequestParams,
)

from servicetsunami.mcp.surface import RequestContext
from servicetsunami.sdk import Json

_PATIENCE_SECONDS = 600.0
_NO_BACK_CHANNEL_SINCE = "2026-07-28"
_CONFIRMATION: Json = {
    "type": "object",
    "properties": {"confirm": {"type": "boolean", "title": "Yes, do it", "default": False}},
    "required": ["confirm"],
}


class NeedsInput(Exception):
    """Ends a call that cannot go on before the client has asked its person."""

    def __init__(self, key: str, request: ElicitRequest, state: str) -> None:
        super().__init__(key)
        self._key, self._request, self._state = key, request, state

    def result(self) -> InputRequiredResult:
        """Return what the client gets; the state comes back with its answer, sealed by the host."""
        return InputRequiredResult(input_requests={self._key: self._request}, request_state=self._state)


class Questions:
    """The questions that wait for a person; nobody waits for ever, and none outlives the server."""

    def __init__(self) -> None:
        self._waiting: set[anyio.CancelScope] = set()

    async def answer(self, asked: Awaitable[ElicitResult]) -> ElicitResult:
        """Return the answer, or that nobody answered in time."""
        with anyio.move_on_after(_PATIENCE_SECONDS) as waiting:
            self._waiting.add(waiting)
            try:
                return await asked
            finally:
                self._waiting.discard(waiting)
        return ElicitResult(action="cancel")

    def end(self) -> None:
        """Wait for nobody any longer."""
        for waiting in list(self._waiting):
            waiting.cancel()


class Asking:
    """What one call may ask of the person behind it. None of the answers is ever a proof of who answered."""

    def __init__(
        self, context: RequestContext, params: InputResponseRequestParams, questions: Questions | None = None
    ) -> None:
        self._context = context
        self._questions = questions or Questions()
        self._params = params

    @property
    def can_confirm(self) -> bool:
        """True if the client shows forms."""
        elicitation = self._elicitation
        return elicitation is not None and (elicitation.form is not None or elicitation.url is None)

    @property
    def can_open_page(self) -> bool:
        """True if the client opens pages."""
        elicitation = self._elicitation
        return elicitation is not None and elicitation.url is not None

    @property
    def state(self) -> str | None:
        """What the call put into `state` when it last asked; None the first time. The host has verified it."""
        return self._params.request_state

    async def confirm(self, key: str, message: str, state: str = "") -> bool | None:
        """Ask yes or no; None if nobody answered. Call it only if `can_confirm`."""
        form = ElicitRequestFormParams(message=message, requested_schema=_CONFIRMATION)
        answer = await self._ask(key, ElicitRequest(params=form), state)
        if answer.action != "accept":
            return False if answer.action == "decline" else None
        return (answer.content or {}).get("confirm") is True

    def refused(self, key: str) -> bool:
        """Tell whether the client answered what the call asked before, and not with yes."""
        given: Any = (self._params.input_responses or {}).get(key)
        if given is None or self.state is None:
            return False
        return ElicitResult.model_validate(given if isinstance(given, dict) else given.model_dump()).action != "accept"

    async def open_page(self, key: str, message: str, url: str, page_id: str, state: str = "") -> bool:
        """Ask to open a page; True if the client says it was opened. Call it only if `can_open_page`."""
        page = ElicitRequestURLParams(message=message, url=url, elicitation_id=self._legacy(page_id))
        answer = await self._ask(key, ElicitRequest(params=page), state)
        return answer.action == "accept"

    async def _ask(self, key: str, request: ElicitRequest, state: str) -> ElicitResult:
        given: Any = (self._params.input_responses or {}).get(key)
        if given is not None and self.state is not None:  # without our state it answers what nobody asked
            return ElicitResult.model_validate(given if isinstance(given, dict) else given.model_dump())
        if self._context.protocol_version >= _NO_BACK_CHANNEL_SINCE:
            raise NeedsInput(key, request, state)
        return await self._questions.answer(self._context.session.send_request(request, ElicitResult))

    @property
    def _elicitation(self) -> Any:
        context = self._context
        capabilities = context.session.client_capabilities
        asks = context.protocol_version >= _NO_BACK_CHANNEL_SINCE or context.session.can_send_request
        return capabilities.elicitation if capabilities is not None and asks else None

    def _legacy(self, page_id: str) -> str | None:
        return page_id if self._context.protocol_version < _NO_BACK_CHANNEL_SINCE else None
