"""A long answer comes in pages that agree with each other, from a result that is kept for a while."""

from __future__ import annotations

import asyncio
import base64
import os
import resource
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from answers_lab import ANN, BOB, fill, numbers, opened
from hypothesis import given, settings
from hypothesis import strategies as st

from servicetsunami.operations.answers.cursors import Cursors, Place
from servicetsunami.operations.answers.shelf import Bounds, Shelf, new_id, sweep
from servicetsunami.operations.app import App
from servicetsunami.operations.tables import query_sql
from servicetsunami.sdk import ConfigError, Load, NotFound, TableName

ALL = "SELECT n, word FROM bronze.numbers ORDER BY n"
HOUR = 3_600


def _with_numbers(home: Path, work: Callable[[App], Awaitable[None]], rows: pa.Table | None = None) -> None:
    async def run() -> None:
        async with opened(home) as app:
            await asyncio.to_thread(fill, app, "numbers", numbers(1_000) if rows is None else rows)
            await work(app)

    asyncio.run(run())


def _kept(home: Path) -> list[Path]:
    return sorted((home / "results").rglob("*.*"))


def test_pages_hold_every_row_once_and_in_order(tmp_path: Path) -> None:
    seen: list[object] = []

    async def work(app: App) -> None:
        page = await query_sql(app, ANN, ALL)
        seen.extend(row[0] for row in page.rows)
        while page.next_cursor:
            page = await query_sql(app, ANN, ALL, cursor=page.next_cursor, limit=300)
            seen.extend(row[0] for row in page.rows)
        assert not page.truncated

    _with_numbers(tmp_path, work)

    assert seen == list(range(1_000))


