"""The MCP server: the one place that touches what the MCP SDK does not promise to keep.

Both protocol eras, up to 2025-11-25 and 2026-07-28, are served by the SDK's lowlevel `Server`; which one is spoken is
the client's choice. `tests/core/test_mcp_sdk.py` fails if an upgrade of the SDK moves what is used here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from mcp.server import CacheHint, InitializationOptions, NotificationOptions, Server
from mcp.server.caching import CacheableMethod
from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult
from mcp.server.extension import Extension, MethodBinding, compose_tool_call_handler
from mcp.server.mcpserver import RequestStateBoundary, RequestStateSecurity, require_client_extension
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    SubscriptionBus,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    CallToolRequestParams,
    CompleteRequestParams,
    CompleteResult,
    EmptyResult,
    Icon,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from servicetsunami.mcp.audience import AudienceBus, is_reserved
from servicetsunami.mcp.legacy import MOST_WATCHED, LegacyClients, too_many_watched
from servicetsunami.mcp.surface import RequestContext, Surface, UnknownResource, unknown_resource
from servicetsunami.operations.paging import page
from servicetsunami.sdk import ConfigError

# The rest of the product takes these from here, so that an upgrade of the SDK is met in one place.
__all__ = [
    "NAME",
    "Extension",
    "Host",
    "InMemorySubscriptionBus",
    "MethodBinding",
    "PromptsListChanged",
    "RequestStateSecurity",
    "ResourceUpdated",
    "ResourcesListChanged",
    "ServerEvent",
    "SubscriptionBus",
    "ToolsListChanged",
    "require_client_extension",
]
NAME = "servicetsunami"
_PAGE = 100
_LIST_IS_FRESH_MS = 60_000
_LISTS: tuple[CacheableMethod, ...] = (
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "prompts/list",
)
_MOST_STREAMS = 1_024
_MOST_STREAMS_OF_ONE = 128
_MODERN_SINCE = "2026-07-28"
T = TypeVar("T")


class Host(Server[dict[str, Any]]):
    """Serves a surface: pages its lists, seals request states, applies extensions and tells of changes."""

    def __init__(
        self,
        surface: Surface,
        *,
        version: str,
        instructions: str,
        bus: SubscriptionBus | None = None,
        request_state: RequestStateSecurity | None = None,
        extensions: Sequence[Extension] = (),
        icons: Sequence[Icon] = (),
        audience: Callable[[RequestContext], str] = lambda _context: "",
    ) -> None:
        """`audience` names whose events a caller is told."""
        self.surface = surface
        self.bus, self._audience = bus or InMemorySubscriptionBus(), audience
        self._streams, self.legacy = _Streams(self.bus), LegacyClients()
        self._endings: list[Callable[[], None]] = [self._streams.close]
        self.bus.subscribe(self.legacy.take)
        super().__init__(
            NAME,
            version=version,
            title="ServiceTsunami",
            instructions=instructions,
            icons=list(icons) or None,
            cache_hints=dict.fromkeys(_LISTS, CacheHint(ttl_ms=_LIST_IS_FRESH_MS, scope="private")),
            get_tool_input_schema=surface.tool_input_schema,
            on_list_tools=self._list_tools,
            on_call_tool=surface.call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_resource_templates,
            on_read_resource=self._read_resource,
            on_subscribe_resource=self._subscribe,
            on_unsubscribe_resource=self._unsubscribe,
            on_subscriptions_listen=self._listen_to,
            on_list_prompts=self._list_prompts,
            on_get_prompt=surface.get_prompt,
            on_completion=self._complete,
        )
        self._wrap(request_state or RequestStateSecurity.ephemeral())
        self._extend(extensions)

    def create_initialization_options(
        self, notification_options: NotificationOptions | None = None, *args: Any, **kwargs: Any
    ) -> InitializationOptions:
        """Return the options of a handshake; without these, clients up to 2025-11-25 are told that no list changes."""
        options = notification_options or NotificationOptions(True, True, True)
        return super().create_initialization_options(options, *args, **kwargs)

    def run_beside(self, work: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        """Do `work` while the host serves; to be called before it does."""

        @asynccontextmanager
        async def lifespan(_server: Server[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
            async with work():
                yield {}

        self.lifespan = lifespan

    def end_streams(self) -> None:
        """Let every stream of changes end, so that its client knows that the server stops, and what else would wait."""
        for end in self._endings:
            end()

    def when_ending(self, end: Callable[[], None]) -> None:
        """Call `end` as soon as the server is asked to stop."""
        self._endings.append(end)

    def _wrap(self, security: RequestStateSecurity) -> None:
        self.middleware.append(_refuse_broken_text)
        self.middleware.append(RequestStateBoundary(security, default_audience=NAME))
        self.middleware.append(self._remember)

    def _extend(self, extensions: Sequence[Extension]) -> None:
        for extension in extensions:
            self.extensions[extension.identifier] = extension.settings()
            for method in extension.methods():
                self.add_request_handler(method.method, method.params_type, _gated(method))
        if extensions:
            handler = compose_tool_call_handler(list(extensions), self.surface.call_tool)
            self.add_request_handler("tools/call", CallToolRequestParams, handler)

    async def _list_tools(self, context: RequestContext, _params: PaginatedRequestParams | None) -> ListToolsResult:
        # In one page: there are at most 24, and not every client follows a cursor.
        return ListToolsResult(tools=list(await self.surface.tools(context)))

    async def _list_resources(
        self, context: RequestContext, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        shown, cursor = _page(await self.surface.resources(context), params)
        return ListResourcesResult(resources=shown, next_cursor=cursor)

    async def _list_resource_templates(
        self, context: RequestContext, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        shown, cursor = _page(await self.surface.resource_templates(context), params)
        return ListResourceTemplatesResult(resource_templates=shown, next_cursor=cursor)

    async def _read_resource(
        self, context: RequestContext, params: ReadResourceRequestParams
    ) -> ReadResourceResult | InputRequiredResult:
        try:
            return await self.surface.read_resource(context, params)
        except UnknownResource:
            raise unknown_resource(params.uri) from None

    async def _list_prompts(self, context: RequestContext, params: PaginatedRequestParams | None) -> ListPromptsResult:
        shown, cursor = _page(await self.surface.prompts(context), params)
        return ListPromptsResult(prompts=shown, next_cursor=cursor)

    async def _complete(self, context: RequestContext, params: CompleteRequestParams) -> CompleteResult:
        return CompleteResult(completion=await self.surface.complete(context, params))

    async def _remember(self, ctx: RequestContext, call_next: CallNext) -> HandlerResult:
        """Know a client up to 2025-11-25 from its first message after the handshake."""
        if ctx.protocol_version < _MODERN_SINCE and ctx.method != "initialize":
            self.legacy.client(_connection(ctx), self._audience(ctx))
        return await call_next(ctx)

    async def _subscribe(self, context: RequestContext, params: SubscribeRequestParams) -> EmptyResult:
        await self._check_watch(context, params.uri)
        self.legacy.client(_connection(context), self._audience(context)).watch(params.uri)
        return EmptyResult()

    async def _unsubscribe(self, context: RequestContext, params: UnsubscribeRequestParams) -> EmptyResult:
        # Whatever it is: what was watched may be gone by now, and the answer tells nothing.
        self.legacy.client(_connection(context), self._audience(context)).unwatch(params.uri)
        return EmptyResult()

    async def _listen_to(
        self, context: RequestContext, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        watched = params.notifications.resource_subscriptions or []
        if len(watched) > MOST_WATCHED:
            raise too_many_watched()
        for uri in watched:
            await self._check_watch(context, uri)
        return await self._streams.serve(context, params, self._audience(context))

    async def _check_watch(self, context: RequestContext, uri: str) -> None:
        if is_reserved(uri) or not await self.surface.may_watch(context, uri):
            raise unknown_resource(uri)


class _Streams:
    """The open streams of changes, in 2026-07-28."""

    def __init__(self, bus: SubscriptionBus) -> None:
        self._bus = bus
        self._open: dict[ListenHandler, str] = {}

    async def serve(
        self, context: RequestContext, params: SubscriptionsListenRequestParams, audience: str
    ) -> SubscriptionsListenResult:
        """Tell one client of what concerns its audience until it goes away, or `close`."""
        streams = list(self._open.values())
        if len(streams) >= _MOST_STREAMS or streams.count(audience) >= _MOST_STREAMS_OF_ONE:
            raise MCPError(INTERNAL_ERROR, "Subscription limit reached")
        stream = ListenHandler(AudienceBus(self._bus, audience))
        self._open[stream] = audience
        try:
            return await stream(context, params)
        finally:
            del self._open[stream]

    def close(self) -> None:
        for stream in tuple(self._open):
            stream.close()


def _page(items: Sequence[T], params: PaginatedRequestParams | None) -> tuple[list[T], str | None]:
    try:
        shown, cursor = page(items, params.cursor if params else None, _PAGE)
    except ConfigError as error:
        raise MCPError(INVALID_PARAMS, error.message) from None
    return list(shown), cursor


async def _refuse_broken_text(ctx: RequestContext, call_next: CallNext) -> HandlerResult:
    """Refuse half of a character, which JSON can escape: no text that holds one can be stored or sent on."""
    try:
        json.dumps(ctx.params, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        if ctx.request_id is None:
            return None  # a notification has no answer
        raise MCPError(INVALID_PARAMS, "Invalid params: text holds half of a character") from None
    return await call_next(ctx)


def _connection(context: RequestContext) -> Connection:
    # The SDK gives handlers no other way to what lives as long as the connection.
    connection: Connection = context.session._connection
    return connection


def _gated(method: MethodBinding) -> Any:
    async def handle(context: RequestContext, params: Any) -> Any:
        if method.protocol_versions is not None and context.protocol_version not in method.protocol_versions:
            raise MCPError(METHOD_NOT_FOUND, f"Unknown method: {method.method}")
        return await method.handler(context, params)

    return handle
