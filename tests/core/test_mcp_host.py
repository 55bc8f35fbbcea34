"""The MCP server, seen by a client of the SDK in both protocol eras. Its tools here are plain functions."""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import anyio
import pytest
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS, CallToolResult, ElicitResult, TextContent
from pydantic import Field

from servicetsunami.mcp import host as host_module
from servicetsunami.mcp.arguments import TenantArguments
from servicetsunami.mcp.host import Host
from servicetsunami.mcp.product import Product
from servicetsunami.mcp.spec import Catalog, Hints, ToolCall, ToolSpec
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.models import Result
from servicetsunami.sdk import NotFound

if TYPE_CHECKING:
    from servicetsunami.operations.app import App

pytestmark = pytest.mark.anyio
# Ships no types.
jsonschema: Any = import_module("jsonschema")
CANARY = "canary-4f1d"
ERAS = ("legacy", "2026-07-28")
ACME = Caller("acme")
UNPROMISED = {"mcp.server.extension", "mcp.server.mcpserver", "mcp.server.subscriptions", "mcp.server.caching"}


class Pour(TenantArguments):
    cups: int = Field(ge=1)
    tea_kind: str = "green"
    milk: Literal["none", "some"] = "none"


class Poured(Result):
    cups: int
    kind: str
    note: str | None = None


Run = Callable[[ToolCall, Pour], Awaitable[Poured]]


async def pour(_call: ToolCall, arguments: Pour) -> Poured:
    return Poured(cups=arguments.cups, kind=arguments.tea_kind)


async def report_each_cup(call: ToolCall, arguments: Pour) -> Poured:
    for cup in (1, 1, 2, arguments.cups):
        await call.report(cup, arguments.cups, f"cup {cup}")
    return await pour(call, arguments)


async def find_no_tea(_call: ToolCall, _arguments: Pour) -> Poured:
    raise NotFound(
        "there is no tea", code="tea_not_found", why="the tin is empty", fix="buy some", did_you_mean=("coffee",)
    )


async def crash(_call: ToolCall, arguments: Pour) -> Poured:
    raise RuntimeError(f"{arguments.tea_kind} spilt")


def tool(run: Run = pour, name: str = "pour_tea") -> ToolSpec:
    return ToolSpec(
        name=name,
        title="Pour tea",
        description="Pour cups of tea.",
        arguments=Pour,
        result=Poured,
        run=run,
        scope="read",
        text=lambda poured: f"Poured {poured.cups} cups of {poured.kind}.",
        hints=Hints(idempotent=True, open_world=True),
    )


def host(run: Run = pour, caller: Caller = ACME) -> Host:
    # These tools ask nothing of an App.
    app = cast("App", None)
    spec = tool(run)
    catalog = Catalog.of(spec, aliases={"pour": spec})
    product = Product(app, catalog, lambda _context: caller)
    return Host(product, version="1.2.3", instructions="Call pour_tea first.")


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_client_is_told_what_the_server_is_and_how_to_begin(era: str) -> None:
    async with Client(host(), mode="auto" if era != "legacy" else era) as client:
        assert client.instructions == "Call pour_tea first."
        assert client.server_info is not None
        assert (client.server_info.name, client.server_info.version) == ("servicetsunami", "1.2.3")


async def test_a_tool_is_listed_with_title_hints_and_both_schemas(era: str) -> None:
    async with Client(host(), mode=era) as client:
        (listed,) = (await client.list_tools()).tools

    assert (listed.name, listed.title, listed.description) == ("pour_tea", "Pour tea", "Pour cups of tea.")
    assert listed.annotations is not None
    assert listed.annotations.model_dump(exclude_none=True) == {
        "read_only_hint": False,
        "destructive_hint": False,
        "idempotent_hint": True,
        "open_world_hint": True,
    }
    assert listed.input_schema["additionalProperties"] is False
    assert list(listed.input_schema["properties"]) == ["cups", "tea_kind", "milk", "tenant_id"]
    assert listed.output_schema is not None
    assert listed.output_schema["properties"]["note"] == {"type": "string"}


