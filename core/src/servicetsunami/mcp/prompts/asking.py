"""Prompts about data that has landed: answer a question with SQL, explain a run that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.mcp.prompts import facts
from servicetsunami.mcp.prompts.choices import RUN, TABLES, failed_runs
from servicetsunami.mcp.prompts.spec import Argument, Given, PromptSpec, Values
from servicetsunami.operations.sync import get_run
from servicetsunami.operations.tables import describe_table, list_tables
from servicetsunami.sdk import NotFound

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_MOST_DESCRIBED = 5
_MOST_NAMED = 100


async def _query(app: App, caller: Caller, given: Given) -> Values:
    wanted = [name.strip() for name in given.get("tables", "").split(",") if name.strip()]
    described = [await describe_table(app, caller, name, preview=True) for name in wanted[:_MOST_DESCRIBED]]
    if described:
        return {"question": given["question"], "tables": "\n\n".join(map(facts.described_table, described))}
    page = await list_tables(app, caller, limit=_MOST_NAMED)
    return {"question": given["question"], "tables": facts.table_names(page)}


async def _explain(app: App, caller: Caller, given: Given) -> Values:
    run_id = given.get("run_id") or next(iter(await failed_runs(app, caller, given)), None)
    if run_id is None:
        raise NotFound("there is no run yet", code="run_not_found", field="run_id", fix="sync a table first")
    view = await get_run(app, caller, run_id)
    return {"id": view.run_id, "run": facts.run(view)}


GENERATE_QUERY = PromptSpec(
    name="generate_query",
    title="Answer a question with SQL",
    description="Turn a question into one SELECT over the lakehouse, with real columns and values at hand.",
    arguments=(Argument("question", "Question", "What you want to know, in your own words."), TABLES),
    tools=("query_sql", "describe_table"),
    gather=_query,
)
EXPLAIN_FAILED_RUN = PromptSpec(
    name="explain_failed_run",
    title="Explain a failed run",
    description="What happened, what it means for the table, and what to do now.",
    arguments=(RUN,),
    tools=("get_run",),
    gather=_explain,
)
