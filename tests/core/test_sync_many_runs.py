"""Several tables of a connection in one run: fair, and no table's failure is another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest

from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.models import ConnectionSync, RunView
from servicetsunami.operations.sync import cancel_run, get_run
from servicetsunami.operations.sync_many import get_connection_sync, sync_connection
from servicetsunami.sdk import ConfigError, NotFound

pytestmark = pytest.mark.anyio
ME = Caller("default")


class Beds(Protocol):
    rows: dict[str, int]
    views: set[str]
    barren: set[str]
    closed: bool
    begun: list[str]
    most_at_once: int
    hold: Callable[..., None]
    let_go: Callable[[], None]
    wait_for: Callable[[int], bool]


class Garden(Protocol):
    """What the fixture `garden` offers."""

    beds: Beds
    open: Callable[[], AbstractAsyncContextManager[App]]


async def connected(app: App, name: str = "garden") -> str:
    """Store a connection and return its id."""
    created = await app.records.create_connection(
        "default", name=name, connector="garden", settings={}, secrets={}, streams={}
    )
    return created.id


def statuses(result: ConnectionSync) -> dict[str, str]:
    return {table.table_name: table.status for table in result.tables}


async def begun(beds: Beds, number: int) -> None:
    """Wait until so many reads have begun."""
    assert await asyncio.to_thread(beds.wait_for, number)


async def test_every_table_lands_the_smallest_first_and_the_counters_add_up(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)

        result = await sync_connection(app, ME, connection, all_tables=True)

    assert [(one.table_name, one.status) for one in result.tables] == [
        ("ash", "succeeded"),
        ("elm", "succeeded"),
        ("oak", "succeeded"),
    ]
    assert (result.run.kind, result.run.status) == ("sync_all", "succeeded")
    assert (result.run.rows, result.run.rows_read, result.run.rows_total) == (6, 6, 6)
    assert [one.run.rows for one in result.tables if one.run] == [1, 2, 3]


async def test_a_table_that_fails_stops_no_other(garden: Garden) -> None:
    garden.beds.barren = {"ash"}
    async with garden.open() as app:
        connection = await connected(app)

        result = await sync_connection(app, ME, connection, ["oak", "ash", "elm"])

    assert statuses(result) == {"ash": "failed", "elm": "succeeded", "oak": "succeeded"}
    assert result.run.status == "failed"
    assert result.run.problem is not None
    assert result.run.problem.code == "tables_failed"
    assert "2 of 3" in result.run.message
    assert [one.problem.code for one in result.tables if one.problem] == ["barren"]
    (note,) = result.run.notes
    assert note.startswith("ash failed (run_")
    assert note.endswith(": nothing grows in ash")


async def test_a_name_the_source_does_not_know_fails_alone(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)

        result = await sync_connection(app, ME, connection, ["oka", "elm", "elm"])

    assert statuses(result) == {"elm": "succeeded", "oka": "failed"}
    assert [(one.run, one.problem.code) for one in result.tables if one.problem] == [(None, "table_not_found")]


async def test_where_no_name_is_known_nothing_is_begun(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)

        with pytest.raises(NotFound) as refused:
            await sync_connection(app, ME, connection, ["oka", "eml"])
        runs = await app.records.runs("default")

    assert (refused.value.code, refused.value.did_you_mean) == ("table_not_found", ("oak",))
    assert runs == []


async def test_without_names_the_tables_that_landed_are_brought_up_to_date(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)
        await sync_connection(app, ME, connection, ["elm"])

        result = await sync_connection(app, ME, connection)

    assert statuses(result) == {"elm": "succeeded"}


async def test_a_table_whose_first_sync_failed_has_not_landed(garden: Garden) -> None:
    garden.beds.barren = {"ash"}
    async with garden.open() as app:
        connection = await connected(app)
        await sync_connection(app, ME, connection, ["ash", "elm"])

        result = await sync_connection(app, ME, connection)

    assert statuses(result) == {"elm": "succeeded"}


async def test_tables_begin_by_their_size_and_not_by_their_name(garden: Garden) -> None:
    garden.beds.rows = {"ash": 9, "elm": 1, "fir": 5, "oak": 3}
    async with garden.open() as app:
        connection = await connected(app)

        result = await sync_connection(app, ME, connection, all_tables=True)

    assert [table.table_name for table in result.tables] == ["elm", "oak", "fir", "ash"]


async def test_without_names_and_before_anything_landed_it_says_what_to_name(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)

        with pytest.raises(ConfigError) as refused:
            await sync_connection(app, ME, connection)

    assert refused.value.code == "nothing_landed"


async def test_a_view_without_key_and_cursor_is_synced_only_when_it_is_named(garden: Garden) -> None:
    garden.beds.views = {"elm"}
    async with garden.open() as app:
        connection = await connected(app)

        every = await sync_connection(app, ME, connection, all_tables=True)
        named = await sync_connection(app, ME, connection, ["elm"])

    assert statuses(every) == {"ash": "succeeded", "oak": "succeeded"}
    assert statuses(named) == {"elm": "succeeded"}


async def test_a_source_that_shows_no_table_is_told(garden: Garden) -> None:
    garden.beds.views = set(garden.beds.rows)
    async with garden.open() as app:
        connection = await connected(app)

        with pytest.raises(NotFound) as refused:
            await sync_connection(app, ME, connection, all_tables=True)

    assert refused.value.code == "no_tables"
    assert "name the views" in (refused.value.fix or "")


async def test_an_unknown_mode_is_refused_before_anything_is_begun(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)

        with pytest.raises(ConfigError) as refused:
            await sync_connection(app, ME, connection, ["elm"], sync_mode="ful")

    assert (refused.value.code, refused.value.did_you_mean) == ("bad_sync_mode", ("full",))


async def test_two_tables_of_a_connection_are_read_at_once_and_no_more(garden: Garden) -> None:
    garden.beds.hold("ash", "elm", "oak")
    async with garden.open() as app:
        connection = await connected(app)

        waiting = asyncio.create_task(sync_connection(app, ME, connection, all_tables=True))
        await begun(garden.beds, 2)
        first = list(garden.beds.begun)
        garden.beds.let_go()
        result = await waiting

    assert sorted(first) == ["ash", "elm"]
    assert result.run.status == "succeeded"
    assert garden.beds.most_at_once == 2


async def test_a_connection_with_many_tables_leaves_room_for_another(garden: Garden) -> None:
    garden.beds.rows = {f"t{number}": 1 for number in range(6)}
    garden.beds.hold(*garden.beds.rows)
    async with garden.open() as app:
        first, second = await connected(app, "first"), await connected(app, "second")

        waiting = [
            asyncio.create_task(sync_connection(app, ME, connection, all_tables=True)) for connection in (first, second)
        ]
        await begun(garden.beds, 4)
        running = [run.connection_id for run in await app.records.runs("default") if run.kind == "sync"]
        garden.beds.let_go()
        results = await asyncio.gather(*waiting)

    assert sorted(filter(None, running)) == sorted([first, first, second, second])
    assert [result.run.status for result in results] == ["succeeded", "succeeded"]


async def test_cancelling_the_whole_cancels_each_table_and_begins_no_other(garden: Garden) -> None:
    garden.beds.hold("elm", "oak")
    garden.beds.rows |= {"yew": 9}
    async with garden.open() as app:
        connection = await connected(app)
        begun_run = await sync_connection(app, ME, connection, all_tables=True, wait_seconds=0)
        await begun(garden.beds, 3)

        cancelled = await cancel_run(app, ME, begun_run.run.run_id)
        result = await get_connection_sync(app, ME, begun_run.run.run_id)

    assert cancelled.status == "cancelled"
    assert "1 of 4" in cancelled.message
    assert statuses(result) == {"ash": "succeeded", "elm": "cancelled", "oak": "cancelled", "yew": "cancelled"}
    assert "yew" not in garden.beds.begun


async def test_a_process_that_ends_marks_the_whole_and_its_tables_as_interrupted(garden: Garden) -> None:
    garden.beds.hold("elm")
    async with garden.open() as app:
        connection = await connected(app)
        whole = await sync_connection(app, ME, connection, ["elm"], wait_seconds=0)
        await begun(garden.beds, 1)

    async with garden.open() as later:
        result = await get_connection_sync(later, ME, whole.run.run_id)

    assert (result.run.status, statuses(result)) == ("interrupted", {"elm": "interrupted"})


async def test_the_whole_of_a_killed_process_is_found_interrupted(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)
        run = await app.records.create_run(
            "default", "sync_all", connection_id=connection, owner="elsewhere:1:0123456789abcdef"
        )
        (app.settings.home / "processes" / "0123456789abcdef").touch()

        shown = await get_run(app, ME, run.id, wait_seconds=5)

    assert shown.status == "interrupted"


async def test_progress_tells_the_sums_while_it_goes_on(garden: Garden) -> None:
    seen: list[RunView] = []

    async def note(view: RunView) -> None:
        seen.append(view)

    async with garden.open() as app:
        connection = await connected(app)

        await sync_connection(app, ME, connection, ["oak", "elm"], on_progress=note)

    assert {view.kind for view in seen} == {"sync_all"}
    assert seen[-1].rows == 5


async def test_a_source_that_is_closed_is_told_before_a_run_is_made(garden: Garden) -> None:
    garden.beds.closed = True
    async with garden.open() as app:
        connection = await connected(app)

        with pytest.raises(Exception, match="the garden is closed"):
            await sync_connection(app, ME, connection, ["elm"])
        runs: list[Any] = list(await app.records.runs("default"))

    assert runs == []
