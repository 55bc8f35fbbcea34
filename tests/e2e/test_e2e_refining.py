"""From a messy file to a gold view, as a model does it over MCP and a person on the command line."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from servicetsunami.cli.running import run as run_cli
from servicetsunami.client import ServiceTsunami
from servicetsunami.mcp.stdio import make_host
from servicetsunami.operations.app import App, open_app
from servicetsunami.runtime import load_settings

pytestmark = pytest.mark.anyio
MESSY = """id,email,signed_up,plan
1, Ada@Example.com ,2026-10-31,PRO
2,ada@example.com,31/10/2026,pro
3,zoe@example.com,1 Nov 2026,N/A
4,grace@example.com,01.11.2026,free
5,,soon,free
"""
STEPS: list[dict[str, Any]] = [
    {"op": "trim", "columns": ["email"]},
    {"op": "case", "columns": ["email", "plan"], "to": "lower"},
    {"op": "nullify", "columns": ["email", "plan"]},
    {
        "op": "parse_date",
        "column": "signed_up",
        "formats": ["yyyy-MM-dd", "dd/MM/yyyy", "d MMM yyyy", "dd.MM.yyyy"],
    },
    {"op": "deduplicate", "key": ["email"], "order_by": ["id"]},
]
CHECKS = [{"check": "not_null", "columns": ["email"], "action": "quarantine"}]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[tuple[App, Client]]:
    async with (
        open_app(load_settings({"home": str(home)}, environ={}, cwd=home)) as app,
        Client(make_host(app)) as client,
    ):
        yield app, client


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    found = dict(result.structured_content or {})
    return found["error"] if result.is_error else found


async def uploaded(client: Client, text: str = MESSY) -> None:
    content = base64.b64encode(text.encode()).decode()
    landed = await call(client, "upload_file", file_name="people.csv", dataset_name="people", file_content=content)
    assert landed["status"] == "succeeded"


async def test_a_messy_file_becomes_a_gold_view(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client):
        await uploaded(client)
        asked = {"bronze_table": "bronze.people", "transformations": STEPS, "checks": CHECKS}
        shown = await call(client, "transform_to_silver", **asked, preview=True)
        made = await call(client, "transform_to_silver", **asked)
        again = await call(client, "transform_to_silver", **asked)
        sql = "select signed_up as day, count(*) as people from silver.people group by signed_up"
        view = await call(client, "create_gold_view", name="signups", sql=sql, comment="People by day.")
        found = await call(client, "query_sql", sql="select day, people from gold.signups order by day")
        listed = await call(client, "list_tables")
        uri = "table://tenant_default/gold/signups/lineage"
        lineage = json.loads((await client.read_resource(uri)).contents[0].text)  # type: ignore[union-attr]

    assert (shown["status"], shown["rows"], shown["quarantined"]) == ("previewed", 3, 1)
    assert (made["status"], made["rows"], made["mode"]) == ("succeeded", 3, "full")
    assert made["quarantine_table"] == "tenant_default.silver.people_quarantine"
    assert (again["mode"], again["rows"]) == ("unchanged", 0)
    assert view["status"] == "created"
    assert found["rows"] == [["2026-10-31", 1], ["2026-11-01", 2]]
    assert [table["table"].partition(".")[2] for table in listed["tables"]] == [
        "bronze.people",
        "gold.signups",
        "silver.people",
        "silver.people_quarantine",
    ]
    assert [step["made_by"] for step in lineage["steps"]] == ["view", "transform", "sync"]


async def test_a_wrong_step_is_told_as_an_error_and_makes_no_run(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, client):
        await uploaded(client)
        steps = [{"op": "trim", "columns": ["emial"]}]
        wrong = await call(client, "transform_to_silver", bronze_table="bronze.people", transformations=steps)
        no_table = await call(client, "transform_to_silver", bronze_table="bronze.peple")
        kinds = {run.kind for run in await app.records.runs("default")}

    assert (wrong["code"], wrong["field"], wrong["did_you_mean"]) == (
        "column_not_found",
        "transformations.0",
        ["email"],
    )
    assert (no_table["code"], no_table["did_you_mean"]) == ("table_not_found", ["bronze.people"])
    assert "transform" not in kinds


async def test_a_check_that_stops_is_told_in_the_run(tmp_path: Path) -> None:
    checks = [{"check": "not_null", "columns": ["email"], "action": "stop"}]
    async with opened(tmp_path) as (_, client):
        await uploaded(client)
        failed = await call(client, "transform_to_silver", bronze_table="bronze.people", checks=checks)
        run = await call(client, "get_run", run_id=failed["run_id"])

    assert failed["status"] == run["status"] == "failed"
    assert run["problem"]["code"] == "quality_check_failed"


def test_the_command_line_does_the_same(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file, steps = tmp_path / "people.csv", tmp_path / "clean.json"
    file.write_text(MESSY)
    steps.write_text(json.dumps({"transformations": STEPS, "checks": CHECKS}))
    at = ("--home", str(tmp_path / "home"))

    def tsunami(*words: str) -> tuple[int, str]:
        code = run_cli([*at, *words])
        return code, capfd.readouterr().out

    assert tsunami("upload", str(file), "--as", "people")[0] == 0
    shown = tsunami("transform", "bronze.people", "--steps", str(steps), "--preview")
    made = tsunami("transform", "bronze.people", "--steps", str(steps), "--json")
    view = tsunami("view", "plans", "select plan, count(*) as n from silver.people group by plan")
    answer = tsunami("query", "select n from gold.plans where plan = 'pro'", "--json")
    lineage = tsunami("lineage", "gold.plans")
    gone = tsunami("view", "plans", "--drop")
    missing = tsunami("view", "plans", "--drop")

    assert (shown[0], made[0], view[0], answer[0], lineage[0], gone[0]) == (0,) * 6
    assert "would get 3 rows, of 5" in shown[1]
    assert json.loads(made[1])["rows"] == 3
    assert json.loads(answer[1])["result"] == 1
    assert "silver.people" in lineage[1]
    assert missing[0] != 0


def test_the_python_client_does_the_same(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(MESSY)
    home = tmp_path / "home"
    with ServiceTsunami(env={"TSUNAMI_HOME": str(home)}) as lake:
        lake.upload(file, "people")
        shown = lake.transform_to_silver("bronze.people", STEPS, preview=True)
        made = lake.transform_to_silver("bronze.people", STEPS, checks=CHECKS)
        lake.create_gold_view("plans", "select plan, count(*) as n from silver.people group by plan")
        rows = sorted(lake.rows("select plan, n from gold.plans"), key=str)

    assert (shown.status, made.status, made.rows) == ("previewed", "succeeded", 3)
    assert rows == [("free", 1), ("pro", 1), (None, 1)]
