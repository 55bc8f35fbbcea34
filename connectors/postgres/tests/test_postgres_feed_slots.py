"""What a feed makes at the server, what it takes, and how it says that something is missing."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from servicetsunami.cli.throwaway_postgres import throwaway_postgres
from servicetsunami.sdk import Changes, Checkpoint, ConfigError, PermissionDenied, TransientError, TsunamiError
from servicetsunami_postgres import slots
from servicetsunami_postgres.slots import lsn

if TYPE_CHECKING:
    from conftest import Database

    from servicetsunami_postgres import PostgresSource

pytestmark = pytest.mark.server

TABLE = "CREATE TABLE t (id int PRIMARY KEY, name text)"
INSERT = "INSERT INTO t SELECT coalesce(max(id), 0) + 1, 'a' FROM t"
CONFIRMED = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots"
COUNT = "SELECT (SELECT count(*) FROM pg_replication_slots) * 10 + (SELECT count(*) FROM pg_publication)"
RECEIVER = Path("/usr/lib/postgresql/15/bin/pg_recvlogical")


def _ids(source: "PostgresSource", database: "Database", state: Any, *names: str) -> tuple[dict[str, list[int]], Any]:
    """Return the ids told of each stream, and the last state."""
    told: dict[str, list[int]] = {}
    for item in source.changes([database.stream(name) for name in names or ("t",)], state):
        if isinstance(item, Checkpoint):
            state = json.loads(json.dumps(item.state))
            continue
        assert isinstance(item, Changes)
        assert isinstance(item.rows, pa.RecordBatch)
        told.setdefault(item.stream, []).extend(item.rows["id"].to_pylist())
    return told, state


def _error(source: "PostgresSource", database: "Database", state: Any) -> str:
    with pytest.raises(TsunamiError) as caught:
        _ids(source, database, state)
    return caught.value.code


def test_a_position_names_what_it_made_and_a_second_one_makes_it_anew(database: "Database") -> None:
    database.run(TABLE)
    source, stream = database.source(), database.stream("t")

    first = source.position([stream])
    database.run(INSERT)
    second = source.position([stream])

    assert set(first) == {"slot", "publication", "lsn"}
    assert database.ask("SELECT slot_name FROM pg_replication_slots") == first["slot"] == second["slot"]
    assert database.ask("SELECT pubname FROM pg_publication") == first["publication"]
    assert lsn(first["lsn"]) < lsn(second["lsn"])
    assert _error(source, database, first) == "feed_lost"


def test_an_acknowledgement_moves_the_slot_to_its_state_and_no_further(database: "Database") -> None:
    database.run(TABLE)
    source = database.source()
    start = source.position([database.stream("t")])
    database.run(INSERT)
    _, one = _ids(source, database, start)
    database.run(INSERT)
    told, two = _ids(source, database, one)
    unmoved = database.ask(CONFIRMED)

    source.ack(one)
    moved = database.ask(CONFIRMED)
    source.ack(start)

    assert told == {"t": [2]}
    assert (unmoved, moved, database.ask(CONFIRMED)) == (start["lsn"], one["lsn"], one["lsn"])
    assert _ids(source, database, one)[0] == {"t": [2]}
    assert lsn(two["lsn"]) > lsn(one["lsn"])


def test_a_long_way_is_acknowledged_in_steps(database: "Database", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_STEP_BYTES", 100_000)
    database.run(TABLE)
    source = database.source()
    start = source.position([database.stream("t")])
    database.run(*[INSERT] * 3, "INSERT INTO t SELECT i, 'a' FROM generate_series(10, 5000) i")
    _, state = _ids(source, database, start)
    database.run(INSERT)

    source.ack(state)

    assert lsn(state["lsn"]) - lsn(start["lsn"]) > 300_000
    assert database.ask(CONFIRMED) == state["lsn"]
    assert _ids(source, database, state)[0] == {"t": [5001]}


def test_a_quiet_table_s_feed_goes_on_past_the_log_of_others(database: "Database") -> None:
    database.run(TABLE, "CREATE TABLE other AS SELECT 1 AS n")
    source, stream = database.source(), database.stream("t")
    state = source.position([stream])
    database.run("INSERT INTO other SELECT generate_series(1, 20000)")
    before = source.lag_bytes([stream])

    told, state = _ids(source, database, state)
    source.ack(state)
    database.run("SELECT pg_log_standby_snapshot()", "INSERT INTO other VALUES (1)")
    _, state = _ids(source, database, state)
    source.ack(state)
    after = source.lag_bytes([stream])

    assert told == {}
    assert before is not None
    assert after is not None
    assert after < before


def test_two_streams_have_two_slots_that_know_nothing_of_each_other(database: "Database") -> None:
    database.run(TABLE, "CREATE TABLE u (id int PRIMARY KEY)")
    source = database.source()
    t, u = source.position([database.stream("t")]), source.position([database.stream("u")])
    database.run(INSERT, "INSERT INTO u VALUES (7)")

    told_t, state = _ids(source, database, t)
    source.ack(state)
    told_u, _ = _ids(source, database, u, "u")
    source.release([database.stream("t")])

    assert (told_t, told_u) == ({"t": [1]}, {"u": [7]})
    assert database.ask("SELECT slot_name FROM pg_replication_slots") == u["slot"] != t["slot"]


def test_two_streams_can_be_followed_as_one(database: "Database") -> None:
    database.run(TABLE, "CREATE SCHEMA IF NOT EXISTS more", "CREATE TABLE more.t (id int PRIMARY KEY)")
    source = database.source()
    streams = [database.stream("t"), database.stream("more.t")]
    state = source.position(streams)
    database.run(INSERT, "INSERT INTO more.t VALUES (7)", "BEGIN; INSERT INTO more.t VALUES (8)", INSERT)

    told, _ = _ids(source, database, state, "t", "more.t")
    database.run("DROP SCHEMA more CASCADE")

    assert told == {"t": [1, 2], "more.t": [7]}


def test_a_slot_that_somebody_dropped_or_moved_is_a_lost_feed(database: "Database") -> None:
    database.run(TABLE)
    source, stream = database.source(), database.stream("t")
    state = source.position([stream])
    database.run(INSERT)
    _, later = _ids(source, database, state)

    database.run("SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) FROM pg_replication_slots")
    moved = _error(source, database, state)
    database.run("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    dropped = _error(source, database, later)
    with pytest.raises(TsunamiError) as caught:
        source.ack(later)

    assert (moved, dropped, caught.value.code) == ("feed_lost",) * 3
    source.release([stream])
    assert source.lag_bytes([stream]) is None


def test_a_log_that_ends_before_the_state_is_a_lost_feed(database: "Database") -> None:
    database.run(TABLE)
    source = database.source()
    state = source.position([database.stream("t")])

    assert _error(source, database, {**state, "lsn": "FFFF/0"}) == "feed_lost"


def test_a_dropped_publication_is_a_lost_feed(database: "Database") -> None:
    database.run(TABLE)
    source = database.source()
    state = source.position([database.stream("t")])
    database.run(f"DROP PUBLICATION {state['publication']}")

    assert _error(source, database, state) == "feed_lost"


def test_a_log_that_the_server_threw_away_is_a_lost_feed(database: "Database") -> None:
    database.run(TABLE)
    source = database.source()
    state = source.position([database.stream("t")])
    database.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")

    try:
        for _ in range(3):
            database.run(INSERT, "SELECT pg_switch_wal()")
        database.run("CHECKPOINT")
        code = _error(source, database, state)
    finally:
        database.run("ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()")

    assert code == "feed_lost"


def test_a_slot_that_holds_more_than_it_may_is_dropped(database: "Database") -> None:
    database.run(TABLE)
    source = database.source(max_lag_mb=1)
    state = source.position([database.stream("t")])
    database.run("INSERT INTO t SELECT i, 'a' FROM generate_series(1, 30000) i")

    code = _error(source, database, state)

    assert (code, database.ask("SELECT count(*) FROM pg_replication_slots")) == ("feed_lost", 0)


def test_a_server_without_a_logical_log_says_so_only_to_a_feed(database: "Database") -> None:
    with throwaway_postgres(settings={"wal_level": "replica"}) as server:
        other = replace(database, server=server)
        other.run(TABLE, INSERT)
        source, stream = other.source(), other.stream("t")

        source.check()
        rows = other.rows("t")
        with pytest.raises(ConfigError) as caught:
            source.position([stream])

    assert len(rows) == 1
    assert caught.value.code == "wal_level_not_logical"
    assert "ALTER SYSTEM SET wal_level = logical" in str(caught.value.fix)


def _follower(database: "Database", *statements: str) -> "PostgresSource":
    database.run(
        TABLE,
        "DO $$ BEGIN IF to_regrole('follower') IS NOT NULL THEN DROP OWNED BY follower; END IF; END $$",
        "DROP ROLE IF EXISTS follower",
        "CREATE ROLE follower LOGIN PASSWORD 'f'",
        "GRANT USAGE ON SCHEMA public TO follower",
        "GRANT SELECT ON t TO follower",
        *statements,
    )
    return database.source(user="follower", password="f")


def test_a_role_without_replication_is_told_what_to_grant(database: "Database") -> None:
    source = _follower(database, "GRANT CREATE ON DATABASE postgres TO follower", "ALTER TABLE t OWNER TO follower")

    with pytest.raises(PermissionDenied) as caught:
        source.position([database.stream("t")])

    assert caught.value.code == "no_replication_right"
    assert "ALTER ROLE follower REPLICATION" in str(caught.value.fix)
    assert database.ask(COUNT) == 0


def test_a_publication_that_an_administrator_made_is_used_and_left(database: "Database") -> None:
    source = _follower(database, "ALTER ROLE follower REPLICATION")
    stream = database.stream("t")
    with pytest.raises(PermissionDenied) as caught:
        source.position([stream])

    database.run(str(caught.value.fix).partition(": ")[2])
    state = source.position([stream])
    database.run(INSERT)
    told, state = _ids(source, database, state)
    source.ack(state)
    source.release([stream])

    assert caught.value.code == "publication_denied"
    assert told == {"t": [1]}
    assert database.ask(COUNT) == 1
    database.run(f"DROP PUBLICATION {state['publication']}")


def test_a_server_without_a_free_slot_says_so(database: "Database") -> None:
    database.run(TABLE)
    most = int(database.ask("SELECT current_setting('max_replication_slots')"))
    for number in range(most):
        database.run(f"SELECT pg_create_physical_replication_slot('other_{number}')")

    with pytest.raises(ConfigError) as caught:
        database.source().position([database.stream("t")])

    assert caught.value.code == "slots_exhausted"
    assert database.ask(COUNT) == most * 10


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TABLE t (id int, name text)",),
        (TABLE, "ALTER TABLE t REPLICA IDENTITY NOTHING"),
        ("CREATE TABLE t (id int NOT NULL, name text)", "CREATE UNIQUE INDEX ON t (id)"),
        (
            "CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL)",
            "CREATE UNIQUE INDEX other ON t (name)",
            "ALTER TABLE t REPLICA IDENTITY USING INDEX other",
        ),
    ],
)
def test_a_table_whose_rows_the_log_cannot_name_is_refused_and_stays_writable(
    database: "Database", statements: tuple[str, ...]
) -> None:
    database.run(*statements)

    with pytest.raises(ConfigError) as caught:
        database.source().position([database.stream("t")])

    assert caught.value.code == "no_replica_identity"
    assert "REPLICA IDENTITY FULL" in str(caught.value.fix)
    database.run("INSERT INTO t VALUES (1, 'a')", "UPDATE t SET name = 'b'")
    assert database.ask(COUNT) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW t AS SELECT 1 AS id",
        "CREATE MATERIALIZED VIEW t AS SELECT 1 AS id",
        "CREATE UNLOGGED TABLE t (id int PRIMARY KEY)",
    ],
)
def test_what_the_log_does_not_tell_of_is_refused(database: "Database", statement: str) -> None:
    database.run(statement)

    with pytest.raises(ConfigError) as caught:
        database.source().position([database.stream("t")])

    assert caught.value.code == "no_change_feed"


def test_a_feed_that_cannot_begin_for_an_open_transaction_leaves_nothing(database: "Database") -> None:
    database.run(TABLE)

    with database.held(INSERT), pytest.raises(TransientError) as caught:
        database.source(stall_timeout_seconds=1).position([database.stream("t")])

    assert caught.value.code == "feed_waits"
    assert database.ask(COUNT) == 0


@contextmanager
def _reading(database: "Database", state: Any, name: str) -> Iterator[None]:
    """Have another process read from the slot until it is ended."""
    options = ["proto_version=1", f"publication_names={state['publication']}"]
    command = [str(RECEIVER), "--start", "-S", state["slot"], "-f", "/dev/null", "-n"]
    command += [part for option in options for part in ("-o", option)]
    command += [
        "-h",
        database.server.host,
        "-p",
        str(database.server.port),
        "-U",
        database.server.user,
        "-d",
        "postgres",
    ]
    environment = {**os.environ, "PGPASSWORD": database.server.password, "PGAPPNAME": name}
    active = "SELECT count(active_pid) FROM pg_replication_slots"
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            while not database.ask(active):
                assert process.poll() is None
            yield
        finally:
            process.kill()


def test_what_we_left_reading_from_a_slot_is_ended(installed: "Database") -> None:
    installed.run(TABLE)
    source, stream = installed.source(), installed.stream("t")
    state = source.position([stream])
    installed.run(INSERT)

    with _reading(installed, state, "servicetsunami"):
        told, _ = _ids(source, installed, state)
    with _reading(installed, state, "servicetsunami"):
        source.release([stream])

    assert told == {"t": [1]}
    assert installed.ask(COUNT) == 0


def test_what_others_read_from_a_slot_is_left_to_them(installed: "Database", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_FREE_SECONDS", 0.2)
    installed.run(TABLE)
    source, stream = installed.source(), installed.stream("t")
    state = source.position([stream])

    with _reading(installed, state, "other"):
        code = _error(source, installed, state)

    assert code == "feed_busy"
    source.release([stream])
