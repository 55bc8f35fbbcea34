"""What a feed makes at the server, what it takes, and how it says that something is missing."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from servicetsunami.cli.throwaway_postgres import throwaway_postgres
from servicetsunami.sdk import ConfigError, TsunamiError
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


def _error(source: "PostgresSource", database: "Database", state: Any) -> str:
    with pytest.raises(TsunamiError) as caught:
        database.told(source, state)
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
    _, one = database.told(source, start)
    database.run(INSERT)
    told, two = database.told(source, one)
    unmoved = database.ask(CONFIRMED)

    source.ack(one)
    moved = database.ask(CONFIRMED)
    source.ack(start)

    assert told == {"t": [2]}
    assert (unmoved, moved, database.ask(CONFIRMED)) == (start["lsn"], one["lsn"], one["lsn"])
    assert database.told(source, one)[0] == {"t": [2]}
    assert lsn(two["lsn"]) > lsn(one["lsn"])


def test_a_long_way_is_acknowledged_in_steps(database: "Database", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_STEP_BYTES", 100_000)
    database.run(TABLE)
    source = database.source()
    start = source.position([database.stream("t")])
    database.run(*[INSERT] * 3, "INSERT INTO t SELECT i, 'a' FROM generate_series(10, 5000) i")
    _, state = database.told(source, start)
    database.run(INSERT)

    source.ack(state)

    assert lsn(state["lsn"]) - lsn(start["lsn"]) > 300_000
    assert database.ask(CONFIRMED) == state["lsn"]
    assert database.told(source, state)[0] == {"t": [5001]}


def test_a_quiet_table_s_feed_goes_on_past_the_log_of_others(database: "Database") -> None:
    database.run(TABLE, "CREATE TABLE other AS SELECT 1 AS n")
    source, stream = database.source(), database.stream("t")
    state = source.position([stream])
    database.run("INSERT INTO other SELECT generate_series(1, 20000)")
    before = source.lag_bytes([stream])

    told, state = database.told(source, state)
    source.ack(state)
    database.run("SELECT pg_log_standby_snapshot()", "INSERT INTO other VALUES (1)")
    _, state = database.told(source, state)
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

    told_t, state = database.told(source, t)
    source.ack(state)
    told_u, _ = database.told(source, u, "u")
    source.release([database.stream("t")])

    assert (told_t, told_u) == ({"t": [1]}, {"u": [7]})
    assert database.ask("SELECT slot_name FROM pg_replication_slots") == u["slot"] != t["slot"]


def test_two_streams_can_be_followed_as_one(database: "Database") -> None:
    database.run(TABLE, "CREATE SCHEMA IF NOT EXISTS more", "CREATE TABLE more.t (id int PRIMARY KEY)")
    source = database.source()
    streams = [database.stream("t"), database.stream("more.t")]
    state = source.position(streams)
    database.run(INSERT, "INSERT INTO more.t VALUES (7)", "BEGIN; INSERT INTO more.t VALUES (8)", INSERT)

    told, _ = database.told(source, state, "t", "more.t")
    database.run("DROP SCHEMA more CASCADE")

    assert told == {"t": [1, 2], "more.t": [7]}


def test_a_slot_that_somebody_dropped_or_moved_is_a_lost_feed(database: "Database") -> None:
    database.run(TABLE)
    source, stream = database.source(), database.stream("t")
    state = source.position([stream])
    database.run(INSERT)
    _, later = database.told(source, state)

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
        told, _ = installed.told(source, state)
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
