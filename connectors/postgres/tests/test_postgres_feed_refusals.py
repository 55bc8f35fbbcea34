"""What a feed takes of server, role and table, and what it says where that is missing."""

from typing import TYPE_CHECKING

import pytest

from servicetsunami.sdk import ConfigError, PermissionDenied, TransientError

if TYPE_CHECKING:
    from conftest import Database

    from servicetsunami_postgres import PostgresSource

pytestmark = pytest.mark.server

TABLE = "CREATE TABLE t (id int PRIMARY KEY, name text)"
INSERT = "INSERT INTO t SELECT coalesce(max(id), 0) + 1, 'a' FROM t"
COUNT = "SELECT (SELECT count(*) FROM pg_replication_slots) * 10 + (SELECT count(*) FROM pg_publication)"


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
    told, state = database.told(source, state)
    source.ack(state)
    source.release([stream])

    assert caught.value.code == "publication_denied"
    assert told == {"t": [1]}
    assert database.ask(COUNT) == 1
    database.run(f"DROP PUBLICATION {state['publication']}")


def test_a_publication_that_leaves_rows_out_is_not_used(database: "Database") -> None:
    database.run(TABLE)
    source, stream = database.source(), database.stream("t")
    name = source.position([stream])["publication"]
    database.run(f"ALTER PUBLICATION {name} SET TABLE t WHERE (id > 100)")

    state = source.position([stream])
    database.run(INSERT)

    assert database.told(source, state)[0] == {"t": [1]}


def test_rows_that_are_hidden_from_the_role_are_not_told(database: "Database") -> None:
    source = _follower(database, "ALTER TABLE t ENABLE ROW LEVEL SECURITY")

    with pytest.raises(ConfigError) as caught:
        source.position([database.stream("t")])

    assert caught.value.code == "no_change_feed"


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
        "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE child () INHERITS (t)",
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
