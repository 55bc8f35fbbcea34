"""Tasks that are runs: they outlive the connection and the process, and every process of the server knows them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from mcp.server.context import CallNext, HandlerResult
from mcp.types import CallToolRequestParams, CallToolResult, TextContent

from servicetsunami.mcp.surface import RequestContext
from servicetsunami.mcp.tasks import Status, created, task_json
from servicetsunami.mcp.text import run_text
from servicetsunami.operations import sync
from servicetsunami.operations.models import RunView
from servicetsunami.sdk import Json, NotFound

if TYPE_CHECKING:
    from servicetsunami.mcp.product import Product, Who
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_STATUS: Mapping[str, Status] = {"queued": "working", "running": "working", "cancelled": "cancelled"}
_SOON_SECONDS = 1
_PURPOSE = "mcp/tasks/v1"


class RunTasks:
    """Makes the runs that the product's long tools begin into tasks of the caller who began them."""

    def __init__(self, app: App, product: Product, who: Who) -> None:
        self._app = app
        self._product = product
        self._who = who

    @property
    def tools(self) -> AbstractSet[str]:
        """The product's long tools, of this moment."""
        return {name for name, spec in self._product.catalog.callable.items() if spec.long}

    async def call(self, context: RequestContext, params: CallToolRequestParams, call_next: CallNext) -> HandlerResult:
        """Begin a run and hand it back as a task, unless it ends at once."""
        # The task is what the client waits on. The tool is called with the very object that the interceptor was given.
        params.arguments = {**(params.arguments or {}), "wait_seconds": _SOON_SECONDS}
        result = await call_next(context)
        told = (result.structured_content or {}) if isinstance(result, CallToolResult) else {}
        if told.get("status") not in ("queued", "running"):
            return result
        caller, view = self._who(context), RunView.model_validate(told)
        return created(_task(await self._task_id(caller, view.run_id), view))

    async def get(self, context: RequestContext, task_id: str) -> Json | None:
        """Return a run as a task, with its view as the result once it has ended."""
        caller = self._who(context)
        run_id = await self._run_id(caller, task_id, "get_run")
        if run_id is None:
            return None
        view = await sync.get_run(self._app, caller, run_id)
        task = _task(task_id, view)
        return task | {"result": _result(view)} if task["status"] == "completed" else task

    async def update(self, context: RequestContext, task_id: str, _responses: Mapping[str, Any]) -> bool:
        """Tell whether there is such a task: a run asks nothing."""
        return await self._run_id(self._who(context), task_id, "get_run") is not None

    async def cancel(self, context: RequestContext, task_id: str) -> bool:
        """Cancel the run."""
        caller = self._who(context)
        run_id = await self._run_id(caller, task_id, "cancel_run")
        if run_id is not None:
            await sync.cancel_run(self._app, caller, run_id)
        return run_id is not None

    async def _run_id(self, caller: Caller, task_id: str, tool: str) -> str | None:
        """Return the run of a caller's task; None for one that is not theirs or that they could not name to `tool`."""
        spec = self._product.catalog.callable.get(tool)
        if spec is None or not caller.may(spec.scope):
            return None
        run_id = task_id.partition(".")[0]
        if not hmac.compare_digest(task_id.encode(), (await self._task_id(caller, run_id)).encode()):
            return None
        try:
            await sync.get_run(self._app, caller, run_id)
        except NotFound:
            return None
        return run_id

    async def _task_id(self, caller: Caller, run_id: str) -> str:
        """Return the one id under which this caller finds the run; nobody else can make it up."""
        key = await self._app.records.derived_key(_PURPOSE)
        sealed = hmac.new(key, f"{caller.tenant}\n{run_id}\n{caller.subject}".encode(), hashlib.sha256)
        return f"{run_id}.{sealed.hexdigest()[:32]}"


def _task(task_id: str, view: RunView) -> Json:
    status = _STATUS.get(view.status, "completed")
    changed = view.finished_at or view.started_at or view.created_at
    told = task_json(task_id, status, created_at=view.created_at, updated_at=changed, ttl_ms=None)
    return told | {"statusMessage": view.message or f"{view.rows_read:,} rows read"}


def _result(view: RunView) -> Json:
    result = CallToolResult(
        content=[TextContent(type="text", text=run_text(view))],
        structured_content=view.model_dump(mode="json", exclude_none=True),
    )
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)
