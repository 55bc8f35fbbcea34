"""The same conversation with both sinks: the lakehouse on disk, and Databricks as its look-alike speaks it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.mcp.stdio import make_host
from servicetsunami.operations.app import open_app
from servicetsunami.runtime import load_settings
from servicetsunami_lookalike import Lookalike

pytestmark = pytest.mark.anyio

OF_ITS_OWN = frozenset(
    (
        *("run_id", "connection_id", "url", "tags", "history", "version", "size_bytes", "lag_bytes", "execution_time"),
        *("started_at", "ended_at", "finished_at", "updated_at", "created_at", "requested_at", "elapsed_seconds"),
    )
)
"""What differs from run to run, or names the sink."""
SHOP = (
    "create table orders (id int primary key, note text, price numeric(10,2), at timestamptz default now())",
    "comment on column orders.note is 'What the customer said.'",
    "insert into orders (id, note, price) select n, 'ü ' || n, n * 1.25 from generate_series(1, 3000) n",
    "create table events (at timestamptz not null, what text)",
    "insert into events select date '2026-01-01' + n * interval '1 hour', 'e' || n from generate_series(1, 50) n",
    "create table empty (id bigint primary key, tags text[], raw bytea, day date, ok boolean)",
)
LATER = (
    "alter table orders add column rating smallint",
    "insert into orders (id, note, price, rating) values (3001, null, 0.01, 5)",
    "update orders set note = 'changed', at = now() where id = 7",
    "insert into events values ('2027-01-01', 'late')",
)
"""What happens in the shop after the first syncs."""
REFUSED = (
    "select nope from bronze.orders",
    "select * from bronze.order",
    "select 1 / 0 as x from bronze.orders",
)
MESSY = (
    """create table people (id int primary key, email text, signed_up text, plan text, details text,
    updated_at timestamptz default now())""",
    """insert into people (id, email, signed_up, plan, details) values
    (1, ' Ada@Example.com ', '2026-10-31', 'PRO', '{"city": "London"}'),
    (2, 'ada@example.com', '31/10/2026', 'pro', null),
    (3, 'zoe@example.com', '1 Nov 2026', 'N/A', '{"city": "Köln"}'),
    (4, 'grace@example.com', '01.11.2026', 'free', '{}'),
    (5, null, 'soon', 'free', null)""",
)
STEPS: list[dict[str, Any]] = [
    {"op": "trim", "columns": ["email"]},
    {"op": "case", "columns": ["email", "plan"], "to": "lower"},
    {"op": "nullify", "columns": ["email", "plan"]},
    {
        "op": "parse_date",
        "column": "signed_up",
        "formats": ["yyyy-MM-dd", "dd/MM/yyyy", "d MMM yyyy", "dd.MM.yyyy"],
    },
    {"op": "extract_json", "column": "details", "path": "$.city", "to": "city"},
    {"op": "deduplicate", "key": ["email"], "order_by": ["id"]},
]
CHECKS = [{"check": "not_null", "columns": ["email"], "action": "quarantine"}]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def postgres() -> Iterator[ThrowawayServer]:
    with throwaway_postgres(settings={"wal_level": "logical", "max_replication_slots": "20"}) as server:
        yield server


@pytest.fixture(scope="module")
def lookalike() -> Iterator[Lookalike]:
    with Lookalike() as server:
        yield server


class Both:
    """A client of each of two servers, asked the same."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        self.clients = clients

    async def ask(self, tool: str, *, expected_error: bool = False, **arguments: Any) -> dict[str, Any]:
        """Call a tool at both and return what they say, once it is the same."""
        told = {name: await call(client, tool, **arguments) for name, client in self.clients.items()}
        plain = {name: without_own(one) for name, one in told.items()}
        assert "code" not in told["lakehouse"] or expected_error, told["lakehouse"]
        assert plain["databricks"] == plain["lakehouse"], f"{tool}: {json.dumps(plain)}"
        return told["databricks"]

    async def rows(self, sql: str) -> list[list[Any]]:
        """Ask both and return the rows."""
        found: list[list[Any]] = (await self.ask("query_sql", sql=sql))["rows"]
        return found

    async def sync(self, table: str, **arguments: Any) -> dict[str, Any]:
        """Sync a table at both, to its end."""
        run = await self.ask("sync_to_bronze", connection_id="shop", table_name=table, wait_seconds=50, **arguments)
        assert run["status"] == "succeeded", run
        return run


def without_own(value: Any) -> Any:
    """Return what is told without what every server has of its own."""
    if isinstance(value, dict):
        return {key: without_own(one) for key, one in value.items() if key not in OF_ITS_OWN}
    if isinstance(value, str):
        return re.sub(r"run_[0-9a-f]{32}|20[0-9-]{8}T[0-9:.]+Z", "…", value)
    if isinstance(value, list):
        return sorted((without_own(one) for one in value), key=repr)  # a sample of rows has no order
    return value