async def test_a_call_answers_with_structure_and_text(era: str) -> None:
    async with Client(host(), mode=era) as client:
        await client.list_tools()
        result = await client.call_tool("pour_tea", {"cups": 2})

    assert not result.is_error
    assert result.structured_content == {"cups": 2, "kind": "green"}
    assert text_of(result) == "Poured 2 cups of green."


async def test_an_alias_answers_but_is_not_listed(era: str) -> None:
    async with Client(host(), mode=era) as client:
        names = [listed.name for listed in (await client.list_tools()).tools]
        result = await client.call_tool("pour", {"cups": 1})

    assert names == ["pour_tea"]
    assert result.structured_content == {"cups": 1, "kind": "green"}


async def test_an_unknown_tool_is_invalid_params_with_near_names(era: str) -> None:
    async with Client(host(), mode=era) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("pour_te", {})

    assert caught.value.code == INVALID_PARAMS
    assert str(caught.value) == "Unknown tool: pour_te; did you mean pour_tea, pour?"


async def test_an_unknown_argument_is_refused_with_the_near_name(era: str) -> None:
    async with Client(host(), mode=era) as client:
        result = await client.call_tool("pour_tea", {"cups": 1, "tea_kin": CANARY})

    assert result.is_error
    assert result.structured_content == {
        "error": {
            "kind": "config",
            "code": "unknown_argument",
            "message": "pour_tea has no argument 'tea_kin', so it was not called",
            "fix": "use only: cups, tea_kind, milk, tenant_id",
            "did_you_mean": ["tea_kind"],
            "retryable": False,
        }
    }
    assert CANARY not in text_of(result)


@pytest.mark.parametrize(
    ("arguments", "code", "field"),
    [
        ({"cups": CANARY}, "invalid_argument", "cups"),
        ({"cups": {"of": CANARY}}, "invalid_argument", "cups"),
        ({"cups": 0, "tea_kind": CANARY}, "invalid_argument", "cups"),
        ({"tea_kind": CANARY}, "missing_argument", "cups"),
        ({"cups": 1, "milk": CANARY}, "invalid_argument", "milk"),
        ({"cups": 1, "milk": [CANARY]}, "invalid_argument", "milk"),
        ({"cups": 1, CANARY: 1}, "unknown_argument", None),
        ({"cups": 1, "tenant_id": CANARY}, "tenant_not_found", "tenant_id"),
    ],
)
async def test_a_wrong_argument_is_named_and_no_value_is_repeated(
    era: str, arguments: dict[str, Any], code: str, field: str | None
) -> None:
    async with Client(host(), mode=era) as client:
        result = await client.call_tool("pour_tea", arguments)

    assert result.is_error
    assert result.structured_content["error"]["code"] == code
    assert result.structured_content["error"].get("field") == field
    assert CANARY not in result.model_dump_json()
    assert "pydantic" not in result.model_dump_json()


async def test_a_choice_that_is_none_is_answered_with_the_choices(era: str) -> None:
    async with Client(host(), mode=era) as client:
        result = await client.call_tool("pour_tea", {"cups": 1, "milk": "sone"})

    error = result.structured_content["error"]
    assert (error["fix"], error["did_you_mean"]) == ("use one of: none, some", ["some", "none"])


async def test_the_callers_own_tenant_is_accepted(era: str) -> None:
    async with Client(host(), mode=era) as client:
        result = await client.call_tool("pour_tea", {"cups": 1, "tenant_id": "acme"})

    assert not result.is_error


async def test_a_null_argument_is_as_good_as_none(era: str) -> None:
    async with Client(host(), mode=era) as client:
        result = await client.call_tool("pour_tea", {"cups": 1, "tenant_id": None})

    assert not result.is_error


async def test_a_typed_error_tells_code_message_why_fix_and_near_names(era: str) -> None:
    async with Client(host(find_no_tea), mode=era) as client:
        await client.list_tools()
        result = await client.call_tool("pour_tea", {"cups": 1})

    assert result.is_error
    assert text_of(result) == (
        "tea_not_found: there is no tea\nWhy: the tin is empty\nFix: buy some\nDid you mean: coffee"
    )
    assert result.structured_content["error"]["did_you_mean"] == ["coffee"]


