"""A read-only server at a real PostgreSQL: it answers, and leaves nothing there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pytest

from servicetsunami.operations.connections import test_connection as try_connection
from servicetsunami.operations.sources import list_source_tables, query_source
from servicetsunami.operations.sync import sync_to_bronze
from servicetsunami.sdk import ConfigError

PEOPLE = "create table people as select n as id, 'name ' || n as name from generate_series(1, 100) as n"
TRACES = (
    "select count(*) from pg_replication_slots where database = current_database()",
    "select count(*) from pg_publication",
    "select md5(string_agg(people::text, ',' order by id)) from people",
    "select count(*) from pg_class where relnamespace = 'public'::regnamespace",
)


class Lake(Protocol):
    """What the fixture `lake` offers."""

    database: Any
    do: Callable[..., Any]
    command: Callable[..., tuple[int, str, str]]

    def connect(self, name: str = ..., streams: dict[str, Any] | None = ..., **changes: Any) -> str: ...


def test_a_read_only_server_answers_and_leaves_nothing_at_the_source(lake: Lake) -> None:
    lake.database.run(PEOPLE)
    connection = lake.connect()
    before = [lake.database.rows(sql) for sql in TRACES]

    tested = lake.do(lambda app, caller: try_connection(app, caller, connection), read_only=True)
    listed = lake.do(lambda app, caller: list_source_tables(app, caller, connection), read_only=True)
    asked = "select count(*) from people"
    answered = lake.do(lambda app, caller: query_source(app, caller, connection, asked), read_only=True)
    with pytest.raises(ConfigError) as refused:
        lake.do(lambda app, caller: sync_to_bronze(app, caller, connection, "people"), read_only=True)

    assert (tested.status, [table.table_name for table in listed.tables], answered.result) == (
        "success",
        ["people"],
        100,
    )
    assert refused.value.code == "read_only"
    assert [lake.database.rows(sql) for sql in TRACES] == before


def test_the_command_line_deletes_what_a_person_decided_to(lake: Lake) -> None:
    lake.connect("shop")

    unasked = lake.command("connections", "delete", "shop")
    read_only = lake.command("connections", "delete", "shop", "--yes", TSUNAMI_READ_ONLY="true")
    deleted = lake.command("connections", "delete", "shop", "--yes")

    assert "confirmation_needed" in unasked[2]
    assert "read_only" in read_only[2]
    assert "Deleted the connection 'shop' and its secrets." in deleted[2]
    assert [code == 0 for code, _, _ in (unasked, read_only, deleted)] == [False, False, True]
