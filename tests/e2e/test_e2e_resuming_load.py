"""A first load whose process was killed is gone on with by the next run, and its table equals the source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.operations.models import RunView

ROWS = 40_000
BIG = (
    """create table big (id int primary key, version int not null, updated_at timestamptz not null,
    filler text, note text)
    with (autovacuum_enabled = off)""",
    # A value that an update leaves as it was is not in the log, where it is stored apart.
    "alter table big alter note set storage external",
    f"""insert into big select n, 1, '2026-01-01', repeat(md5(n::text), 60),
    case when n % 100 = 0 then repeat('x', 4000 + n % 7) end from generate_series(1, {ROWS}) n""",
)
WRITES = (
    # Rows move to the end of the table, and their cursor does not tell.
    "update big set version = 2 where id % 100 = 0",
    f"insert into big select n, 3, now(), 'new', null from generate_series({ROWS + 1}, {ROWS + 500}) n",
    "vacuum big",
    # Others move to where there is room now, among pages that were read and pages that were not.
    "update big set version = 4, updated_at = now() where id % 300 = 1",
    "update big set version = 5 where id % 700 = 0",
)
DELETE = "delete from big where id % 900 = 2"
SUMS = (
    "count(*), count(distinct id), sum(id), sum(cast(version as bigint) * id), sum(length(note)), sum(length(filler))"
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[ThrowawayServer]:
    with throwaway_postgres(settings={"wal_level": "logical"}) as server:
        yield server


def killed_in_the_middle(lake: Any, mode: str) -> str:
    """Begin the first load and end its process after a few of eight parts; returns the connection."""
    lake.database.run(*BIG)
    connection: str = lake.connect()
    code, _, _ = lake.command(
        "sync", "shop", "big", "--mode", mode, TSUNAMI_FAILPOINT="after_commit:4=kill", TSUNAMI_PARALLEL_READS="2"
    )
    assert code == -9
    return connection


def sums(lake: Any) -> tuple[list[int], list[int]]:
    """Return sums over the table and over its source."""
    landed = lake.rows(f"select {SUMS} from bronze.big")[0]
    return [int(value) for value in landed], [int(value) for value in lake.database.rows(f"select {SUMS} from big")[0]]


def notes(run: RunView) -> str:
    return " ".join(run.notes)


@pytest.mark.parametrize("mode", ["changes", "incremental"])
def test_a_killed_load_is_gone_on_with_although_rows_moved(lake: Any, mode: str) -> None:
    connection = killed_in_the_middle(lake, mode)
    lake.database.run(*WRITES, *([DELETE] if mode == "changes" else []))

    run = lake.sync(connection, "big", mode)

    landed, source = sums(lake)
    assert landed == source
    assert "had loaded before it ended were gone on with" in notes(run)
    # Half of it had been loaded; what was written meanwhile comes again.
    assert run.rows_read < ROWS * 6 // 10


def test_a_table_that_was_written_anew_meanwhile_is_loaded_from_its_start(lake: Any) -> None:
    connection = killed_in_the_middle(lake, "changes")
    lake.database.run(*WRITES, DELETE, "vacuum full big")

    run = lake.sync(connection, "big", "changes")

    landed, source = sums(lake)
    assert landed == source
    assert "could not be gone on with" in notes(run)


def test_a_load_whose_log_was_lost_meanwhile_is_begun_anew(lake: Any) -> None:
    connection = killed_in_the_middle(lake, "changes")
    lake.database.run(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()",
        *WRITES,
        DELETE,
    )

    run = lake.sync(connection, "big", "changes")

    landed, source = sums(lake)
    assert (run.status, landed) == ("succeeded", source)


def test_an_explicit_full_sync_that_was_killed_is_begun_anew(lake: Any) -> None:
    connection = killed_in_the_middle(lake, "full")
    lake.database.run(*WRITES, DELETE)

    run = lake.sync(connection, "big", "full")

    landed, source = sums(lake)
    assert landed == source
    assert run.rows_read == source[0]
