"""What an earlier sync, attempt or process left behind neither loses rows nor counts them twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.models import RunView
from servicetsunami.operations.sources import query_source
from servicetsunami.operations.sync import get_run, list_runs, sync_to_bronze
from servicetsunami.operations.tables import list_tables
from servicetsunami.records import RunStatus
from servicetsunami.sdk import (
    Checkpoint,
    Config,
    Item,
    Read,
    Source,
    Split,
    Splittable,
    Stream,
    TableName,
    TransientError,
)
from servicetsunami.sdk.testing import LocalContext
from servicetsunami.sync import Progress, SyncJob
from servicetsunami.sync.engine import Engine
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink

TABLE = TableName("bronze", "pages")
BIG = "create table big as select n as id, repeat(md5(n::text), 20) as filler from generate_series(1, 60000) as n"
STREAM = Stream("pages", schema=pa.schema([("id", pa.int64())]), key=("id",), cursor="id")


class Pages(Source[Config]):
    """Gives ids after the last one that a state names, each with a checkpoint."""

    name = "pages"

    def __init__(self, ctx: LocalContext, ids: Sequence[int]) -> None:
        super().__init__(Config(), ctx)
        self._ids = ids

    def streams(self) -> Iterable[Stream]:
        """Yield the one stream."""
        yield STREAM

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the pages after the one in the state."""
        for page, row in list(enumerate(self._ids))[read.state.get("page", -1) + 1 :]:
            if read.since is None or row >= read.since:
                yield [{"id": row}]
            yield Checkpoint({"page": page})


class FallingOnce(Source[Config], Splittable):
    """Has three parts of two rows, of which the last cannot be read the first time."""

    name = "falling"

    def __init__(self, ctx: LocalContext, falls: list[TransientError]) -> None:
        super().__init__(Config(), ctx)
        self._falls = falls

    def streams(self) -> Iterable[Stream]:
        """Yield the one stream."""
        yield STREAM

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        """Plan three parts."""
        return [Split(str(number)) for number in range(3) if read.split is None and target > 1]

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the two rows of a part."""
        assert read.split is not None
        number = int(read.split.id)
        yield [{"id": number * 2}, {"id": number * 2 + 1}]
        if number == 2 and self._falls:
            raise self._falls.pop()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[LakehouseSink]:
    opened = LakehouseSink(LakehouseConfig(), LocalContext(data_dir=tmp_path / "data", tenant="acme"))
    yield opened
    opened.close()


async def in_own_thread(work: Callable[[], object]) -> None:
    """Wait for `work` without a thread of the loop's."""
    with ThreadPoolExecutor(1) as thread:
        await asyncio.wrap_future(thread.submit(work))


def _job(run_id: str) -> SyncJob:
    return SyncJob(run_id, "conn_1/pages", STREAM, TABLE, "incremental", attempts=1)


def _table_rows(sink: LakehouseSink) -> int | None:
    return sink.describe(TABLE).summary.rows


def test_checkpoints_of_one_incremental_sync_hide_no_row_from_the_next(sink: LakehouseSink, tmp_path: Path) -> None:
    ctx = LocalContext(data_dir=tmp_path / "source", tenant="acme")
    batches = [[1], [5, 6, 7], [7, 8]]

    for number, ids in enumerate(batches):
        Engine(_job(f"run_{number}"), partial(Pages, ctx, ids), sink, Progress(), threading.Event()).run()

    assert _table_rows(sink) == 5


def test_a_generation_that_is_loaded_again_counts_its_rows_once(sink: LakehouseSink, tmp_path: Path) -> None:
    source = FallingOnce(LocalContext(data_dir=tmp_path / "source", tenant="acme"), [TransientError("fell")])
    progress = Progress()

    outcome = Engine(_job("run_1"), lambda: source, sink, progress, threading.Event()).run()

    assert (outcome.rows_written, progress.rows_read, _table_rows(sink)) == (6, 6, 6)


