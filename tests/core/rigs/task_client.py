"""A client that knows tasks (SEP-2663) and resolves none by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

from mcp import Client
from mcp.client.extension import ClientExtension, ResultClaim
from mcp.server import Server
from mcp.types import CallToolResult, Request, RequestParams, Result

IDENTIFIER = "io.modelcontextprotocol/tasks"


class AnyParams(RequestParams):
    task_id: str
    input_responses: dict[str, Any] | None = None


class AnyRequest(Request[AnyParams, str]):
    params: AnyParams


class Created(Result):
    result_type: Literal["task"]
    task_id: str
    status: str
    ttl_ms: int | None


class Told(Result):
    task_id: str = ""
    status: str = ""
    status_message: str = ""
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    input_requests: dict[str, Any] | None = None


class KnowsTasks(ClientExtension):
    identifier = IDENTIFIER

    def claims(self) -> list[ResultClaim[Created]]:
        async def leave(_created: Created, _context: object) -> CallToolResult:
            raise AssertionError("the tests resolve tasks themselves")

        return [ResultClaim(result_type="task", model=Created, resolve=leave)]


def client_of(server: Server[Any] | str) -> Client:
    return Client(server, mode="2026-07-28", extensions=[KnowsTasks()])


async def begin(client: Client, name: str, **arguments: Any) -> str:
    created = await client.session.call_tool(name, arguments, allow_claimed=True)
    assert isinstance(created, Created), created
    return created.task_id


async def ask(client: Client, method: str, task_id: str, responses: Mapping[str, Any] | None = None) -> Told:
    answers = None if responses is None else dict(responses)
    params = AnyParams(task_id=task_id, input_responses=answers)
    return await client.session.send_request(AnyRequest(method=method, params=params), Told)


async def settled(client: Client, task_id: str, *, until: str = "") -> Told:
    while True:
        told = await ask(client, "tasks/get", task_id)
        if told.status != "working" and until in ("", told.status):
            return told
        await asyncio.sleep(0.01)
