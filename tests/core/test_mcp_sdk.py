"""What of the MCP SDK the host relies on without a promise: an upgrade that moves any of it fails here, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from mcp.server import Server, ServerRequestContext
from mcp.server.connection import Connection
from mcp.server.extension import Extension, MethodBinding, compose_tool_call_handler
from mcp.server.mcpserver import RequestStateBoundary, RequestStateSecurity, require_client_extension
from mcp.server.session import ServerSession
from mcp.server.subscriptions import ListenHandler, SubscriptionBus
from mcp.types import CallToolRequestParams, CallToolResult

pytestmark = pytest.mark.anyio
SIGNATURES: list[tuple[Callable[..., Any], str]] = [
    (compose_tool_call_handler, "extensions handler"),
    (RequestStateBoundary, "security default_audience"),
    (RequestStateSecurity, "keys codec ttl bind_principal audience"),
    (ListenHandler, "bus max_subscriptions max_buffered_events"),
    (ListenHandler.close, "self"),
    (SubscriptionBus.publish, "self event"),
    (SubscriptionBus.subscribe, "self listener"),
    (MethodBinding, "method params_type handler protocol_versions"),
    (Extension.intercept_tool_call, "self params ctx call_next"),
    (require_client_extension, "ctx identifier"),
    (Server.create_initialization_options, "self notification_options experimental_capabilities extensions"),
    (Server.add_request_handler, "self method params_type handler"),
    (ServerSession, "request_outbound connection request_meta"),
    (Connection.send_tool_list_changed, "self meta"),
    (Connection.send_prompt_list_changed, "self meta"),
    (Connection.send_resource_list_changed, "self meta"),
    (Connection.send_resource_updated, "self uri meta"),
]


@pytest.mark.parametrize(("what", "parameters"), SIGNATURES, ids=lambda one: getattr(one, "__qualname__", ""))
def test_what_the_host_calls_takes_what_the_host_gives(what: Callable[..., Any], parameters: str) -> None:
    assert list(inspect.signature(what).parameters) == parameters.split()


def test_a_request_is_seen_with_its_session_era_method_and_transport() -> None:
    fields = set(inspect.signature(ServerRequestContext).parameters)

    assert {"session", "protocol_version", "method", "params", "request", "lifespan_context"} <= fields


def test_the_host_can_add_middleware_and_replace_what_runs_beside_it() -> None:
    server = Server("test")

    assert isinstance(server.middleware, list)
    assert callable(server.lifespan)
    assert isinstance(server.extensions, dict)


async def test_a_session_knows_its_connection_which_tells_when_it_closes() -> None:
    connection = Connection.for_loop(Nowhere())
    session = ServerSession(Nowhere(), connection)
    closed: list[bool] = []

    session._connection.exit_stack.callback(closed.append, True)
    await connection.exit_stack.aclose()

    assert session._connection is connection
    assert closed == [True]


async def test_an_interceptor_gives_the_tool_the_very_parameters_it_was_given() -> None:
    given: list[CallToolRequestParams] = []

    class Changing(Extension):
        identifier = "com.example/changing"

        async def intercept_tool_call(self, params: CallToolRequestParams, ctx: Any, call_next: Any) -> Any:
            params.arguments = {"cups": 2}
            return await call_next(ctx)

    async def tool(_context: Any, params: CallToolRequestParams) -> CallToolResult:
        given.append(params)
        return CallToolResult(content=[])

    handle = compose_tool_call_handler([Changing()], tool)
    context: Any = None
    await handle(context, CallToolRequestParams(name="pour_tea", arguments={"cups": 1}))

    assert [params.arguments for params in given] == [{"cups": 2}]


class Nowhere:
    """A channel that leads nowhere."""

    transport: Any = None
    can_send_request = False
    request_id = None
    message_metadata = None
    cancel_requested = anyio.Event()

    async def send_raw_request(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {}

    async def notify(self, *_: Any, **__: Any) -> None:
        return None

    async def progress(self, *_: Any, **__: Any) -> None:
        return None