def test_a_result_of_one_page_is_not_kept(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        page = await query_sql(app, ANN, f"{ALL} LIMIT 200")

        assert (page.truncated, page.next_cursor, page.result_id, page.row_count) == (False, None, None, 200)

    _with_numbers(tmp_path, work)

    assert not _kept(tmp_path)


def test_who_wants_one_page_only_leaves_nothing_behind(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        page = await query_sql(app, ANN, ALL, keep=False)

        assert (page.truncated, page.next_cursor, page.row_count) == (True, None, 200)

    _with_numbers(tmp_path, work)

    assert not _kept(tmp_path)


def test_later_pages_are_of_the_same_moment_as_the_first(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        sql = "SELECT count(*) OVER () AS n, word FROM bronze.numbers"
        first = await query_sql(app, ANN, sql)
        with closing(app.open_sink("default", threading.Event())) as sink:
            more = numbers(5)
            other = sink.begin(Load(TableName("bronze", "numbers"), more.schema, app="test/more"))
            other.stage(more.to_batches()[0])
            other.commit(1, {})
            other.abort()
        second = await query_sql(app, ANN, sql, cursor=first.next_cursor)

        assert {row[0] for row in (*first.rows, *second.rows)} == {1_000}

    _with_numbers(tmp_path, work)


def test_a_kept_result_is_for_its_owner_only_and_private_on_disk(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        await query_sql(app, ANN, ALL)

    _with_numbers(tmp_path, work)

    (file,) = _kept(tmp_path)
    assert file.parent == tmp_path / "results" / "default"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_same_query_in_other_words_goes_on_with_the_same_cursor(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        first = await query_sql(app, ANN, ALL)
        second = await query_sql(app, ANN, f"  {ALL.lower()} ", cursor=first.next_cursor)

        assert second.rows[0][0] == 200

    _with_numbers(tmp_path, work)


@pytest.mark.parametrize("sql", [f"{ALL} DESC", "SELECT 1"])
def test_a_cursor_of_another_query_is_refused(tmp_path: Path, sql: str) -> None:
    async def work(app: App) -> None:
        first = await query_sql(app, ANN, ALL)
        with pytest.raises(ConfigError) as refused:
            await query_sql(app, ANN, sql, cursor=first.next_cursor)

        assert refused.value.code == "bad_cursor"

    _with_numbers(tmp_path, work)


def test_a_cursor_of_another_tenant_is_refused_as_one_that_never_was(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        await app.records.create_tenant(BOB.tenant)
        await asyncio.to_thread(fill, app, "numbers", numbers(1_000), tenant=BOB.tenant)
        first = await query_sql(app, ANN, "SELECT n FROM bronze.numbers")
        said = []
        for cursor in (first.next_cursor, "AAAA"):
            with pytest.raises(ConfigError) as refused:
                await query_sql(app, BOB, "SELECT n FROM bronze.numbers", cursor=cursor)
            said.append(refused.value.problem())

        assert said[0] == said[1]
        assert said[0].code == "bad_cursor"

    _with_numbers(tmp_path, work)


def test_a_result_that_is_gone_says_what_to_do(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        first = await query_sql(app, ANN, ALL)
        second = await query_sql(app, ANN, ALL, cursor=first.next_cursor)
        for file in _kept(tmp_path):
            file.unlink()
        with pytest.raises(NotFound) as refused:
            await query_sql(app, ANN, ALL, cursor=second.next_cursor)

        assert refused.value.code == "result_expired"
        assert "without a cursor" in (refused.value.fix or "")

    _with_numbers(tmp_path, work)


def test_a_result_is_gone_after_an_hour_even_before_it_is_swept(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        first = await query_sql(app, ANN, ALL)
        _age(_kept(tmp_path)[0], HOUR + 60)
        with pytest.raises(NotFound) as refused:
            await query_sql(app, ANN, ALL, cursor=first.next_cursor)

        assert refused.value.code == "result_expired"

    _with_numbers(tmp_path, work)


def test_a_damaged_file_is_a_result_that_is_gone(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        first = await query_sql(app, ANN, ALL)
        _kept(tmp_path)[0].write_bytes(b"ARROW1 and then nothing")
        with pytest.raises(NotFound) as refused:
            await query_sql(app, ANN, ALL, cursor=first.next_cursor)

        assert refused.value.code == "result_expired"

    _with_numbers(tmp_path, work)


def test_pages_can_be_read_at_once(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        first = await query_sql(app, ANN, ALL)
        pages = await asyncio.gather(*(query_sql(app, ANN, ALL, cursor=first.next_cursor) for _ in range(8)))

        assert all(page.rows == pages[0].rows and page.next_cursor == pages[0].next_cursor for page in pages)

    _with_numbers(tmp_path, work)


def test_without_room_on_the_disk_the_first_page_is_answered_all_the_same(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        with _files_of_at_most(16_384):
            page = await query_sql(app, ANN, ALL)

        assert (page.row_count, page.truncated, page.next_cursor, page.result_id) == (200, True, None, None)
        assert "could not be kept (File too large)" in (page.notice or "")

    _with_numbers(tmp_path, work)

    assert not _kept(tmp_path)


def test_a_row_too_long_for_an_answer_is_cut_so_that_paging_goes_on(tmp_path: Path) -> None:
    rows = pa.table({"n": [1, 2, 3], "word": ["x" * 500_000, "y", "z"]})

    async def work(app: App) -> None:
        first = await query_sql(app, ANN, ALL)
        second = await query_sql(app, ANN, ALL, cursor=first.next_cursor)

        assert (first.row_count, second.rows) == (1, ((2, "y"), (3, "z")))
        assert "Long cells are cut." in (first.notice or "")
        assert len(first.model_dump_json()) < 60_000

    _with_numbers(tmp_path, work, rows)


def test_hidden_characters_are_kept_exactly_and_told_of(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        page = await query_sql(app, ANN, "SELECT word FROM bronze.numbers")

        assert page.result == "a\U000e0041\u202eb"
        assert "not seen" in (page.notice or "")

    _with_numbers(tmp_path, work, pa.table({"word": ["a\U000e0041\u202eb"]}))


def test_what_is_longer_than_may_be_kept_ends_with_a_note(tmp_path: Path) -> None:
    table = numbers(100)
    for bounds in (Bounds(rows=60), Bounds(size_bytes=table.slice(0, 50).nbytes)):
        shelf = Shelf(tmp_path, "default", bounds)
        kept = shelf.open(shelf.keep(table.schema, table.to_batches(max_chunksize=25)))

        assert not kept.complete
        assert kept.rows in (60, 75)
    assert Shelf(tmp_path, "default", Bounds(rows=100)).open(shelf.keep(table.schema, table.to_batches()[:0])).complete


def test_of_too_many_results_the_oldest_go(tmp_path: Path) -> None:
    table = numbers(10)
    shelf = Shelf(tmp_path, "default", Bounds(tenant_results=2))
    ids = []
    for age in (30, 20, 10):
        ids.append(shelf.keep(table.schema, table.to_batches()))
        _age(tmp_path / "results" / "default" / f"{ids[-1]}.arrow", age)

    shelf.make_room()

    assert shelf.ids() == [ids[2], ids[1]]


def test_a_tenant_with_too_many_bytes_loses_the_oldest(tmp_path: Path) -> None:
    table = numbers(10)
    shelf = Shelf(tmp_path, "default", Bounds(tenant_bytes=1_500))
    first = shelf.keep(table.schema, table.to_batches())
    _age(tmp_path / "results" / "default" / f"{first}.arrow", 10)

    second = shelf.keep(table.schema, table.to_batches())

    assert shelf.ids() == [second]


def test_old_results_and_remains_are_swept(tmp_path: Path) -> None:
    table = numbers(10)
    old, new = (Shelf(tmp_path, tenant).keep(table.schema, table.to_batches()) for tenant in ("default", "bobs"))
    remains = tmp_path / "results" / "bobs" / "res_x.part"
    remains.touch()
    for file in (remains, tmp_path / "results" / "default" / f"{old}.arrow"):
        _age(file, HOUR + 60)

    sweep(tmp_path)

    assert [file.stem for file in _kept(tmp_path)] == [new]


@pytest.mark.parametrize("name", ["../bobs/res_0", "res_" + "0" * 31 + "/", "", "res_" + "0" * 32])
def test_an_id_is_never_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound) as refused:
        Shelf(tmp_path, "default").open(name)

    assert refused.value.code == "result_expired"


CURSORS = Cursors(b"k" * 32, "default", "SELECT 1")


@given(st.integers(0, 2**40 - 1))
def test_a_cursor_leads_back_to_its_place(offset: int) -> None:
    place = Place(new_id(), offset)

    assert CURSORS.place(CURSORS.cursor(place)) == place


@settings(max_examples=300)
@given(st.text() | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_no_invented_cursor_is_taken(cursor: str) -> None:
    with pytest.raises(ConfigError) as refused:
        CURSORS.place(cursor)

    assert refused.value.code == "bad_cursor"


@settings(max_examples=300)
@given(st.integers(0, 49), st.characters(codec="ascii"))
def test_no_changed_cursor_is_taken(index: int, character: str) -> None:
    cursor = CURSORS.cursor(Place("res_" + "5a" * 16, 200))
    changed = cursor[:index] + character + cursor[index + 1 :]

    if changed == cursor:
        return
    with pytest.raises(ConfigError) as refused:
        CURSORS.place(changed)

    assert refused.value.code == "bad_cursor"


def test_a_cursor_names_neither_query_nor_tenant() -> None:
    raw = base64.urlsafe_b64decode(CURSORS.cursor(Place(new_id(), 1)) + "==")

    assert len(raw) == 37
    assert b"SELECT" not in raw


def _age(file: Path, seconds: float) -> None:
    made = file.stat().st_mtime - seconds
    os.utime(file, (made, made))


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """Let files of this process grow no further, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
