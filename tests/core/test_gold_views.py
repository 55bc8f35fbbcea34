"""A gold view is a kept question: listed and described like a table, read by others, and never in a circle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transform_lab import Lab, lab

from servicetsunami.operations.caller import Caller
from servicetsunami.operations.gold import create_gold_view, drop_gold_view
from servicetsunami.operations.lineage import lineage_of
from servicetsunami.operations.tables import describe_table, list_tables
from servicetsunami.sdk import ConfigError, NotFound, PermanentError

pytestmark = pytest.mark.anyio
SIGNUPS = "select name, count(*) as people from silver.t group by name"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def filled(here: Lab) -> None:
    await here.sync("t", {"id": [1, 2, 3], "name": ["ADA", "ada", "Bob"]}, key=("id",), connection="files")
    await here.transform("t", [{"op": "case", "columns": ["name"], "to": "lower"}])


async def test_a_view_is_read_like_a_table(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await filled(here)
        made = await create_gold_view(here.app, here.caller, "people", SIGNUPS, comment="Who signed up.")
        found = await here.rows("select p.name, p.people from gold.people p join silver.t t on t.name = p.name limit 9")

    assert (made.status, made.view) == ("created", "tenant_default.gold.people")
    assert [(one.name, one.type) for one in made.columns] == [("name", "STRING"), ("people", "BIGINT")]
    assert made.reads == ("tenant_default.silver.t",)
    assert sorted(found) == [("ada", 2), ("ada", 2), ("bob", 1)]


async def test_a_view_follows_its_tables(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await filled(here)
        await create_gold_view(here.app, here.caller, "people", SIGNUPS)
        await here.sync("t", {"id": [4], "name": ["Zoë"]}, key=("id",), connection="files")
        await here.transform("t", [{"op": "case", "columns": ["name"], "to": "lower"}])

        assert await here.rows("select people from gold.people where name = 'zoë'") == [(1,)]


async def test_it_is_listed_and_described_with_its_query(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await filled(here)
        await create_gold_view(here.app, here.caller, "people", SIGNUPS, comment="Who signed up.")
        listed = await list_tables(here.app, here.caller, layer="gold")
        described = await describe_table(here.app, here.caller, "gold.people", preview=True)

    assert [(one.table, one.kind, one.comment) for one in listed.tables] == [
        ("tenant_default.gold.people", "view", "Who signed up.")
    ]
    assert described.definition.startswith("SELECT `name`, COUNT(*) AS `people` FROM `tenant_default`.`silver`.`t`")
    assert sorted(described.sample) == [("ada", 2), ("bob", 1)]


async def test_views_stand_on_views_and_never_on_themselves(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await filled(here)
        await create_gold_view(here.app, here.caller, "a", SIGNUPS)
        await create_gold_view(
            here.app, here.caller, "b", "with a as (select * from gold.a) select max(people) m from a"
        )
        await create_gold_view(
            here.app, here.caller, "c", "select b.m, a.name from gold.b cross join gold.a order by m"
        )
        with pytest.raises(ConfigError) as direct:
            await create_gold_view(here.app, here.caller, "a", "select * from gold.a")
        with pytest.raises(ConfigError) as around:
            await create_gold_view(here.app, here.caller, "a", "select m as people, 'x' as name from gold.c")

        assert (direct.value.code, around.value.code) == ("view_cycle", "view_cycle")
        assert sorted(await here.rows("select m, name from gold.c")) == [(2, "ada"), (2, "bob")]


async def test_it_is_replaced_as_a_whole_or_left(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await filled(here)
        await create_gold_view(here.app, here.caller, "people", SIGNUPS)
        same = await create_gold_view(
            here.app, here.caller, "gold.people", SIGNUPS.upper().replace("SILVER.T", "silver.t")
        )
        other = await create_gold_view(here.app, here.caller, "tenant_default.gold.people", "select 1 as one")

        assert (same.status, other.status) == ("replaced", "replaced")
        assert await here.rows("select * from gold.people") == [(1,)]


async def test_a_view_that_is_dropped_is_gone(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await filled(here)
        await create_gold_view(here.app, here.caller, "people", SIGNUPS)
        await drop_gold_view(here.app, here.caller, "people")
        with pytest.raises(NotFound):
            await drop_gold_view(here.app, here.caller, "people")
        with pytest.raises(NotFound):
            await here.rows("select * from gold.people")


BAD = [
    ("people", "select count(*) from silver.t", "column_unnamed"),
    ("people", "select id, ID from silver.t", "column_unnamed"),
    ("people", "select nothing from silver.t", "column_not_found"),
    ("people", "select * from silver.nothing", "table_not_found"),
    ("people", "drop table silver.t", "sql_refused"),
    ("people", "select 1 as a; select 2 as b", "sql_refused"),
    ("people", "select * from tenant_bobs.gold.people", "sql_refused"),
    ("../people", "select 1 as a", "bad_table_name"),
    ("silver.people", "select 1 as a", "bad_table_name"),
    ("People", "select 1 as a", "bad_table_name"),
]


@pytest.mark.parametrize(
    ("name", "sql", "code"), BAD, ids=[f"{code}-{place}" for place, (_, _, code) in enumerate(BAD)]
)
async def test_what_cannot_be_a_view_is_refused(tmp_path: Path, name: str, sql: str, code: str) -> None:
    async with lab(tmp_path) as here:
        await filled(here)
        with pytest.raises((ConfigError, NotFound)) as refused:
            await create_gold_view(here.app, here.caller, name, sql)

        assert refused.value.code == code
        assert (await list_tables(here.app, here.caller, layer="gold")).tables == ()


async def test_a_definition_that_somebody_changed_on_disk_reaches_no_further_than_a_query(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await filled(here)
        await create_gold_view(here.app, here.caller, "people", SIGNUPS)
        file = tmp_path / "data" / "default" / "lakehouse" / "tenant_default" / "gold" / "people.view.json"
        kept = json.loads(file.read_text())
        file.write_text(json.dumps({**kept, "sql": "select * from read_text('/etc/passwd')"}))
        with pytest.raises(ConfigError) as refused:
            await here.rows("select * from gold.people")
        file.write_text("{")
        with pytest.raises(PermanentError) as damaged:
            await here.rows("select * from gold.people")

    assert (refused.value.code, damaged.value.code) == ("sql_refused", "view_damaged")


async def test_another_tenant_sees_no_view(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await filled(here)
        await create_gold_view(here.app, here.caller, "people", SIGNUPS)
        await here.app.records.create_tenant("bobs")
        bob = Caller("bobs")

        assert (await list_tables(here.app, bob)).tables == ()
        with pytest.raises(NotFound):
            await describe_table(here.app, bob, "gold.people")
        with pytest.raises(NotFound):
            await drop_gold_view(here.app, bob, "people")


async def test_lineage_leads_from_gold_to_the_source(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await filled(here)
        await create_gold_view(here.app, here.caller, "people", SIGNUPS)
        found = await lineage_of(here.app, here.caller, "gold.people")

    assert [(one.table.partition(".")[2], one.made_by) for one in found.steps] == [
        ("gold.people", "view"),
        ("silver.t", "transform"),
        ("bronze.t", "sync"),
    ]
    assert found.steps[1].transformations[0]["op"] == "case"
    assert (found.steps[2].connection, found.steps[2].source_table) == ("files", "t")