async def changed(database: Any, *statements: str) -> None:
    await asyncio.to_thread(database.run, *statements)


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    found = dict(result.structured_content or {})
    return found["error"] if result.is_error else found


@asynccontextmanager
async def served(home: Path, environment: Mapping[str, str], **flags: Any) -> AsyncIterator[Client]:
    async with (
        open_app(load_settings({"home": str(home), **flags}, environ=environment, cwd=home)) as app,
        Client(make_host(app)) as client,
    ):
        yield client


@asynccontextmanager
async def both(folder: Path, lookalike: Lookalike, tenant: str) -> AsyncIterator[Both]:
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(served(folder / name, environment, tenant=tenant))
            for name, environment in (("lakehouse", {}), ("databricks", lookalike.environment()))
        }
        yield Both(clients)


async def test_syncs_of_every_mode_say_and_hold_the_same(tmp_path: Path, lookalike: Lookalike, database: Any) -> None:
    await changed(database, *SHOP)
    async with both(tmp_path, lookalike, "modes") as pair:
        cursors = {"events": {"cursor": "at"}, "orders": {"cursor": "at"}}
        await pair.ask("connect_source", connector="postgres", name="shop", config=database.config(), streams=cursors)
        await pair.sync("orders", sync_mode="full")
        await pair.sync("empty", sync_mode="full")
        await pair.sync("events", sync_mode="incremental")
        await pair.sync("orders", sync_mode="incremental")
        await changed(database, *LATER)
        await pair.sync("orders", sync_mode="incremental")
        await pair.sync("events", sync_mode="incremental")
        held = await pair.rows("select count(*) as n, sum(price) as s, max(rating) as r from bronze.orders")
        some = await pair.rows("select id, note, rating from bronze.orders where id in (7, 3001) order by id")
        events = await pair.rows("select count(*) as n, min(what) as w from bronze.events")
        for table in ("bronze.orders", "bronze.empty"):
            await pair.ask("describe_table", table=table)
        await pair.ask("list_tables")
        for refused in REFUSED:
            await pair.ask("query_sql", expected_error=True, sql=refused)
        await changed(database, "delete from orders where id > 10")
        await pair.sync("orders", sync_mode="full")
        after = await pair.rows("select count(*) as n from bronze.orders")

    assert held == [[3001, "5626875.01", 5]]
    assert some == [[7, "changed", None], [3001, None, 5]]
    assert events == [[51, "e1"]]
    assert after == [[10]]


async def test_changes_of_a_source_are_applied_the_same(tmp_path: Path, lookalike: Lookalike, database: Any) -> None:
    await changed(
        database,
        "create table people (id int primary key, name text, biography text)",
        "insert into people select n, 'name ' || n, repeat('x', 4000) from generate_series(1, 200) n",
    )
    async with both(tmp_path, lookalike, "changes") as pair:
        await pair.ask(
            "connect_source",
            connector="postgres",
            name="shop",
            config=database.config(),
            streams={"people": {"deletes": "soft"}},
        )
        await pair.sync("people", sync_mode="changes")
        await changed(
            database,
            "update people set name = 'changed' where id = 1",
            "delete from people where id = 2",
            "insert into people values (201, 'new', null), (202, 'brief', null)",
            "delete from people where id = 202",
            "update people set id = 500 where id = 3",
        )
        await pair.sync("people")
        sql = "select id, name, length(biography) as n, _deleted_at is not null as gone from bronze.people"
        found = await pair.rows(f"{sql} where id < 4 or id > 200 order by id")
        await changed(database, "truncate people", "insert into people values (1, 'again', 'y')")
        await pair.sync("people")
        left = await pair.rows(f"{sql} where _deleted_at is null order by id")

    assert [row for row in found if row[0] != 202] == [
        [1, "changed", 4000, False],
        [2, "name 2", 4000, True],
        [3, "name 3", 4000, True],
        [201, "new", None, False],
        [500, "name 3", 4000, False],
    ]
    assert left == [[1, "again", 1, False]]


