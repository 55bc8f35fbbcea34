"""A transform writes all or nothing, once, and looks only at what it has to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from transform_lab import Lab, lab

from servicetsunami.operations.caller import Caller
from servicetsunami.operations.sync import cancel_run, get_run
from servicetsunami.operations.tables import describe_table
from servicetsunami.operations.transforms import Wish, transform_to_silver
from servicetsunami.sdk import ConfigError, Json, NotFound

pytestmark = pytest.mark.anyio
LOWER: Json = {"op": "case", "columns": ["name"], "to": "lower"}
POSITIVE: Json = {"op": "filter", "where": "n > 0"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def people(first: int, *names: str, n: int = 1) -> dict[str, Any]:
    return {"id": list(range(first, first + len(names))), "name": list(names), "n": [n] * len(names)}


async def version(here: Lab, table: str = "silver.t") -> int:
    return (await describe_table(here.app, here.caller, table)).version


async def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("t", people(1, "ADA", "Bob"), key=("id",))
        first = await here.transform("t", [LOWER])
        before = await version(here)
        second = await here.transform("t", [LOWER])

        assert (first.mode, first.rows) == ("full", 2)
        assert (second.status, second.mode, second.rows) == ("succeeded", "unchanged", 0)
        assert await version(here) == before


async def test_another_definition_makes_the_table_anew(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("t", people(1, "ADA", "Bob"), key=("id",))
        await here.transform("t", [LOWER])
        again = await here.transform("t", [LOWER, {"op": "drop", "columns": ["n"]}])
        found = await here.rows("select * except (_synced_at) from silver.t order by id")

    assert (again.mode, found) == ("full", [(1, "ada"), (2, "bob")])


async def test_an_incremental_run_writes_the_changed_rows_only(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("t", people(1, *[f"N{i}" for i in range(100)]), key=("id",), connection="files")
        await here.transform("t", [LOWER])
        await here.sync("t", people(100, "NEW", "NEWER"), key=("id",), connection="files")
        again = await here.transform("t", [LOWER])
        found = await here.rows("select count(1), count_if(name like 'new%') from silver.t")

    assert (again.mode, again.rows, found) == ("incremental", 2, [(101, 2)])


async def test_a_row_that_passes_a_filter_no_more_is_gone(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("t", people(1, "a", "b", "c"), key=("id",), connection="files")
        await here.transform("t", [POSITIVE])
        await here.sync("t", people(2, "b", n=-1), key=("id",), connection="files")
        again = await here.transform("t", [POSITIVE])
        found = await here.rows("select id from silver.t order by id")

    assert (again.mode, found) == ("incremental", [(1,), (3,)])


async def test_new_rows_are_deduplicated_against_old_ones(tmp_path: Path) -> None:
    steps: list[Json] = [{"op": "deduplicate", "key": ["name"], "order_by": ["id"]}]
    async with lab(tmp_path) as here:
        await here.sync("t", people(1, "a", "b", "a"))
        await here.transform("t", steps)
        await here.sync("t", people(4, "b", "c"))
        again = await here.transform("t", steps)
        found = await here.rows("select name, id from silver.t order by name")

    assert (again.mode, again.rows) == ("incremental", 2)
    assert found == [("a", 3), ("b", 4), ("c", 5)]


async def test_a_row_whose_key_changed_leaves_no_old_one_behind(tmp_path: Path) -> None:
    steps: list[Json] = [{"op": "deduplicate", "key": ["name"], "order_by": ["id"]}]
    async with lab(tmp_path) as here:
        await here.sync("t", people(1, "old", "b"), key=("id",), connection="files")
        await here.transform("t", steps)
        await here.sync("t", people(1, "new"), key=("id",), connection="files")
        again = await here.transform("t", steps)
        found = await here.rows("select name from silver.t order by name")

    assert (again.mode, found) == ("full", [("b",), ("new",)])


async def test_rows_that_were_deleted_at_the_source_go_too(tmp_path: Path) -> None:
    """The records know nothing of this table, so any change of it may have been a deletion."""
    async with lab(tmp_path) as here:
        await here.sync("t", people(1, "a", "b"), key=("id",))
        await here.transform("t", [LOWER])
        gone = {"id": [1], "name": [None], "n": [None], "_op": ["d"]}
        await here.sync("t", gone, key=("id",), mode="apply")
        again = await here.transform("t", [LOWER])
        found = await here.rows("select id from silver.t")

    assert (again.mode, found) == ("full", [(2,)])


async def test_incremental_runs_give_what_one_full_run_gives(tmp_path: Path) -> None:
    """Every sync changes, adds and takes back; after each the table is that of a transform from nothing."""
    steps: list[Json] = [LOWER, {"op": "nullify", "columns": ["name"]}, POSITIVE]
    async with lab(tmp_path) as here:
        modes = []
        for turn in range(6):
            rows = {
                "id": [turn, turn + 1, turn * 3 + 2],
                "name": [f"A{turn}", "N/A", f"C{turn}"],
                "n": [turn % 2, turn % 3 - 1, turn - 2],
            }
            await here.sync("t", rows, key=("id",), connection="files")
            modes.append((await here.transform("t", steps)).mode)
            await here.transform("t", steps, target=f"whole_{turn}")
            kept = "select id, name, n from silver."
            assert await here.rows(f"{kept}t order by id") == await here.rows(f"{kept}whole_{turn} order by id")

    assert modes == ["full", *["incremental"] * 5]


async def test_a_failing_check_stops_with_the_table_untouched(tmp_path: Path) -> None:
    check: Json = {"check": "not_null", "columns": ["name"], "action": "stop"}
    async with lab(tmp_path) as here:
        await here.sync("t", people(1, "a", "b"), key=("id",))
        await here.transform("t", [LOWER], [check])
        before = await version(here)
        await here.sync("t", {"id": [3], "name": [None], "n": [1]}, key=("id",))
        failed = await here.transform("t", [LOWER], [check])

        assert failed.status == "failed"
        assert failed.problem is not None
        assert failed.problem.code == "quality_check_failed"
        assert "1 row" in failed.problem.message
        assert await version(here) == before
        assert await here.rows("select count(1) from silver.t") == [(2,)]


async def test_wrong_rows_are_set_aside_with_their_reasons(tmp_path: Path) -> None:
    steps: list[Json] = [{"op": "cast", "column": "name", "type": "int", "on_failure": "quarantine"}]
    checks: list[Json] = [{"check": "range", "column": "n", "minimum": 0, "action": "quarantine"}]
    async with lab(tmp_path) as here:
        await here.sync("t", {"id": [1, 2, 3, 4], "name": ["1", "x", "3", "y"], "n": [1, 1, -1, -1]})
        made = await here.transform("t", steps, checks)
        good = await here.rows("select id from silver.t order by id")
        bad = await here.rows("select id, _reason from silver.t_quarantine order by id")

    assert (made.rows, made.quarantined) == (1, 3)
    assert made.quarantine_table == "tenant_default.silver.t_quarantine"
    assert good == [(1,)]
    assert bad == [(2, "cast name"), (3, "range n"), (4, "cast name; range n")]
    assert [(one.name, one.violations) for one in made.checks] == [("cast name", 2), ("range n", 2)]


async def test_what_was_set_aside_once_is_taken_back_when_it_is_mended(tmp_path: Path) -> None:
    checks: list[Json] = [{"check": "one_of", "column": "name", "values": ["a"], "action": "quarantine"}]
    async with lab(tmp_path) as here:
        await here.sync("t", people(1, "a", "b"), key=("id",))
        await here.transform("t", [], checks)
        await here.sync("t", people(2, "a"), key=("id",))
        await here.transform("t", [], checks)

        assert await here.rows("select count(1) from silver.t") == [(2,)]
        assert await here.rows("select count(1) from silver.t_quarantine") == [(0,)]


CHECKS: list[tuple[Json, int]] = [
    ({"check": "unique", "columns": ["name"]}, 2),
    ({"check": "pattern", "column": "name", "pattern": "[a-z]"}, 1),
    ({"check": "reference", "column": "id", "table": "bronze.known", "to": "id"}, 2),
    ({"check": "range", "column": "n", "maximum": "1"}, 1),
    ({"check": "one_of", "column": "n", "values": ["1", "2"]}, 1),
]


async def test_checks_warn_with_the_number_of_rows(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("t", {"id": [1, 2, 3, None], "name": ["a", "a", "BB", None], "n": [1, 2, 0, None]})
        await here.sync("known", {"id": [1, None]})
        made = await here.transform("t", [], [check for check, _ in CHECKS])

    assert [one.violations for one in made.checks] == [rows for _, rows in CHECKS]
    assert made.status == "succeeded"


async def test_a_table_that_shrinks_too_much_is_left_as_it_was(tmp_path: Path) -> None:
    check: Json = {"check": "row_count", "max_change": 0.5}
    steps: list[Json] = [POSITIVE]
    async with lab(tmp_path) as here:
        await here.sync("t", people(1, "a", "b", "c", "d"), key=("id",))
        await here.transform("t", steps, [check])
        await here.sync("t", people(1, "a", "b", "c", n=0), key=("id",))
        failed = await here.transform("t", steps, [check])

        assert failed.problem is not None
        assert failed.problem.code == "quality_check_failed"
        assert await here.rows("select count(1) from silver.t") == [(4,)]


async def test_a_table_of_another_source_is_not_overwritten(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("t", people(1, "a"))
        await here.sync("u", people(1, "b"))
        await here.transform("t", [])
        failed = await here.transform("u", [], target="t")
        named = await here.transform("u", [], target="silver.other")

        assert failed.problem is not None
        assert (failed.problem.code, failed.problem.field) == ("table_taken", "silver_table")
        assert named.silver_table == "tenant_default.silver.other"
        assert await here.rows("select name from silver.t") == [("a",)]


@pytest.mark.parametrize("source", ["bronze.nothing", "silver.t", "t", "bronze.t.u", "gold'; drop"])
async def test_a_source_that_cannot_be_is_refused_before_a_run(tmp_path: Path, source: str) -> None:
    async with lab(tmp_path) as here:
        with pytest.raises((NotFound, ConfigError)):
            await transform_to_silver(here.app, here.caller, Wish(source, [], target="t"))

        assert await here.app.records.runs("default") == []


async def test_another_tenant_finds_no_such_table(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("t", people(1, "a"))
        await here.app.records.create_tenant("bobs")
        for source in ("bronze.t", "tenant_default.bronze.t"):
            with pytest.raises((NotFound, ConfigError)):
                await transform_to_silver(here.app, Caller("bobs"), Wish(source, []))


async def test_a_run_can_be_watched_and_cancelled(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        count = 300_000
        await here.sync("t", {"id": list(range(count)), "name": ["x"] * count, "n": [1] * count})
        begun = await transform_to_silver(here.app, here.caller, Wish("bronze.t", [LOWER]), wait_seconds=0)
        assert begun.run_id is not None
        ended = await cancel_run(here.app, here.caller, begun.run_id)
        if ended.status == "cancelled":  # else it was quicker than we
            with pytest.raises(NotFound):
                await describe_table(here.app, here.caller, "silver.t")
        seen = await get_run(here.app, here.caller, begun.run_id, wait_seconds=20)

    assert (seen.kind, seen.table_name, seen.status) == ("transform", "bronze.t", ended.status)


async def test_a_source_that_changes_meanwhile_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from servicetsunami.operations.transforms import running

    async with lab(tmp_path) as here:
        await here.sync("t", people(1, "a"), key=("id",))
        loop = asyncio.get_running_loop()
        calls: list[int] = []
        write = running.Transform._write

        def late(self: Any, plan: Any, last: Any) -> None:
            if not calls:
                calls.append(1)
                asyncio.run_coroutine_threadsafe(here.sync("t", people(2, "b"), key=("id",)), loop).result()
            write(self, plan, last)

        monkeypatch.setattr(running.Transform, "_write", late)
        made = await here.transform("t", [LOWER])

        assert (made.status, made.rows) == ("succeeded", 2)
        assert await here.rows("select count(1) from silver.t") == [(2,)]
