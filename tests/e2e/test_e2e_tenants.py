"""Two tenants on one server: nothing of the one can be had, watched or told apart from nothing by the other."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from http_lab import AUTHENTICATED, Served, client_of, make_tenants, serving, token
from mcp import Client
from two_tenants import World, attempts, normal, outcome, stranger

from servicetsunami.operations.connections import connect_source
from servicetsunami.operations.gold import create_gold_view
from servicetsunami.operations.sync import sync_to_bronze
from servicetsunami.operations.transforms import Wish, transform_to_silver

TENANTS = ("acme", "globex")
SETTINGS = {**AUTHENTICATED, "TSUNAMI_ALLOWED_NETWORKS": "127.0.0.0/8"}


def furnish(lake: Any, database: Any, tenant: str) -> dict[str, str]:
    """Give a tenant a connection to its own database and a table, all of it named after the tenant."""
    table = f"{tenant}_orders"
    database.run(
        f"create table {table} (id int primary key, {tenant}_note text)",
        f"insert into {table} select n, '{tenant} canary' from generate_series(1, 500) n",
    )

    async def connect_and_sync(app: Any, caller: Any) -> dict[str, str]:
        connected = await connect_source(
            app, caller, connector="postgres", name=f"{tenant}_shop", config=database.config()
        )
        assert connected.connection_id is not None
        run = await sync_to_bronze(app, caller, connected.connection_id, f"public.{table}")
        assert run.bronze_table is not None
        await transform_to_silver(app, caller, Wish(run.bronze_table))
        await create_gold_view(app, caller, table, f"select count(*) as n from {run.bronze_table}")
        return {
            "connection_id": connected.connection_id,
            "table_name": f"public.{table}",
            "run_id": run.run_id,
            "table": run.bronze_table,
            "bronze_table": run.bronze_table,
            "sql": f"select * from {run.bronze_table}",
            "name": table,
        }

    values: dict[str, str] = lake.do(connect_and_sync, tenant=tenant)
    return values


@pytest.fixture
def worlds(lake: Any) -> dict[str, World]:
    asyncio.run(make_tenants(lake.home, *TENANTS))
    databases = (lake.database, lake.database.sibling())
    return {
        tenant: World(tenant, furnish(lake, database, tenant))
        for tenant, database in zip(TENANTS, databases, strict=True)
    }


@pytest.fixture
def served(lake: Any, worlds: dict[str, World]) -> Iterator[Served]:
    assert worlds
    with serving(lake.home.parent, settings={**SETTINGS, "TSUNAMI_HOME": str(lake.home)}) as found:
        yield found


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
def test_what_is_anothers_is_answered_like_what_does_not_exist(
    served: Served, worlds: dict[str, World], era: str
) -> None:
    tried, leaks, different = asyncio.run(probe(served, worlds, era))

    told = "\n".join(f"{count:5} {what}" for what, count in sorted(tried.items()))
    sys.stdout.write(
        f"{sum(tried.values()):,} attempts in {era}, {len(leaks)} leaks, {len(different)} told apart\n{told}\n"
    )
    assert (leaks, different) == ([], [])
    assert sum(tried.values()) > 300
    assert {what.partition(" ")[0].partition("(")[0] for what in tried} >= {"read", "watch", "complete", "prompt"}


async def probe(served: Served, worlds: dict[str, World], era: str) -> tuple[Counter[str], list[str], list[str]]:
    """Try everything as each tenant with what is the other's; return what was tried, what leaked and what differed."""
    tried: Counter[str] = Counter()
    leaks: list[str] = []
    different: list[str] = []
    clients = {tenant: client_of(served.url, token(tenant), era) for tenant in TENANTS}
    async with clients["acme"] as acme, clients["globex"] as globex:
        opened = {"acme": acme, "globex": globex}
        for tenant in TENANTS:
            await look_around(opened[tenant], worlds[tenant])
        for own, other in (TENANTS, TENANTS[::-1]):
            mine, theirs = worlds[own], worlds[other]
            for attempt in await attempts(opened[own], mine, theirs, era):
                foreign = await outcome(opened[own], attempt, attempt.sent)
                nothing = await outcome(opened[own], attempt, stranger(attempt.sent, theirs))
                tried[attempt.what] += 1
                unsaid = [mark for mark in theirs.marks if mark not in attempt.sent]
                leaks += [f"{attempt.what}: {mark}" for mark in unsaid if mark in foreign[1]]
                if normal(foreign, theirs) != normal(nothing, theirs):
                    different.append(f"{attempt.what} {attempt.sent}: {foreign} / {nothing}")
    return tried, leaks, different


async def look_around(client: Client, world: World) -> None:
    """Note what the tenant's own lists and answers name, and what it could be asked to repeat."""
    page = await client.list_resources()
    world.uris = [str(resource.uri) for resource in page.resources if world.tenant in resource.model_dump_json()]
    world.uris += [f"run://{world.values['run_id']}", f"datasource://{world.values['connection_id']}/status"]
    asked = await client.call_tool("query_sql", {"sql": world.values["sql"], "limit": 10})
    found: dict[str, Any] = asked.structured_content
    world.values["cursor"] = found.get("next_cursor", "7")
    if "result_id" in found:
        world.values["result_id"] = found["result_id"]
        world.uris.append(f"query-result://{found['result_id']}")
    doomed = await client.call_tool("delete_connection", {"connection_id": world.values["connection_id"]})
    world.values["confirmation_token"] = doomed.structured_content["confirmation_token"]
