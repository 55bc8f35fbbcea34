"""A kept result can be read by its id: by its tenant, some rows at a time, as CSV."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from answers_lab import ANN, BOB, fill, numbers, opened
from mcp import MCPError
from mcp.types import TextResourceContents

from servicetsunami.mcp.resources.query_results import TEMPLATE, QueryResults
from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.tables import query_sql

ALL = "SELECT n, word FROM bronze.numbers ORDER BY n"


def _with_result(
    home: Path, work: Callable[[App, QueryResults, str], Awaitable[None]], rows: pa.Table | None = None
) -> None:
    async def run() -> None:
        async with opened(home) as app:
            await asyncio.to_thread(fill, app, "numbers", numbers(1_000) if rows is None else rows)
            result_id = (await query_sql(app, ANN, ALL, limit=1)).result_id
            await work(app, QueryResults(app), result_id or "")

    asyncio.run(run())


async def _read(results: QueryResults, uri: str, who: Caller = ANN) -> tuple[str, dict[str, object]]:
    rows, about = (await results.read(who, uri)).contents
    assert isinstance(rows, TextResourceContents)
    assert isinstance(about, TextResourceContents)
    assert (rows.mime_type, about.mime_type) == ("text/csv", "application/json")
    return rows.text, json.loads(about.text)


def test_rows_are_read_in_pages_to_the_end(tmp_path: Path) -> None:
    async def work(app: App, results: QueryResults, result_id: str) -> None:
        del app
        lines, offset = list[str](), 0
        while True:
            text, about = await _read(results, f"query-result://{result_id}?offset={offset}&limit=400")
            head, *more = text.splitlines()
            lines += more
            if "next_offset" not in about:
                break
            offset = int(str(about["next_offset"]))

        assert head == "n,word"
        assert lines == [f"{number},word {number}" for number in range(1_000)]
        assert (about["rows"], about["complete"], about["offset"]) == (1_000, True, 800)

    _with_result(tmp_path, work)


def test_without_numbers_the_first_rows_are_read(tmp_path: Path) -> None:
    async def work(app: App, results: QueryResults, result_id: str) -> None:
        del app
        _, about = await _read(results, f"query-result://{result_id}")

        assert (about["row_count"], about["next_offset"]) == (200, 200)

    _with_result(tmp_path, work)


def test_formulas_are_guarded_and_long_cells_bounded(tmp_path: Path) -> None:
    rows = pa.table({"n": [1, 2, 3, 4], "word": ["=1", "x" * 600_000, None, "-"]})

    async def work(app: App, results: QueryResults, result_id: str) -> None:
        del app
        first, _ = await _read(results, f"query-result://{result_id}?limit=1000")
        second, about = await _read(results, f"query-result://{result_id}?offset=1")
        third, _ = await _read(results, f"query-result://{result_id}?offset=2")

        assert first == "n,word\n1,'=1\n"
        assert len(second) < 64_000
        assert about["notes"] == "Long cells are cut."
        assert third == "n,word\n3,\n4,'-\n"

    _with_result(tmp_path, work, rows)


@pytest.mark.parametrize(
    "uri",
    [
        "query-result://{id}?offset=-1",
        "query-result://{id}?limit=0",
        "query-result://{id}?limit=1001",
        "query-result://{id}?other=1",
        "query-result://{id}/x",
        "query-result://res_00000000000000000000000000000000",
        "query-result://../../x",
    ],
)
def test_what_cannot_be_read_does_not_exist(tmp_path: Path, uri: str) -> None:
    async def work(app: App, results: QueryResults, result_id: str) -> None:
        del app
        with pytest.raises(MCPError, match="Resource not found"):
            await results.read(ANN, uri.replace("{id}", result_id))

    _with_result(tmp_path, work)


def test_a_result_belongs_to_its_tenant(tmp_path: Path) -> None:
    async def work(app: App, results: QueryResults, result_id: str) -> None:
        await app.records.create_tenant(BOB.tenant)
        with pytest.raises(MCPError, match="Resource not found"):
            await results.read(BOB, f"query-result://{result_id}")

        assert await results.complete(BOB, TEMPLATE, "result_id", "", {}) == []
        assert await results.complete(ANN, TEMPLATE, "result_id", "res_", {}) == [result_id]

    _with_result(tmp_path, work)


def test_without_the_scope_to_read_there_is_nothing(tmp_path: Path) -> None:
    nobody = replace(ANN, scopes=frozenset({"sync"}))

    async def work(app: App, results: QueryResults, result_id: str) -> None:
        del app
        with pytest.raises(MCPError, match="Resource not found"):
            await results.read(nobody, f"query-result://{result_id}")

        assert list(await results.complete(nobody, TEMPLATE, "result_id", "", {})) == []
        assert list(results.templates(nobody)) == []

    _with_result(tmp_path, work)
