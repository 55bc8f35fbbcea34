"""The tools that make silver of bronze, gold of silver, and notebooks of both."""

from __future__ import annotations

from collections.abc import Sequence

from servicetsunami.mcp.arguments import CreateGoldView, CreateNotebook, TransformToSilver
from servicetsunami.mcp.spec import Hints, ToolCall, ToolSpec
from servicetsunami.mcp.text import pipe_table, problem_text
from servicetsunami.operations.gold import ViewResult, create_gold_view
from servicetsunami.operations.models import RunView
from servicetsunami.operations.notebooks import NotebookResult, create_notebook
from servicetsunami.operations.transforms import TransformResult, Wish, preview_transform, transform_to_silver
from servicetsunami.operations.transforms.models import RuleCount

_MOST_SHOWN = 5


async def _transform(call: ToolCall, given: TransformToSilver) -> TransformResult:
    async def on_progress(run: RunView) -> None:
        await call.report(run.rows, None, f"{run.rows:,} rows written")

    wish = Wish(given.bronze_table, given.transformations, given.checks, given.silver_table)
    if given.preview:
        return await preview_transform(call.app, call.caller, wish)
    return await transform_to_silver(
        call.app, call.caller, wish, wait_seconds=given.wait_seconds, on_progress=on_progress
    )


async def _create_view(call: ToolCall, given: CreateGoldView) -> ViewResult:
    return await create_gold_view(call.app, call.caller, given.name, given.sql, comment=given.comment)


async def _create_notebook(call: ToolCall, given: CreateNotebook) -> NotebookResult:
    return await create_notebook(call.app, call.caller, given.notebook_name, given.cells, language=given.language)


def notebook_text(result: NotebookResult) -> str:
    """Say where a notebook is."""
    return f"{result.path}: created, {result.cells} cells, none of them run. Open it at {result.url}."


def transform_text(result: TransformResult) -> str:
    """Say what came of a transform, or would."""
    lines = [_outcome(result), problem_text(result.problem) if result.problem else ""]
    lines += [_rule(rule) for rule in result.rules]
    if result.quarantine_table:
        lines.append(f"Set aside in {result.quarantine_table}: {result.quarantined:,}.")
    if result.after is not None:
        header = [f"{one.name} {one.type}" for one in result.after.columns]
        lines.append(pipe_table(header, result.after.rows[:_MOST_SHOWN]))
    return "\n".join(line for line in (*lines, *result.notes) if line)


def _outcome(result: TransformResult) -> str:
    if result.status == "previewed":
        return (
            f"{result.silver_table} would have {result.rows:,} rows, made of {result.rows_read:,}. Nothing is written."
        )
    if result.mode == "unchanged":
        return f"{result.silver_table}: nothing changed since the last run, so nothing was written."
    goes_on = result.status in ("queued", "running")
    more = f" It goes on: ask get_run with run_id {result.run_id}." if goes_on else ""
    return f"{result.silver_table}: {result.status}. {result.rows or 0:,} rows written.{more}"


def _rule(rule: RuleCount) -> str:
    counts = {"changed": rule.changed, "failed": rule.failed, "removed": rule.removed}
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count is not None)
    return f"{rule.step}. {_named(rule.op, rule.columns)}: {told}"


def _named(op: str, columns: Sequence[str]) -> str:
    shown = ", ".join(columns[:_MOST_SHOWN])
    return f"{op} {shown}{', …' if len(columns) > _MOST_SHOWN else ''}".strip()


def view_text(result: ViewResult) -> str:
    """Say what a view holds."""
    columns = ", ".join(f"{one.name} {one.type}" for one in result.columns)
    return f"{result.view}: {result.status}. Columns: {columns}. It reads {', '.join(result.reads) or 'no table'}."


TRANSFORM_TO_SILVER = ToolSpec(
    name="transform_to_silver",
    title="Clean a table into silver",
    description=(
        "Clean a bronze table into a typed silver one by declared steps and checks. Look at it with describe_table "
        "first, call this with preview to see counts and rows, then without; again after a sync, it does what changed."
    ),
    arguments=TransformToSilver,
    result=TransformResult,
    told=("status", "run_id", "silver_table", "rows"),
    run=_transform,
    text=transform_text,
    scope="sync",
    hints=Hints(destructive=True, idempotent=True),
)

CREATE_GOLD_VIEW = ToolSpec(
    name="create_gold_view",
    title="Create a gold view",
    description=(
        "Keep a SELECT as a view of the gold layer, which is then listed, described and queried like a table, such as "
        "gold.monthly_signups. Try the SELECT with query_sql first. A view of that name is replaced."
    ),
    arguments=CreateGoldView,
    result=ViewResult,
    told=("status", "view"),
    run=_create_view,
    text=view_text,
    scope="sync",
    hints=Hints(destructive=True, idempotent=True),
)

CREATE_NOTEBOOK = ToolSpec(
    name="create_notebook",
    title="Create a notebook",
    description=(
        "Keep SQL or Python as a notebook in the workspace of the warehouse, for people to open and run. Nothing of it "
        "is run now. One of that name is not replaced."
    ),
    arguments=CreateNotebook,
    result=NotebookResult,
    told=("path", "url"),
    run=_create_notebook,
    text=notebook_text,
    scope="sync",
    hints=Hints(destructive=False, idempotent=False),
)
