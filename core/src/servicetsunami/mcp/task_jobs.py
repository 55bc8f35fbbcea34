"""Tasks that live in this process: any tool can be one, and a tool that asks its client asks through the task."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from mcp.server.context import CallNext, HandlerResult
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, CallToolRequestParams, ClientCapabilities, InputResponses
from pydantic import BaseModel, TypeAdapter, ValidationError

from servicetsunami.mcp.surface import RequestContext
from servicetsunami.mcp.tasks import Status, created, task_json
from servicetsunami.sdk import Json

log = logging.getLogger(__name__)
_SOON_SECONDS = 0.05
_TTL = timedelta(hours=1)
_MOST = 1_000
_MOST_EACH = 50
_ANSWERS: TypeAdapter[InputResponses] = TypeAdapter(InputResponses)


class Jobs:
    """Keeps the tasks of `tools` in memory, for an hour each; `owner` names the principal behind a request."""

    def __init__(self, tools: AbstractSet[str], owner: Callable[[RequestContext], str]) -> None:
        self.tools = tools
        self._owner = owner
        self._jobs: dict[str, _Job] = {}

    async def call(self, context: RequestContext, params: CallToolRequestParams, call_next: CallNext) -> HandlerResult:
        """Answer a call that ends or asks at once; any other becomes a task."""
        owner = self._owner(context)
        if not self._has_room(owner):
            return await call_next(context)
        job = _Job(f"task_{secrets.token_hex(16)}", owner, params, context, call_next)
        work = job.work_on()
        try:
            done, _ = await asyncio.wait({work}, timeout=_SOON_SECONDS)
        except asyncio.CancelledError:
            work.cancel()
            raise
        if done:
            return work.result()
        self._jobs[job.id] = job
        work.add_done_callback(job.take_in)
        return created(job.json())

    async def get(self, context: RequestContext, task_id: str) -> Json | None:
        """Return a task with what came of it."""
        job = self._find(context, task_id)
        return job.json() | job.outcome if job is not None else None

    async def update(self, context: RequestContext, task_id: str, responses: Mapping[str, Any]) -> bool:
        """Take in answers; once every question is answered, the task goes on."""
        job = self._find(context, task_id)
        if job is not None:
            job.answer(responses)
        return job is not None

    async def cancel(self, context: RequestContext, task_id: str) -> bool:
        """Cancel a task unless it has ended."""
        job = self._find(context, task_id)
        if job is not None:
            job.cancel()
        return job is not None

    def close(self) -> None:
        """Cancel every task."""
        for job in self._jobs.values():
            job.cancel()

    def _find(self, context: RequestContext, task_id: str) -> _Job | None:
        self._forget_expired()
        job = self._jobs.get(task_id)
        return job if job is not None and job.owner == self._owner(context) else None

    def _has_room(self, owner: str) -> bool:
        self._forget_expired()
        own = sum(job.owner == owner for job in self._jobs.values())
        return len(self._jobs) < _MOST and own < _MOST_EACH

    def _forget_expired(self) -> None:
        oldest = datetime.now(UTC) - _TTL
        for job in [job for job in self._jobs.values() if job.created_at < oldest]:
            job.cancel()
            del self._jobs[job.id]


@dataclass
class _Job:
    """One task: a call that is worked on, waits for its client's answers, or has ended."""

    id: str
    owner: str
    params: CallToolRequestParams
    context: RequestContext
    call_next: CallNext
    status: Status = "working"
    message: str = ""
    outcome: Json = field(default_factory=dict)
    """`result`, `error` or `inputRequests`, by status."""
    state: str | None = None
    """What the tool wants back with the answers."""
    answers: dict[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    work: asyncio.Future[HandlerResult] | None = None
    caller: Context = field(default_factory=copy_context)
    """Who called, where the transport keeps that in context variables."""

    def json(self) -> Json:
        """Return how the task stands."""
        ttl_ms = int(_TTL.total_seconds() * 1000)
        told = task_json(self.id, self.status, created_at=self.created_at, updated_at=self.updated_at, ttl_ms=ttl_ms)
        return told | ({"statusMessage": self.message} if self.message else {})

    def work_on(self) -> asyncio.Future[HandlerResult]:
        """Run the tool, from its beginning."""
        context = replace(self.context, session=cast("ServerSession", _TaskSession(self.context.session, self._tell)))
        self.work = asyncio.create_task(_call(self.call_next, context), context=self.caller, name=self.id)
        return self.work

    def take_in(self, work: asyncio.Future[HandlerResult]) -> None:
        """Take in how the tool's work ended."""
        if self.status != "working":
            return
        if work.cancelled():
            self._become("cancelled", {})
            return
        error = work.exception()
        if error is not None:
            self._become("failed", {"error": _error_json(error, self.params.name)})
            return
        result = _dumped(work.result())
        if result.get("resultType") == "input_required":
            self.state = result.get("requestState")
            self._become("input_required", {"inputRequests": result.get("inputRequests") or {}})
        else:
            self._become("completed", {"result": result})

    def answer(self, responses: Mapping[str, Any]) -> None:
        """Take in answers; raises `MCPError` if one is not an answer at all."""
        asked: dict[str, Any] = self.outcome.get("inputRequests", {})
        given = {key: response for key, response in responses.items() if key in asked}
        try:
            self.answers |= _ANSWERS.validate_python(given)
        except ValidationError:
            raise MCPError(INVALID_PARAMS, "Invalid input responses") from None
        if not given:
            return
        left = {key: request for key, request in asked.items() if key not in given}
        if left:
            self._become("input_required", {"inputRequests": left})
            return
        self._become("working", {})
        # The tool is called with the very object that the interceptor was given.
        self.params.input_responses, self.params.request_state = self.answers, self.state
        self.work_on().add_done_callback(self.take_in)

    def cancel(self) -> None:
        """Stop the work, unless the task has ended."""
        if self.status in ("working", "input_required"):
            self._become("cancelled", {})
            if self.work is not None:
                self.work.cancel()

    def _become(self, status: Status, outcome: Json) -> None:
        self.status, self.outcome, self.updated_at = status, outcome, datetime.now(UTC)

    def _tell(self, message: str) -> None:
        self.message, self.updated_at = message, datetime.now(UTC)


class _TaskSession:
    """What a tool sees of its client while it runs as a task: the request it came with may long be answered."""

    can_send_request = False

    def __init__(self, session: ServerSession, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.client_params = session.client_params
        self.client_capabilities: ClientCapabilities | None = session.client_capabilities
        self.protocol_version = session.protocol_version

    async def report_progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Tell it to whoever asks after the task."""
        of = "" if total is None else f" of {total:g}"
        self._tell(message or f"{progress:g}{of}")

    async def send_notification(self, *_: Any, **__: Any) -> None:
        """Drop it: there is no stream for it any more."""

    async def send_request(self, request: Any, *_: Any, **__: Any) -> Any:
        """Refuse: in this era a tool asks by its result."""
        raise NoBackChannelError(request.method)


async def _call(call_next: CallNext, context: RequestContext) -> HandlerResult:
    return await call_next(context)


def _dumped(result: HandlerResult) -> Json:
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dict(result or {})


def _error_json(error: BaseException, tool: str) -> Json:
    if isinstance(error, MCPError):
        return error.error.model_dump(mode="json", exclude_none=True)
    log.error("tool %s raised %s as a task", tool, type(error).__name__)
    return {"code": INTERNAL_ERROR, "message": "Internal server error"}
