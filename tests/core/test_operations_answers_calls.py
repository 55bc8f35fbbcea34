"""The tools answer within bounds however much there is, and lead on to the rest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from answers_lab import ANN, fill, numbers, opened
from mcp import Client
from mcp.types import CallToolResult, ResourceLink

from servicetsunami.mcp.catalog import catalog_of
from servicetsunami.mcp.host import Host
from servicetsunami.mcp.product import Product
from servicetsunami.operations.app import App
from servicetsunami.operations.connections import list_connections
from servicetsunami.operations.views import run_view
from servicetsunami.records import Run, RunStatus

MOST_BYTES = 256 * 1024
Call = Callable[..., Awaitable[CallToolResult]]


def _with_app(home: Path, work: Callable[[App], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opened(home) as app:
            await work(app)

    asyncio.run(run())


def _with_client(home: Path, prepare: Callable[[App], None], work: Callable[[Call], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opened(home) as app:
            await asyncio.to_thread(prepare, app)
            host = Host(Product(app, catalog_of(app), lambda _: ANN), version="1", instructions="")
            async with Client(host) as client:

                async def call(tool: str, **arguments: Any) -> CallToolResult:
                    answered = await client.call_tool(tool, arguments)
                    assert len(json.dumps(answered.structured_content, ensure_ascii=False).encode()) <= MOST_BYTES
                    return answered

                await work(call)

    asyncio.run(run())


def _fact(answered: CallToolResult, name: str) -> Any:
    assert answered.structured_content is not None
    return answered.structured_content.get(name)


def test_a_long_answer_links_to_its_whole_and_goes_on(tmp_path: Path) -> None:
    sql = "SELECT n FROM bronze.numbers ORDER BY n"

    async def work(call: Call) -> None:
        first = await call("query_sql", sql=sql)
        second = await call("query_sql", sql=sql, cursor=_fact(first, "next_cursor"))

        (link,) = [block for block in first.content if isinstance(block, ResourceLink)]
        assert link.uri == f"query-result://{_fact(first, 'result_id')}"
        assert _fact(second, "rows")[0] == [200]
        assert _fact(first, "next_cursor") in getattr(first.content[0], "text", "")

    _with_client(tmp_path, lambda app: fill(app, "numbers", numbers(500)), work)


def test_the_link_of_an_answer_leads_to_its_rows(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path) as app:
            await asyncio.to_thread(fill, app, "numbers", numbers(500))
            host = Host(Product(app, catalog_of(app), lambda _: ANN), version="1", instructions="")
            async with Client(host) as client:
                answered = await client.call_tool("query_sql", {"sql": "SELECT n FROM bronze.numbers ORDER BY n"})
                (link,) = [block for block in answered.content if isinstance(block, ResourceLink)]
                rows = (await client.read_resource(f"{link.uri}?offset=499")).contents[0]
                templates = (await client.list_resource_templates()).resource_templates

        assert getattr(rows, "text", "") == "n\n499\n"
        assert "query-result://{result_id}{?offset,limit}" in [template.uri_template for template in templates]

    asyncio.run(run())


def test_a_bad_cursor_is_an_error_that_says_what_to_do_and_repeats_nothing(tmp_path: Path) -> None:
    async def work(call: Call) -> None:
        answered = await call("query_sql", sql="SELECT n FROM bronze.numbers", cursor="s3cret-value")

        assert answered.is_error
        assert _fact(answered, "error")["code"] == "bad_cursor"
        assert "s3cret" not in answered.model_dump_json()

    _with_client(tmp_path, lambda app: fill(app, "numbers", numbers(5)), work)


def test_a_result_is_saved_on_demand(tmp_path: Path) -> None:
    async def work(call: Call) -> None:
        answered = await call("query_sql", sql="SELECT n FROM bronze.numbers", save_as="parquet")

        assert _fact(answered, "export")["rows"] == 500
        assert Path(_fact(answered, "export")["path"]).parent == tmp_path / "exports" / "default"
        assert "all 500 rows are in" in getattr(answered.content[0], "text", "")

    _with_client(tmp_path, lambda app: fill(app, "numbers", numbers(500)), work)


def test_a_preview_comes_with_the_description(tmp_path: Path) -> None:
    async def work(call: Call) -> None:
        answered = await call("describe_table", table="bronze.numbers", preview=True)

        assert (len(_fact(answered, "sample")), _fact(answered, "profiled_rows")) == (20, 30)
        assert _fact(answered, "columns")[0]["profile"] == {"nulls": 0, "distinct": 30, "minimum": 0, "maximum": 29}

    _with_client(tmp_path, lambda app: fill(app, "numbers", numbers(30)), work)


def test_no_limit_lets_an_answer_grow_beyond_the_ceiling(tmp_path: Path) -> None:
    wide = pa.table({"word": ["ж" * 3_000] * 1_000})

    async def work(call: Call) -> None:
        answered = await call("query_sql", sql="SELECT word FROM bronze.wide", limit=1_000)

        assert _fact(answered, "truncated")
        assert 0 < _fact(answered, "row_count") < 100

    _with_client(tmp_path, lambda app: fill(app, "wide", wide), work)


def test_many_columns_leave_room_for_a_row(tmp_path: Path) -> None:
    names = [f"{'very_' * 20}long_name_{number:04}" for number in range(1_500)]
    table = pa.table({name: pa.array(range(20), pa.int64()) for name in names})

    async def work(call: Call) -> None:
        answered = await call("query_sql", sql="SELECT * FROM bronze.wide", limit=1_000)

        assert _fact(answered, "truncated")
        assert 0 < _fact(answered, "row_count") < 10

    _with_client(tmp_path, lambda app: fill(app, "wide", table), work)


def test_many_wide_tables_and_columns_come_in_bounded_pages(tmp_path: Path) -> None:
    names = [f"{'very_' * 20}long_name_{number:04}" for number in range(1_600)]
    table = pa.table({name: pa.array([None], pa.string()) for name in names})

    async def work(call: Call) -> None:
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            answered = await call("describe_table", table="bronze.wide", **cursor)
            seen += [column["name"] for column in _fact(answered, "columns")]
            if not _fact(answered, "truncated"):
                break
            cursor = {"cursor": _fact(answered, "next_cursor")}

        assert seen == names

    _with_client(tmp_path, lambda app: fill(app, "wide", table), work)


def test_what_hides_in_a_cell_is_seen_in_the_text(tmp_path: Path) -> None:
    table = pa.table({"word": ["\x1b[31mred\u202e", "plain"]})

    async def work(call: Call) -> None:
        answered = await call("query_sql", sql="SELECT word FROM bronze.words ORDER BY word DESC")
        text = getattr(answered.content[0], "text", "")

        assert "\\x1b[31mred\\u{202e}" in text
        assert "\x1b" not in text
        assert ["\x1b[31mred\u202e"] in _fact(answered, "rows")

    _with_client(tmp_path, lambda app: fill(app, "words", table), work)


def test_a_thousand_connections_are_listed_in_pages(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        for number in range(450):
            await app.records.create_connection(
                "default", name=f"shop {number:04}", connector="gone", settings={}, secrets={}, streams={}
            )
        seen: list[str] = []
        page = await list_connections(app, ANN, limit=200)
        seen += [one.name for one in page.connections]
        while page.truncated:
            assert len(page.model_dump_json()) <= 66_000
            page = await list_connections(app, ANN, limit=200, cursor=page.next_cursor)
            seen += [one.name for one in page.connections]

        assert seen == [f"shop {number:04}" for number in range(450)]
        assert len((await list_connections(app, ANN)).connections) == 450

    _with_app(tmp_path, work)


def test_what_a_run_has_to_say_is_bounded() -> None:
    details = {
        "notes": [f"note {number} " + "x" * 5_000 for number in range(500)],
        "drift": [{"kind": "added", "column": f"c{number}"} for number in range(5_000)],
    }
    run = Run(
        id="run_1",
        tenant="default",
        kind="sync",
        status=RunStatus.SUCCEEDED,
        connection_id=None,
        stream=None,
        table=None,
        mode=None,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        message="x" * 100_000,
        details=details,
    )

    shown = run_view(run, "lake")

    assert len(shown.notes) == 51
    assert shown.notes[50] == "There are 450 more notes like these."
    assert len(shown.model_dump_json()) < MOST_BYTES