async def test_an_error_fits_the_output_schema_for_clients_that_check_errors_too(era: str) -> None:
    async with Client(host(find_no_tea), mode=era) as client:
        (listed,) = (await client.list_tools()).tools
        failed = await client.call_tool("pour_tea", {"cups": 1})

    assert failed.is_error
    assert listed.output_schema is not None
    jsonschema.validate(failed.structured_content, listed.output_schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"cups": 1}, listed.output_schema)


async def test_a_crash_says_nothing_of_what_was_in_flight(era: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Client(host(crash), mode=era) as client:
        result = await client.call_tool("pour_tea", {"cups": 1, "tea_kind": CANARY})

    assert result.is_error
    assert result.structured_content["error"]["code"] == "internal"
    assert CANARY not in result.model_dump_json()
    assert "RuntimeError" in caplog.text
    assert CANARY not in caplog.text


async def test_progress_only_rises(era: str) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with Client(host(report_each_cup), mode=era) as client:
        await client.call_tool("pour_tea", {"cups": 3}, progress_callback=on_progress)

    assert seen == [(1, 3, "cup 1"), (2, 3, "cup 2"), (3, 3, "cup 3")]


async def test_a_call_that_the_client_gives_up_is_cancelled(era: str) -> None:
    began, ended = anyio.Event(), anyio.Event()

    async def wait_for_ever(_call: ToolCall, _arguments: Pour) -> Poured:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError

    async with Client(host(wait_for_ever), mode=era) as client, anyio.create_task_group() as calls:
        calls.start_soon(client.call_tool, "pour_tea", {"cups": 1})
        await began.wait()
        calls.cancel_scope.cancel()
        with anyio.CancelScope(shield=True), anyio.fail_after(5):
            await ended.wait()

    assert ended.is_set()


async def test_a_tool_beyond_the_callers_scopes_does_not_exist(era: str) -> None:
    nobody = Caller("acme", scopes=frozenset({"sync"}))
    async with Client(host(caller=nobody), mode=era) as client:
        listed = (await client.list_tools()).tools
        with pytest.raises(MCPError) as caught:
            await client.call_tool("pour_tea", {"cups": 1})

    assert listed == []
    assert (caught.value.code, str(caught.value)) == (INVALID_PARAMS, "Unknown tool: pour_tea")


async def test_a_tool_asks_and_goes_on_with_the_answer(era: str) -> None:
    asked: list[str] = []

    async def pour_if_confirmed(call: ToolCall, arguments: Pour) -> Poured:
        assert call.ask.can_confirm
        sure = await call.ask.confirm("sure", f"Pour {arguments.cups} cups?")
        return Poured(cups=arguments.cups if sure else 0, kind="green")

    async def agree(context: Any, params: Any) -> ElicitResult:
        del context
        asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with Client(host(pour_if_confirmed), mode=era, elicitation_callback=agree) as client:
        result = await client.call_tool("pour_tea", {"cups": 2})

    assert asked == ["Pour 2 cups?"]
    assert result.structured_content == {"cups": 2, "kind": "green"}


async def test_a_client_that_cannot_be_asked_is_known(era: str) -> None:
    async def pour_if_possible(call: ToolCall, _arguments: Pour) -> Poured:
        return Poured(cups=0, kind=str((call.ask.can_confirm, call.ask.can_open_page)))

    async with Client(host(pour_if_possible), mode=era) as client:
        result = await client.call_tool("pour_tea", {"cups": 2})

    assert result.structured_content["kind"] == "(False, False)"


def test_only_the_host_knows_what_the_sdk_does_not_promise_to_keep() -> None:
    package = Path(host_module.__file__).parent

    users = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if UNPROMISED & imported(path)}

    assert users == {"host.py"}


def imported(path: Path) -> set[str]:
    """Return the modules that a module imports from."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names
