"""What a person is told when the source fails, and that what was synced before is still all there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import pytest

from servicetsunami.cli.throwaway_postgres import throwaway_postgres
from servicetsunami.operations import connections
from servicetsunami.operations import sync as sync_operations
from servicetsunami.operations.models import RunView
from servicetsunami.operations.sync import list_runs
from servicetsunami.sdk import ConfigError, NotFound, Problem, TsunamiError
from servicetsunami.sync import SyncJob

BIG = "create table big as select n as id, repeat(md5(n::text), 12) as filler from generate_series(1, 100) as n"
GROW = "insert into big select n, repeat(md5(n::text), 12) from generate_series(101, 60000) as n"
COUNT = "select count(*), count(distinct id) from bronze.big"


class Lake(Protocol):
    """What the fixture `lake` offers."""

    database: Any
    do: Callable[..., Any]

    def connect(self, name: str = ..., streams: dict[str, Any] | None = ..., **changes: Any) -> str: ...

    def sync(self, connection: str, table: str, mode: str | None = ...) -> RunView: ...

    def rows(self, sql: str) -> list[tuple[Any, ...]]: ...


class Front(Protocol):
    """What the fixture `front` offers."""

    port: int

    def cut(self, *, after_bytes: int, times: int = ...) -> None: ...

    def stall(self, *, after_bytes: int) -> None: ...

    def do(self, work: Callable[[], None], *, after_bytes: int) -> None: ...

    def go_on(self) -> None: ...


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_operations, "SyncJob", partial(SyncJob, backoff_seconds=0.01))


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_operations, "SyncJob", partial(SyncJob, attempts=1))


def problem_of_test(lake: Lake, connection: str) -> Problem:
    result = lake.do(lambda app, caller: connections.test_connection(app, caller, connection))
    assert result.status == "failed"
    problem: Problem = result.problem
    return problem


def refused(lake: Lake, connection: str, table: str) -> Problem:
    with pytest.raises(TsunamiError) as raised:
        lake.sync(connection, table)
    return raised.value.problem()


def failed(run: RunView) -> Problem:
    assert run.status == "failed"
    assert run.problem is not None
    assert run.message == run.problem.message
    return run.problem


def synced(lake: Lake, **changes: Any) -> str:
    """Sync the hundred rows of `big`, then let it grow at the source."""
    lake.database.run(BIG)
    connection = lake.connect(**changes)
    assert lake.sync(connection, "big").status == "succeeded"
    lake.database.run(GROW)
    return connection


def test_a_wrong_password_is_told_and_stops_a_sync_before_it_begins(lake: Lake) -> None:
    server = lake.database.server
    connection = synced(lake)
    lake.connect(password="canary")

    test, sync = problem_of_test(lake, connection), refused(lake, connection, "big")

    assert test == sync
    assert test == Problem(
        code="auth",
        message=f"the server 127.0.0.1:{server.port} refused the password of user postgres",
        why='password authentication failed for user "postgres"',
        fix="connect again with the right user and password",
        field="password",
        step="auth",
    )
    assert lake.rows(COUNT) == [(100, 100)]


def test_a_wrong_host_is_told(lake: Lake) -> None:
    connection = synced(lake)
    lake.connect(host="db.invalid")

    problem = refused(lake, connection, "big")

    assert problem == Problem(
        code="host_not_found",
        message="the host 'db.invalid' is not known, so there is nothing to connect to",
        fix="check the spelling of the host, and that this machine's DNS knows it",
        field="host",
        step="resolve",
    )
    assert lake.rows(COUNT) == [(100, 100)]


def test_a_wrong_port_is_told(lake: Lake) -> None:
    connection = synced(lake)
    lake.connect(port=1)

    problem = refused(lake, connection, "big")

    assert problem == Problem(
        code="connection_refused",
        message="127.0.0.1 port 1 does not accept connections, so nothing can be read from it",
        why="Connection refused",
        fix="check host and port, that the server runs, and that it listens for connections from this machine",
        field="port",
        step="connect",
    )
    assert lake.rows(COUNT) == [(100, 100)]


def test_a_wrong_database_is_told_with_near_names(lake: Lake) -> None:
    server, name = lake.database.server, lake.database.name
    connection = synced(lake)
    lake.connect(database=f"{name}x")

    problem = refused(lake, connection, "big")

    assert (problem.code, problem.step, problem.field) == ("database_not_found", "database", "database")
    assert problem.message == f"database {name}x does not exist on 127.0.0.1:{server.port}"
    assert problem.why == f'database "{name}x" does not exist'
    assert str(problem.fix).startswith("choose one of those the role may open: ")
    assert problem.did_you_mean[0] == name
    assert lake.rows(COUNT) == [(100, 100)]


def test_a_wrong_table_is_told_with_near_names_and_makes_no_run(lake: Lake) -> None:
    connection = synced(lake)

    problem = refused(lake, connection, "bigg")

    assert problem == Problem(
        code="table_not_found",
        message="the source has no table 'bigg' that these credentials may read",
        fix="look at the list of the source's tables; one that is missing there may lack the SELECT right",
        field="table_name",
        did_you_mean=("big",),
    )
    assert len(lake.do(list_runs).runs) == 1
    assert lake.rows(COUNT) == [(100, 100)]


@pytest.fixture
def reader(database: Any) -> Iterator[str]:
    """A role that may read `big` and nothing else."""
    role = f"reader_{database.name}"
    database.run(f"create role {role} login password 'wave-9'")
    yield role
    database.run(f"drop owned by {role}", f"drop role {role}")


def test_a_role_that_may_read_nothing_is_told_the_grants_it_needs(lake: Lake, reader: str) -> None:
    lake.database.run(BIG)
    connection = lake.connect(user=reader, password="wave-9")

    problem = problem_of_test(lake, connection)

    assert problem == Problem(
        code="nothing_readable",
        message=f"user {reader} may read no table of database {lake.database.name}",
        fix=f"run as the tables' owner: GRANT USAGE ON SCHEMA public TO {reader}; "
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}",
        field="user",
        step="permission",
    )


def test_a_right_that_was_taken_away_is_told_and_the_table_stays(lake: Lake, reader: str) -> None:
    lake.database.run(BIG, f"grant select on big to {reader}")
    connection = lake.connect(user=reader, password="wave-9")
    lake.sync(connection, "big")
    lake.database.run(f"revoke select on big from {reader}")

    problem = refused(lake, connection, "big")

    assert problem.code == "table_not_found"
    assert problem.message == "the source has no table 'big' that these credentials may read"
    assert "SELECT" in str(problem.fix)
    assert lake.rows(COUNT) == [(100, 100)]


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("after_bytes", [300_000, 12_000_000])
def test_a_connection_that_keeps_breaking_fails_the_run_and_leaves_the_table(
    lake: Lake, front: Front, after_bytes: int
) -> None:
    connection = synced(lake, port=front.port)
    front.cut(after_bytes=after_bytes)

    problem = failed(lake.sync(connection, "big"))

    assert (problem.code, problem.retryable) == ("source_interrupted", True)
    assert problem.message == (
        "the connection to PostgreSQL broke before all rows had come, so this read is not complete"
    )
    assert problem.fix == "try again; if it breaks again, see the network in between and the log of the server"
    assert lake.rows(COUNT) == [(100, 100)]


@pytest.mark.usefixtures("quick_retries")
def test_a_connection_that_broke_once_is_made_again_and_every_row_comes_once(lake: Lake, front: Front) -> None:
    connection = synced(lake, port=front.port)
    front.cut(after_bytes=12_000_000, times=1)

    run = lake.sync(connection, "big")

    assert (run.status, run.rows, run.rows_read) == ("succeeded", 60_000, 60_000)
    assert lake.rows(COUNT) == [(60_000, 60_000)]


@pytest.mark.usefixtures("quick_retries")
def test_an_incremental_sync_whose_connection_breaks_leaves_the_table_and_goes_on_later(
    lake: Lake, front: Front
) -> None:
    lake.database.run(BIG, "alter table big add primary key (id)")
    connection = lake.connect(port=front.port, streams={"big": {"cursor": "id"}})
    lake.sync(connection, "big")
    lake.database.run(GROW)
    front.cut(after_bytes=12_000_000)

    broken = lake.sync(connection, "big")
    at_first = lake.rows(COUNT)
    front.go_on()
    mended = lake.sync(connection, "big")

    assert (broken.sync_mode, failed(broken).code, broken.rows) == ("incremental", "source_interrupted", 0)
    assert at_first == [(100, 100)]
    assert (mended.status, mended.rows) == ("succeeded", 59_901)
    assert lake.rows(COUNT) == [(60_000, 60_000)]


@pytest.mark.usefixtures("no_retries")
def test_a_server_that_falls_silent_is_given_up(lake: Lake, front: Front) -> None:
    connection = synced(lake, port=front.port, stall_timeout_seconds=1)
    front.stall(after_bytes=300_000)

    problem = failed(lake.sync(connection, "big"))

    assert (problem.code, problem.why) == ("source_interrupted", "no byte came for 1 seconds")
    assert lake.rows(COUNT) == [(100, 100)]


@pytest.mark.usefixtures("quick_retries")
def test_a_backend_that_was_terminated_is_asked_again_and_every_row_comes_once(lake: Lake, front: Front) -> None:
    connection = synced(lake, port=front.port)
    terminate = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'servicetsunami'"
    front.do(lambda: lake.database.run(terminate), after_bytes=300_000)

    run = lake.sync(connection, "big")

    assert (run.status, run.rows) == ("succeeded", 60_000)
    assert lake.rows(COUNT) == [(60_000, 60_000)]


def test_a_server_that_is_gone_is_told_and_the_table_stays(lake: Lake) -> None:
    database = lake.database
    with throwaway_postgres() as server:
        database.server, database.name = server, server.database
        connection = synced(lake)

    problem = refused(lake, connection, "big")

    assert (problem.code, problem.step, problem.field) == ("connection_refused", "connect", "port")
    assert problem.message == (
        f"127.0.0.1 port {server.port} does not accept connections, so nothing can be read from it"
    )
    assert lake.rows(COUNT) == [(100, 100)]


def test_connecting_again_under_a_name_replaces_the_settings_and_keeps_the_table(lake: Lake) -> None:
    first = synced(lake)

    second = lake.connect(statement_timeout_seconds=60)
    run = lake.sync(second, "big")

    assert second == first
    assert run.bronze_table == "tenant_default.bronze.big"
    assert lake.rows(COUNT) == [(60_000, 60_000)]


def test_an_unknown_setting_is_refused_and_nothing_is_stored(lake: Lake) -> None:
    with pytest.raises(ConfigError) as raised:
        lake.connect(passwort="canary")

    problem = raised.value.problem()
    assert (problem.code, problem.field) == ("unknown_setting", "passwort")
    assert problem.message == "PostgreSQL has no setting 'passwort'"
    assert str(problem.fix).startswith("use one of: host, port, database, user, password, sslmode")
    assert problem.did_you_mean[0] == "password"
    with pytest.raises(NotFound):
        lake.sync("shop", "big")


def test_an_unknown_connector_is_refused_with_near_names(lake: Lake) -> None:
    with pytest.raises(NotFound) as raised:
        lake.do(
            lambda app, caller: connections.connect_source(app, caller, connector="postgre", name="shop", config={})
        )

    assert (raised.value.code, raised.value.did_you_mean) == ("connector_not_found", ("postgres",))
    assert raised.value.fix == "use postgres; tsunami plugins shows all that is installed"


def test_a_column_that_changed_its_type_is_told_by_name_with_both_types(lake: Lake) -> None:
    lake.database.run(BIG, "alter table big add primary key (id)")
    connection = lake.connect(streams={"big": {"cursor": "id"}})
    lake.sync(connection, "big")
    lake.database.run("alter table big alter column filler type bigint using id")

    run = lake.sync(connection, "big")

    assert run.notes[0] == (
        "Column 'filler' changed its type at the source: string to int64; what does not fit is rescued."
    )
    assert [(found.kind, found.column) for found in run.drift] == [("retyped", "filler")]
    assert lake.rows(COUNT) == [(100, 100)]
    assert lake.sync(connection, "big", "full").status == "succeeded"
    assert lake.rows("select max(filler) from bronze.big") == [(100,)]
