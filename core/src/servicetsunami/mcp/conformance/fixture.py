"""What a fixture is: a tool that the conformance suite knows by name, and one call of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    LoggingMessageNotification,
    LoggingMessageNotificationParams,
    ServerRequest,
    TextContent,
    Tool,
)
from pydantic import BaseModel

from servicetsunami.mcp.host import ServerEvent, SubscriptionBus
from servicetsunami.mcp.surface import RequestContext
from servicetsunami.sdk import Json

Answer = CallToolResult | InputRequiredResult
R = TypeVar("R", bound=BaseModel)
_LOGS_ONLY_WHEN_ASKED_SINCE = "2026-07-28"


class Call:
    """One call of a fixture: what it was given, and its ways to speak with the client."""

    def __init__(self, context: RequestContext, params: CallToolRequestParams, bus: SubscriptionBus) -> None:
        self._context = context
        self._bus = bus
        self.arguments: Json = params.arguments or {}
        self.responses: dict[str, Any] = dict(params.input_responses or {})
        self.state = params.request_state

    @property
    def client(self) -> ClientCapabilities:
        """What the client can do."""
        return self._context.session.client_capabilities or ClientCapabilities()

    def response(self, key: str, kind: type[R]) -> R | None:
        """Return what the client answers to a question of an earlier round; None if it does not."""
        given = self.responses.get(key)
        return given if isinstance(given, kind) else None

    async def ask(self, request: ServerRequest, answer: type[R]) -> R:
        """Send the client a request and wait for its answer: up to 2025-11-25 only."""
        return await self._context.session.send_request(request, answer, metadata=self._related)

    async def log(self, message: str) -> None:
        """Send a line to the client's log, unless it had to ask for that and did not."""
        if self._context.protocol_version >= _LOGS_ONLY_WHEN_ASKED_SINCE:
            return
        line = LoggingMessageNotificationParams(level="info", data=message)
        await self._context.session.send_notification(LoggingMessageNotification(params=line), self._context.request_id)

    async def report(self, progress: int) -> None:
        """Report progress, of 100."""
        await self._context.session.report_progress(progress, 100, f"{progress} of 100")

    async def publish(self, event: ServerEvent) -> None:
        """Tell whoever listens of a change."""
        await self._bus.publish(event)

    async def close_stream(self) -> None:
        """Close the stream that the answer would take, so that the client has to come back for it."""
        if self._context.close_sse_stream is not None:
            await self._context.close_sse_stream()

    @property
    def _related(self) -> ServerMessageMetadata:
        return ServerMessageMetadata(related_request_id=self._context.request_id)


@dataclass(frozen=True)
class Fixture:
    """A tool of the suite."""

    name: str
    description: str
    run: Callable[[Call], Awaitable[Answer]]
    properties: Json = field(default_factory=dict)
    required: tuple[str, ...] = ()
    schema: Json | None = None
    """The whole input schema, where its properties do not say it all."""

    @property
    def input_schema(self) -> Json:
        """Return the schema of the tool's arguments."""
        return self.schema or {"type": "object", "properties": self.properties, "required": list(self.required)}

    def tool(self) -> Tool:
        """Return the tool as it is listed."""
        return Tool(name=self.name, description=self.description, input_schema=self.input_schema)


def text(told: str, *, is_error: bool = False) -> CallToolResult:
    """Answer with one line of text."""
    return CallToolResult(content=[TextContent(type="text", text=told)], is_error=is_error)


def form(message: str, *required: str, **properties: Json) -> ElicitRequest:
    """Return the request to show the person behind the client a form."""
    schema: Json = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))