def test_a_row_without_a_cursor_value_arrives_where_the_key_is_a_persons_choice(lake: Any) -> None:
    lake.database.run(
        "create table notes (id int not null, changed timestamptz)", "insert into notes values (1, '2026-01-01')"
    )
    connection = lake.connect(streams={"notes": {"key": "id", "cursor": "changed"}})
    lake.sync(connection, "notes")
    lake.database.run("insert into notes values (2, null)")

    lake.sync(connection, "notes")

    assert lake.rows("select id from bronze.notes order by id") == [(1,), (2,)]


@pytest.mark.parametrize("column", ["timestamptz", "timestamp", "date"])
def test_a_moment_far_ahead_does_not_hide_later_changes(lake: Any, column: str) -> None:
    lake.database.run(
        f"create table visits (id int primary key, updated_at {column})",
        "insert into visits values (1, '2025-01-01'), (2, '9999-12-31')",
    )
    connection = lake.connect(streams={"visits": {"cursor": "updated_at"}})
    lake.sync(connection, "visits")
    lake.database.run("insert into visits values (3, '2025-02-01')")

    run = lake.sync(connection, "visits")

    assert run.sync_mode == "incremental"
    assert lake.rows("select id from bronze.visits order by id") == [(1,), (2,), (3,)]


def test_an_answer_cut_at_the_source_is_said_to_be_cut(lake: Any) -> None:
    connection = lake.connect()
    sql = "select 'a' as text union all select repeat('x', 9000000)"

    answer = lake.do(lambda app, caller: query_source(app, caller, connection, sql))

    assert (answer.row_count, answer.truncated, answer.result) == (1, True, None)


def test_a_sync_that_hangs_does_not_keep_others_from_being_answered(lake: Any, front: Any) -> None:
    lake.database.run(BIG)
    connection = lake.connect(port=front.port)

    async def ask(app: App, caller: Caller) -> RunView:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        front.stall(after_bytes=2_000_000)
        run = await sync_to_bronze(app, caller, connection, "big", wait_seconds=0)
        await in_own_thread(front.reached.wait)
        await asyncio.wait_for(list_tables(app, caller), 30)
        front.go_on()
        return await get_run(app, caller, run.run_id, wait_seconds=60)

    assert lake.do(ask).status == "succeeded"


def test_a_run_that_others_gave_up_stops_and_leaves_nothing_visible(lake: Any, front: Any) -> None:
    lake.database.run(BIG)
    connection = lake.connect(port=front.port)

    async def give_up(app: App, caller: Caller) -> int:
        front.stall(after_bytes=2_000_000)
        run = await sync_to_bronze(app, caller, connection, "big", wait_seconds=0)
        await in_own_thread(front.reached.wait)
        await app.records.change_run(caller.tenant, run.run_id, status=RunStatus.INTERRUPTED)
        await app.runs.wait(run.run_id, 60)
        assert not app.runs.is_here(run.run_id)
        front.go_on()
        return (await list_tables(app, caller)).total

    assert lake.do(give_up) == 0


def test_a_caller_who_gives_up_early_leaves_no_run_that_nobody_executes(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.database.run("create table small as select 1 as id")
    connection = lake.connect()

    async def give_up(app: App, caller: Caller) -> list[str]:
        begun, go_on, start = asyncio.Event(), asyncio.Event(), app.runs.start

        async def slow_start(*arguments: Any) -> None:
            begun.set()
            await go_on.wait()
            await start(*arguments)

        monkeypatch.setattr(app.runs, "start", slow_start)
        call = asyncio.create_task(sync_to_bronze(app, caller, connection, "small"))
        await begun.wait()
        call.cancel()
        await asyncio.wait([call])
        go_on.set()
        run = (await list_runs(app, caller)).runs[0]
        return [(await get_run(app, caller, run.run_id, wait_seconds=60)).status]

    assert lake.do(give_up) == ["succeeded"]