async def test_a_messy_table_is_cleaned_the_same(tmp_path: Path, lookalike: Lookalike, database: Any) -> None:
    await changed(database, *MESSY)
    asked: dict[str, Any] = {"bronze_table": "bronze.people", "transformations": STEPS, "checks": CHECKS}
    async with both(tmp_path, lookalike, "cleaning") as pair:
        await pair.ask("connect_source", connector="postgres", name="shop", config=database.config())
        await pair.sync("people")
        shown = await pair.ask("transform_to_silver", **asked, preview=True)
        made = await pair.ask("transform_to_silver", **asked, wait_seconds=50)
        again = await pair.ask("transform_to_silver", **asked, wait_seconds=50)
        rows = await pair.rows("select id, email, signed_up, plan, city from silver.people order by id")
        await changed(
            database, "insert into people (id, email, signed_up, plan) values (6, 'NEW@example.com', '2026-11-02', 'x')"
        )
        await pair.sync("people")
        more = await pair.ask("transform_to_silver", **asked, wait_seconds=50)
        stop = {**asked, "checks": [{"check": "not_null", "columns": ["city"], "action": "stop"}]}
        refused = await pair.ask("transform_to_silver", **stop, wait_seconds=50)
        held = await pair.rows("select count(*) as n from silver.people")
        sql = "select signed_up as day, count(*) as people from silver.people group by signed_up"
        await pair.ask("create_gold_view", name="signups", sql=sql, comment="People by day.")
        days = await pair.rows("select day, people from gold.signups order by day")

    assert (shown["rows_read"], shown["rows"], shown["quarantined"]) == (5, 3, 1)
    assert (made["rows"], made["quarantined"], again["mode"]) == (3, 1, "unchanged")
    assert rows == [
        [2, "ada@example.com", "2026-10-31", "pro", None],
        [3, "zoe@example.com", "2026-11-01", None, "Köln"],
        [4, "grace@example.com", "2026-11-01", "free", None],
    ]
    assert more["status"] == "succeeded"
    assert refused["status"] == "failed"
    assert held == [[4]]
    assert days == [["2026-10-31", 1], ["2026-11-01", 2], ["2026-11-02", 1]]


async def test_an_incremental_transform_touches_what_is_new_alone(
    tmp_path: Path, lookalike: Lookalike, database: Any
) -> None:
    steps = [{"op": "trim", "columns": ["email"]}, {"op": "filter", "where": "plan <> 'gone'"}]
    asked: dict[str, Any] = {"bronze_table": "bronze.people", "transformations": steps, "wait_seconds": 50}
    await changed(database, *MESSY, "alter table people alter column updated_at set not null")
    async with both(tmp_path, lookalike, "incremental") as pair:
        cursors = {"people": {"cursor": "updated_at"}}
        config = database.config()
        await pair.ask("connect_source", connector="postgres", name="shop", config=config, streams=cursors)
        await pair.sync("people")
        whole = await pair.ask("transform_to_silver", **asked)
        await changed(
            database,
            "update people set plan = 'gone', updated_at = now() where id = 1",
            "insert into people (id, email, plan) values (6, ' new ', 'free')",
        )
        await pair.sync("people")
        more = await pair.ask("transform_to_silver", **asked)
        rows = await pair.rows("select id, email from silver.people order by id")

    assert (whole["mode"], more["mode"]) == ("full", "incremental")
    assert rows == [
        [2, "ada@example.com"],
        [3, "zoe@example.com"],
        [4, "grace@example.com"],
        [5, None],
        [6, "new"],
    ]


async def test_two_tenants_share_a_workspace_and_nothing_else(
    tmp_path: Path, lookalike: Lookalike, database: Any
) -> None:
    await changed(database, "create table secret (id int primary key)", "insert into secret values (1)")
    async with (
        served(tmp_path / "one", lookalike.environment(), tenant="one") as one,
        served(tmp_path / "two", lookalike.environment(), tenant="two") as two,
    ):
        await call(one, "connect_source", connector="postgres", name="shop", config=database.config())
        run = await call(one, "sync_to_bronze", connection_id="shop", table_name="secret", wait_seconds=50)
        theirs = await call(two, "list_tables")
        refused = [
            await call(two, "query_sql", sql=f"select * from {table}")
            for table in ("tenant_one.bronze.secret", "bronze.secret", "tenant_one.information_schema.tables")
        ]

    assert run["bronze_table"] == "tenant_one.bronze.secret"
    assert theirs["tables"] == []
    assert [one["code"] for one in refused] == ["sql_refused", "table_not_found", "sql_refused"]


async def test_a_notebook_is_kept_in_the_tenants_folder(tmp_path: Path, lookalike: Lookalike) -> None:
    async with served(tmp_path / "home", lookalike.environment(), tenant="notes") as client:
        kept = await call(client, "create_notebook", notebook_name="monthly signups", cells=["SELECT 1", "SELECT 2"])
        taken = await call(client, "create_notebook", notebook_name="monthly signups", cells=["SELECT 3"])
        bad = await call(client, "create_notebook", notebook_name="../x", cells=["SELECT 3"])

    language, source = lookalike.workspace.notebooks["/Shared/servicetsunami/notes/monthly signups"]
    assert (kept["path"], kept["cells"]) == ("/Shared/servicetsunami/notes/monthly signups", 2)
    assert (language, source.decode().count("-- COMMAND ----------")) == ("SQL", 1)
    assert (taken["code"], bad["code"]) == ("notebook_taken", "bad_notebook_name")
