"""The story: connect, test, list, sync, ask; clean a messy table; then the source changes, sync again, ask again."""

from __future__ import annotations

from pathlib import Path

from servicetsunami.assistant.models import TransformAdvice
from servicetsunami.cli.demo.client import Caller, connected
from servicetsunami.cli.demo.shop import Place, run_script
from servicetsunami.cli.demo.telling import Teller
from servicetsunami.operations.models import Connected, QueryResult, RunView, SourceTables, TestResult
from servicetsunami.operations.transforms import TransformResult

SIGNUPS = """
SELECT count(*) AS signups
FROM bronze.customers
WHERE created_at >= TIMESTAMP '2026-09-01 00:00:00Z' AND created_at < TIMESTAMP '2026-10-01 00:00:00Z'
""".strip()
VISITORS = """
SELECT visited, count(DISTINCT email) AS people FROM silver.fair_list GROUP BY visited ORDER BY visited
""".strip()
BY_TIER = """
SELECT c.tier, count(DISTINCT c.id) AS customers, count(*) AS orders, sum(o.total) AS revenue
FROM bronze.orders AS o JOIN bronze.customers AS c ON c.id = o.customer_id
GROUP BY c.tier ORDER BY revenue DESC
""".strip()


async def tell(shop: Place, home: Path, teller: Teller) -> None:
    """Play the story against the shop with a server of its own in `home`."""
    async with connected(home, teller) as caller:
        connection_id = await _connect(caller, shop, teller)
        teller.says("bring customers and orders into the lakehouse")
        for table in ("customers", "orders"):
            await _sync(caller, connection_id, table)
        teller.says("how many signed up last month?")
        before = await caller.call("query_sql", QueryResult, sql=SIGNUPS)
        teller.says("and what do the tiers bring in?")
        await caller.call("query_sql", QueryResult, sql=BY_TIER)
        await _clean(caller, connection_id, teller)
        teller.talk("A day passes: 25 people sign up at the shop, five get a better tier, one order comes back.")
        await run_script(shop, "changes.sql")
        teller.says("bring customers and orders up to date; how many signed up last month now?")
        for table in ("customers", "orders"):
            await _sync(caller, connection_id, table)
        after = await caller.call("query_sql", QueryResult, sql=SIGNUPS)
        teller.answer_of_the_story(f"{before.result} people signed up last month; a day later it is {after.result}.")


async def _connect(caller: Caller, shop: Place, teller: Teller) -> str:
    teller.says(f"connect to the Postgres at {shop.host}:{shop.port}; which tables are there?")
    connected_to = await caller.call(
        "connect_postgres",
        Connected,
        name="shop",
        host=shop.host,
        port=shop.port,
        database=shop.database,
        user=shop.user,
        password=shop.password,
        sslmode=shop.sslmode,
    )
    connection_id = connected_to.connection_id
    await caller.call("test_connection", TestResult, connection_id=connection_id)
    await caller.call("list_source_tables", SourceTables, connection_id=connection_id)
    return connection_id


async def _clean(caller: Caller, connection_id: str, teller: Teller) -> None:
    """Look at a table that was typed in by hand, clean it by what is proposed, and ask."""
    teller.says("the list from the fair was typed in by hand; bring it in and tell me what would clean it")
    await _sync(caller, connection_id, "fair_list")
    advice = await caller.call("suggest_transformations", TransformAdvice, table_name="bronze.fair_list")
    asked = {
        "bronze_table": "bronze.fair_list",
        "transformations": list(advice.transformations),
        "checks": list(advice.checks),
    }
    teller.says("show me what that would do")
    await caller.call("transform_to_silver", TransformResult, **asked, preview=True)
    teller.says("do it; how many people came each day?")
    await caller.call("transform_to_silver", TransformResult, **asked, wait_seconds=120)
    await caller.call("query_sql", QueryResult, sql=VISITORS)


async def _sync(caller: Caller, connection_id: str, table: str) -> None:
    await caller.call("sync_to_bronze", RunView, connection_id=connection_id, table_name=table, wait_seconds=120)
