"""Each step of the vocabulary does to a messy column what it says, and counts what it did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pyarrow as pa
import pytest
from transform_lab import Lab, lab

from servicetsunami.operations.transforms.models import RuleCount
from servicetsunami.sdk import ConfigError, Json

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with lab(tmp_path_factory.mktemp("transforms")) as opened:
        yield opened


TEXTS = {"id": [1, 2, 3, 4], "x": [" Ada ", "N/A", None, "O'Neil  grace"]}
DATES = ["2024-01-31", "31/01/2024", "1.2.2024", "3 Mar 2024", "2024-02-31", "31/1/2024", "soon", "", None]
NUMBERS = ["1,234.50", "€12", "USD 5.5", "-3", ".5", "7 EUR", "5k", "5%", "(5)", "1,2", "1.2.3", "", None]
FLOATS = ["1.234,50", "12,5 €", "1.5", None]
JSON = ['{"a":{"b":"7"}}', '{"a":{"b":12}}', '{"a":{"b":null}}', "{}", "no json", '{"a":{"b":"x"}}', None]

CASES: list[tuple[str, dict[str, Any], list[Json], list[Any], dict[str, int]]] = [
    ("trim", TEXTS, [{"op": "trim", "columns": ["x"]}], ["Ada", "N/A", None, "O'Neil  grace"], {"changed": 1}),
    (
        "title",
        TEXTS,
        [{"op": "case", "columns": ["x"], "to": "title"}],
        [" Ada ", "N/a", None, "O'neil  Grace"],
        {"changed": 2},
    ),
    ("upper", TEXTS, [{"op": "case", "columns": ["x"], "to": "upper"}], [" ADA ", "N/A", None, "O'NEIL  GRACE"], {}),
    ("nullify", TEXTS, [{"op": "nullify", "columns": ["x"]}], [" Ada ", None, None, "O'Neil  grace"], {"changed": 1}),
    (
        "fill",
        TEXTS,
        [{"op": "fill", "column": "x", "value": "?"}],
        [" Ada ", "N/A", "?", "O'Neil  grace"],
        {"changed": 1},
    ),
    (
        "mask",
        TEXTS,
        [{"op": "mask", "columns": ["x"], "show_last": 2}],
        ["***a ", "***/A", None, "***ce"],
        {"changed": 3},
    ),
    ("mask all", TEXTS, [{"op": "mask", "columns": ["x"]}], ["***", "***", None, "***"], {"changed": 3}),
    (
        "parse_date",
        {"x": DATES},
        [{"op": "parse_date", "column": "x", "formats": ["yyyy-MM-dd", "dd/MM/yyyy", "d.M.yyyy", "d MMM yyyy"]}],
        ["2024-01-31", "2024-01-31", "2024-02-01", "2024-03-03", None, None, None, None, None],
        {"changed": 4, "failed": 4},
    ),
    (
        "parse_date of a moment",
        {"x": ["2024-01-31 10:05:07", "31.01.24 7:00", "nothing"]},
        [
            {
                "op": "parse_date",
                "column": "x",
                "type": "timestamp",
                "formats": ["yyyy-MM-dd HH:mm:ss", "dd.MM.yy H:mm"],
            }
        ],
        ["2024-01-31T10:05:07Z", "2024-01-31T07:00:00Z", None],
        {"changed": 2, "failed": 1},
    ),
    (
        "parse_number",
        {"x": NUMBERS},
        [{"op": "parse_number", "column": "x"}],
        ["1234.50", "12.00", "5.50", "-3.00", "0.50", "7.00", None, None, None, None, None, None, None],
        {"changed": 6, "failed": 6},
    ),
    (
        "parse_number with a comma",
        {"x": FLOATS},
        [{"op": "parse_number", "column": "x", "decimal_mark": ",", "type": "decimal(10,2)"}],
        ["1234.50", "12.50", None, None],
        {"changed": 2, "failed": 1},
    ),
    (
        "cast to int",
        {"x": ["1", " 22 ", "2.0", "99999999999", "x", None]},
        [{"op": "cast", "column": "x", "type": "int"}],
        [1, 22, None, None, None, None],
        {"changed": 2, "failed": 3},
    ),
    (
        "cast to boolean",
        {"x": ["yes", "F", "2", None]},
        [{"op": "cast", "column": "x", "type": "boolean"}],
        [True, False, None, None],
        {"failed": 1},
    ),
    (
        "cast to timestamp",
        {"x": ["2024-01-31", "2024-01-31T10:00:00Z", "2024-01-31 10:00:00.250", "2024"]},
        [{"op": "cast", "column": "x", "type": "timestamp"}],
        ["2024-01-31T00:00:00Z", "2024-01-31T10:00:00Z", "2024-01-31T10:00:00.250000Z", None],
        {"failed": 1},
    ),
    (
        "cast of a number to text",
        {"x": [1, 2]},
        [{"op": "cast", "column": "x", "type": "string"}],
        ["1", "2"],
        {"changed": 2, "failed": 0},
    ),
    (
        "extract_json",
        {"d": JSON},
        [{"op": "extract_json", "column": "d", "path": "$.a.b", "to": "x", "type": "int"}],
        [7, 12, None, None, None, None, None],
        {"changed": 2, "failed": 1},
    ),
    (
        "split",
        {"d": ["a-b", "c", "-d", None]},
        [{"op": "split", "column": "d", "separator": "-", "into": ["w", "x"], "keep": False}],
        ["b", None, "d", None],
        {"changed": 3},
    ),
    (
        "flatten",
        {"p": [{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}]},
        [{"op": "flatten", "column": "p", "prefix": ""}],
        [1, None, None],
        {},
    ),
    (
        "compute",
        {"q": [2, 3], "p": [1.5, 2.0]},
        [{"op": "compute", "column": "x", "expression": "cast(q * p as int) + 1", "type": "bigint"}],
        [4, 7],
        {},
    ),
    ("rename", {"Old name": ["a"]}, [{"op": "rename", "column": "Old name", "to": "x"}], ["a"], {}),
    ("drop", {"x": ["a"], "y": ["b"]}, [{"op": "drop", "columns": ["y"]}], ["a"], {}),
    ("filter", {"x": [1, 5, None]}, [{"op": "filter", "where": "x > 2"}], [5], {"removed": 2}),
    (
        "deduplicate",
        {"k": ["a", "b", "a"], "x": [1, 2, 3]},
        [{"op": "deduplicate", "key": ["k"], "order_by": ["x"]}],
        [2, 3],
        {"removed": 1},
    ),
    (
        "deduplicate ascending",
        {"k": ["a", "b", "a"], "x": [1, 2, 3]},
        [{"op": "deduplicate", "key": ["k"], "order_by": ["x"], "descending": False}],
        [1, 2],
        {"removed": 1},
    ),
    (
        "several in a row",
        {"x": [" N/A ", " 1 ", "x", None]},
        [
            {"op": "trim", "columns": ["x"]},
            {"op": "nullify", "columns": ["x"]},
            {"op": "cast", "column": "x", "type": "int"},
            {"op": "fill", "column": "x", "value": 0},
        ],
        [0, 0, 0, 1],
        {"changed": 3},
    ),
]


def _kept(rules: tuple[RuleCount, ...], wanted: dict[str, int]) -> dict[str, Any]:
    return {name: getattr(rules[-1], name) for name in wanted}


@pytest.mark.parametrize(
    ("rows", "steps", "expected", "counts"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
async def test_a_step_does_what_it_says(
    here: Lab, rows: dict[str, Any], steps: list[Json], expected: list[Any], counts: dict[str, int]
) -> None:
    table = here.new()
    await here.sync(table, rows)
    shown = await here.preview(table, steps)
    made = await here.transform(table, steps)
    found = [row[0] for row in await here.rows(f"select x from silver.{table}")]

    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert _kept(made.rules, counts) == counts
    assert shown.rules == made.rules
    assert (made.rows, shown.rows) == (len(expected), len(expected))


async def test_a_hash_is_the_same_for_the_same_text(here: Lab) -> None:
    table = here.new()
    await here.sync(table, {"x": ["a", "a", "b", None]})
    await here.transform(table, [{"op": "hash", "columns": ["x"]}])
    found = await here.rows(f"select x, count(1) from silver.{table} group by x order by 2, 1")

    assert [count for _, count in found] == [1, 1, 2]
    assert sorted(len(text) for text, _ in found if text) == [64, 64]


async def test_steps_build_on_one_another_in_the_order_given(here: Lab) -> None:
    table = here.new()
    await here.sync(table, {"a": ["1", "2"], "b": ["x", "y"]})
    steps = [
        {"op": "rename", "column": "a", "to": "n"},
        {"op": "cast", "column": "n", "type": "int"},
        {"op": "compute", "column": "n", "expression": "n * 10", "type": "int"},
        {"op": "filter", "where": "n > 10"},
        {"op": "rename", "column": "b", "to": "a"},
    ]
    made = await here.transform(table, steps)
    found = await here.rows(f"select n, a from silver.{table}")

    assert (found, made.rows) == ([(20, "y")], 1)


async def test_an_empty_table_becomes_an_empty_table_with_its_types(here: Lab) -> None:
    table = here.new()
    await here.sync(table, {"x": pa.array([], pa.string()), "k": pa.array([], pa.int64())})
    made = await here.transform(
        table, [{"op": "cast", "column": "x", "type": "date"}, {"op": "deduplicate", "key": ["k"]}]
    )
    found = await here.rows(f"select count(1), max(x) from silver.{table}")

    assert (made.status, made.rows, found) == ("succeeded", 0, [(0, None)])


BAD: list[tuple[Json, str]] = [
    ({"op": "trimm", "columns": ["x"]}, "bad_step"),
    ({"op": "trim", "columns": []}, "bad_step"),
    ({"op": "trim", "columns": ["y"]}, "column_not_found"),
    ({"op": "trim", "columns": ["n"]}, "not_a_text"),
    ({"op": "cast", "column": "x", "type": "money"}, "bad_step"),
    ({"op": "cast", "column": "x", "type": "decimal(39,2)"}, "bad_step"),
    ({"op": "rename", "column": "x", "to": "n"}, "column_exists"),
    ({"op": "rename", "column": "x", "to": "a b"}, "bad_step"),
    ({"op": "parse_date", "column": "x", "formats": ["dd.MM"]}, "bad_date_format"),
    ({"op": "parse_date", "column": "x", "formats": ["YYYY-MM-dd"]}, "bad_date_format"),
    ({"op": "fill", "column": "n", "value": "many"}, "bad_value"),
    ({"op": "flatten", "column": "x"}, "not_a_struct"),
    ({"op": "filter", "where": "x = 'a' ) union select 1 from (select 1"}, "bad_expression"),
    ({"op": "filter", "where": "x in (select x from tenant_bobs.bronze.t)"}, "sql_refused"),
    ({"op": "filter", "where": "secret('a', 'b') = 'c'"}, "sql_refused"),
    ({"op": "compute", "column": "y", "expression": "select 1", "type": "int"}, "bad_expression"),
    ({"op": "compute", "column": "y", "expression": "nothing + 1", "type": "int"}, "column_not_found"),
    ({"op": "drop", "columns": ["x", "n", "_synced_at"]}, "no_columns"),
    ({"op": "extract_json", "column": "x", "path": "a.b", "to": "y"}, "bad_step"),
]


@pytest.mark.parametrize(("step", "code"), BAD, ids=[f"{step['op']} {code}" for step, code in BAD])
async def test_a_step_that_cannot_be_done_is_refused_and_nothing_is_written(here: Lab, step: Json, code: str) -> None:
    table = here.new()
    await here.sync(table, {"x": ["a"], "n": [1]})
    with pytest.raises(ConfigError) as refused:
        await here.preview(table, [step])

    assert refused.value.code == code
    assert refused.value.problem().fix


async def test_a_mistyped_step_is_told_by_its_place_and_what_comes_near(here: Lab) -> None:
    table = here.new()
    await here.sync(table, {"x": ["a"]})
    with pytest.raises(ConfigError) as refused:
        await here.transform(table, [{"op": "trim", "columns": ["x"]}, {"op": "dedup", "key": ["x"]}])

    problem = refused.value.problem()
    assert (problem.field, problem.did_you_mean[0]) == ("transformations.1", "deduplicate")
