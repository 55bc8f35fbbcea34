"""Tasks (SEP-2663): a long call hands back a task to ask after, for clients that declare the extension.

The extension is independent of what it serves. Keepers hold the tasks: `Jobs` in this process's memory, `RunTasks` in
the product's runs, where they survive it. A task that is not the asker's own is answered like one that never was.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Literal, Protocol

from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, CallToolRequestParams, RequestParams
from mcp.types.jsonrpc import HEADER_MISMATCH

from servicetsunami.mcp.host import Extension, MethodBinding, require_client_extension
from servicetsunami.mcp.surface import RequestContext
from servicetsunami.sdk import Json

VERSIONS = frozenset({"2026-07-28"})
"""The protocol versions that have tasks."""
_POLL_INTERVAL_MS = 1_000
Status = Literal["working", "input_required", "completed", "failed", "cancelled"]


class TaskParams(RequestParams):
    """What tasks/get and tasks/cancel are about."""

    task_id: str


class UpdateTaskParams(TaskParams):
    """What a client answers to a task that asked for input."""

    # Answers to questions that were never asked are none of our business, so these are checked one by one.
    input_responses: dict[str, Any]


class Keeper(Protocol):
    """Holds the tasks of some tools."""

    @property
    def tools(self) -> AbstractSet[str]:
        """The tools whose calls may become tasks."""

    async def call(self, context: RequestContext, params: CallToolRequestParams, call_next: CallNext) -> HandlerResult:
        """Answer a call at once if it ends soon, else with `created` of a task that can already be asked after."""

    async def get(self, context: RequestContext, task_id: str) -> Json | None:
        """Return a task as `task_json` has it, with what came of it; None if the asker has none of that id."""

    async def update(self, context: RequestContext, task_id: str, responses: Mapping[str, Any]) -> bool:
        """Take in answers to a task's questions; False if the asker has no task of that id."""

    async def cancel(self, context: RequestContext, task_id: str) -> bool:
        """Cancel a task unless it has ended; False if the asker has no task of that id."""


class Tasks(Extension):
    """Serves tasks/get, tasks/update and tasks/cancel, and lets keepers answer the calls of their tools."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, *keepers: Keeper, required: AbstractSet[str] = frozenset()) -> None:
        self._keepers = keepers
        self._required = required

    def methods(self) -> list[MethodBinding]:
        """Return the methods of the extension."""
        return [
            MethodBinding("tasks/get", TaskParams, self._get, VERSIONS),
            MethodBinding("tasks/update", UpdateTaskParams, self._update, VERSIONS),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, VERSIONS),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: RequestContext, call_next: CallNext
    ) -> HandlerResult:
        """Let the tool's keeper answer, if the client knows tasks; else the call is an ordinary one."""
        keeper = next((keeper for keeper in self._keepers if params.name in keeper.tools), None)
        if params.name in self._required:
            require_client_extension(ctx, self.identifier)
        if keeper is None or not self._is_declared(ctx):
            return await call_next(ctx)
        return await keeper.call(ctx, params, call_next)

    def _is_declared(self, context: RequestContext) -> bool:
        capabilities = context.session.client_capabilities
        declared = capabilities.extensions if capabilities else None
        return context.protocol_version in VERSIONS and self.identifier in (declared or {})

    async def _get(self, context: RequestContext, params: TaskParams) -> HandlerResult:
        self._check(context, params)
        for keeper in self._keepers:
            task = await keeper.get(context, params.task_id)
            if task is not None:
                return task
        raise _unknown_task()

    async def _update(self, context: RequestContext, params: UpdateTaskParams) -> HandlerResult:
        self._check(context, params)
        for keeper in self._keepers:
            if await keeper.update(context, params.task_id, params.input_responses):
                return {}
        raise _unknown_task()

    async def _cancel(self, context: RequestContext, params: TaskParams) -> HandlerResult:
        self._check(context, params)
        for keeper in self._keepers:
            if await keeper.cancel(context, params.task_id):
                return {}
        raise _unknown_task()

    def _check(self, context: RequestContext, params: TaskParams) -> None:
        require_client_extension(context, self.identifier)
        # A client of the SDK cannot set the header of a method that the SDK does not know: none at all is let pass.
        routed = getattr(context.request, "headers", {}).get("mcp-name")
        if routed is not None and routed != params.task_id:
            raise MCPError(HEADER_MISMATCH, "mcp-name header does not match the request body's 'taskId' parameter")


def task_json(task_id: str, status: Status, *, created_at: datetime, updated_at: datetime, ttl_ms: int | None) -> Json:
    """Return what every answer about a task begins with."""
    return {
        "taskId": task_id,
        "status": status,
        "createdAt": created_at.isoformat(),
        "lastUpdatedAt": updated_at.isoformat(),
        "ttlMs": ttl_ms,
        "pollIntervalMs": _POLL_INTERVAL_MS,
    }


def created(task: Json) -> Json:
    """Return the answer of a call that became this task."""
    return {"resultType": "task", **task}


def _unknown_task() -> MCPError:
    return MCPError(INVALID_PARAMS, "Task not found")
