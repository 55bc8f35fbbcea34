"""The assistant tells what a table holds, from the table alone, and proposes what would clean it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from transform_lab import Lab, lab

from servicetsunami.assistant import analyzing
from servicetsunami.assistant.advising import suggest_transformations
from servicetsunami.assistant.analyzing import analyze_schema
from servicetsunami.assistant.models import ColumnEvidence, SchemaAnalysis
from servicetsunami.assistant.patterns import suspected
from servicetsunami.assistant.profiling import Profile, profile
from servicetsunami.operations.tables import validate_sql
from servicetsunami.sdk import ConfigError, NotFound

pytestmark = pytest.mark.anyio
PEOPLE: dict[str, Sequence[Any]] = {
    "id": [1, 2, 3, 4, 5, 6],
    "email": [" ada@x.org", "ADA@x.org", "ada@x.org", "zoe@x.org", None, "n/a"],
    "signed_up": ["2026-10-31", "31/10/2026", "1 Nov 2026", "01.11.2026", "2026-11-02", "soon"],
    "plan": ["pro", "PRO", "free", "free", "-", "pro"],
    "amount": ["1,200.50", "3", "4.5", "17", "1,000", None],
    "visits": ["7", "12", "3", "0", "44", None],
    "zip": ["01234", "10115", "20095", "80331", "01067", None],
    "note": ["it's \\ fine", "🙂", "x", "y", "z", None],
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def column(found: SchemaAnalysis, name: str) -> ColumnEvidence:
    return next(one for one in found.columns if one.name == name)


async def test_a_table_is_told_column_by_column(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("people", PEOPLE, key=("id",))
        found = await analyze_schema(here.app, here.caller, "bronze.people")

    email, plan, identity = (column(found, name) for name in ("email", "plan", "id"))
    assert (found.table, found.rows, found.key) == ("tenant_default.bronze.people", 6, ("id",))
    assert found.candidate_keys[0] == "id"
    assert (identity.nulls, identity.distinct, identity.minimum, identity.maximum) == (0, 6, 1, 6)
    assert (email.looks_like, email.personal, email.minimum) == (("e-mail",), "e-mail", None)
    assert email.faults == ("spaces around (1)", "spellings of null (1)", "values that differ in capitals (1)")
    assert [(one.value, one.count) for one in plan.top] == [("free", 2), ("pro", 2), ("-", 1), ("PRO", 1)]
    assert column(found, "signed_up").looks_like[:2] == ("date yyyy-MM-dd", "date dd/MM/yyyy")
    assert column(found, "zip").personal == "address"
    assert [one.name for one in found.columns] == list(PEOPLE)


async def test_no_value_of_personal_data_is_shown(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        rows = {"id": [1, 2], "full_name": ["Ada Canary", "Ada Canary"], "mail": ["canary@x.org", "canary@y.org"]}
        await here.sync("people", rows)
        found = await analyze_schema(here.app, here.caller, "bronze.people")
        advice = await suggest_transformations(here.app, here.caller, "bronze.people")

    assert "anary" not in found.model_dump_json() + advice.model_dump_json()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("email", "e-mail"),
        ("workEmail", "e-mail"),
        ("first_name", "name"),
        ("firstName", "name"),
        ("file_name", ""),
        ("product", ""),
        ("mobile", "phone number"),
        ("date_of_birth", "birthday"),
        ("rebirth_count", "birthday"),
    ],
)
def test_names_suggest_personal_data(name: str, kind: str) -> None:
    assert suspected(name, ()) == kind


async def test_joins_are_seen_by_name_and_type(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("customers", {"id": [1, 2], "iso": ["DE", "SE"]}, key=("id",))
        await here.sync("countries", {"iso": ["DE", "SE"], "title": ["Germany", "Sweden"]}, key=("iso",))
        await here.sync("orders", {"id": [1], "customer_id": [2], "iso": ["DE"], "city_id": ["x"]}, key=("id",))
        found = await analyze_schema(here.app, here.caller, "bronze.orders")

    assert [(one.column, one.to_table, one.to_column) for one in found.joins] == [
        ("iso", "bronze.countries", "iso"),
        ("customer_id", "bronze.customers", "id"),
    ]


async def test_what_is_proposed_cleans_the_table(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("people", PEOPLE, key=("id",))
        advice = await suggest_transformations(here.app, here.caller, "bronze.people")
        await here.transform("people", advice.transformations, advice.checks)
        rows = await here.rows("select email, signed_up, plan, amount, visits, zip from silver.people order by id")

    assert [one["op"] for one in advice.transformations] == [
        *("trim", "nullify", "case", "parse_date", "parse_number", "cast"),
    ]
    assert all(one.why for one in advice.reasons)
    assert rows[:2] == [
        ("ada@x.org", "2026-10-31", "pro", "1200.50", 7, "01234"),
        ("ada@x.org", "2026-10-31", "pro", "3.00", 12, "10115"),
    ]
    assert (rows[4][0], rows[4][2], rows[5][0], rows[5][1]) == (None, None, None, None)


async def test_a_clean_table_gets_no_advice(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("clean", {"id": [1, 2], "label": ["a", "b"]}, key=("id",))
        advice = await suggest_transformations(here.app, here.caller, "bronze.clean")

    assert advice.transformations == ()
    assert advice.notes == ("Nothing in the sample asks for cleaning.",)


@pytest.mark.parametrize("rows", [{"id": [], "name": []}, {"id": [None], "name": [None]}])
async def test_a_table_without_values_is_told_all_the_same(tmp_path: Path, rows: dict[str, Any]) -> None:
    import pyarrow as pa

    async with lab(tmp_path) as here:
        typed = {"id": pa.array(rows["id"], pa.int64()), "name": pa.array(rows["name"], pa.string())}
        await here.sync("empty", typed)
        found = await analyze_schema(here.app, here.caller, "bronze.empty")
        advice = await suggest_transformations(here.app, here.caller, "bronze.empty")

    assert [(one.nulls, one.distinct, one.minimum) for one in found.columns] == [(len(rows["id"]), 0, None)] * 2
    assert (found.candidate_keys, advice.transformations) == ((), ())


async def test_a_profile_is_kept_until_the_table_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def measured(*given: Any) -> Profile:
        made.append("profile")
        return profile(*given)

    monkeypatch.setattr(analyzing, "profile", measured)
    async with lab(tmp_path) as here:
        await here.sync("people", PEOPLE, key=("id",))
        await analyze_schema(here.app, here.caller, "bronze.people")
        await suggest_transformations(here.app, here.caller, "bronze.people")
        before = len(made)
        await here.sync("people", {**PEOPLE, "id": [11, 12, 13, 14, 15, 16]}, key=("id",))
        again = await analyze_schema(here.app, here.caller, "bronze.people")

    assert (before, len(made), again.rows) == (1, 2, 12)


async def test_strange_names_and_many_columns_are_no_fault(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        rows = {"a b`c; DROP": ["x"], "{template}": ["y"], **{f"c{number}": [number] for number in range(60)}}
        await here.sync("wide", rows)
        found = await analyze_schema(here.app, here.caller, "bronze.wide")

    assert found.columns[0].name == "a b`c; DROP"
    assert len(found.columns) == 40
    assert any("22 columns are not profiled" in note for note in found.notes)


async def test_a_wrong_name_gets_near_ones(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("people", PEOPLE)
        with pytest.raises(NotFound) as wrong:
            await analyze_schema(here.app, here.caller, "bronze.peopel")

    assert "bronze.people" in wrong.value.did_you_mean


async def test_a_query_is_checked_without_being_run(tmp_path: Path) -> None:
    async with lab(tmp_path) as here:
        await here.sync("people", PEOPLE)
        fine = await validate_sql(here.app, here.caller, "select plan, count(*) as n from bronze.people group by plan")
        refusals = []
        for broken in (
            "select nam from bronze.people",
            "select * from bronze.peopel",
            "select plan from",
            "delete from bronze.people",
            "select made_up(plan) as x from bronze.people",
            "select coalesce(id, 'none') as x from bronze.people",
        ):
            with pytest.raises((ConfigError, NotFound)) as refused:
                await validate_sql(here.app, here.caller, broken)
            refusals.append(refused.value)

    assert [(one.name, one.type) for one in fine.columns] == [("plan", "string"), ("n", "bigint")]
    assert (fine.rows, fine.would_read) == ((), 6)
    assert [one.code for one in refusals] == [
        *("column_not_found", "table_not_found", "sql_invalid", "sql_refused", "sql_refused", "sql_unsupported"),
    ]
    assert all(one.fix for one in refusals)


async def test_a_view_is_analysed_like_a_table(tmp_path: Path) -> None:

    async with lab(tmp_path) as here:
        await fill(here)
        found = await analyze_schema(here.app, here.caller, "gold.plans")

    assert [(one.name, one.distinct) for one in found.columns] == [("plan", 4), ("people", 2)]


async def fill(here: Lab) -> None:
    from servicetsunami.operations.gold import create_gold_view

    await here.sync("people", PEOPLE)
    sql = "select plan, count(*) as people from bronze.people group by plan"
    await create_gold_view(here.app, here.caller, "plans", sql)
