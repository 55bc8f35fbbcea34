"""The tools that help to understand a table."""

from __future__ import annotations

from servicetsunami.assistant.advising import suggest_transformations
from servicetsunami.assistant.analyzing import analyze_schema
from servicetsunami.assistant.models import ColumnEvidence, SchemaAnalysis, TransformAdvice
from servicetsunami.mcp.arguments import OneTable
from servicetsunami.mcp.spec import Hints, ToolCall, ToolSpec
from servicetsunami.mcp.text import pipe_table

_READS = Hints(read_only=True, idempotent=True)


async def _analyze(call: ToolCall, given: OneTable) -> SchemaAnalysis:
    return await analyze_schema(call.app, call.caller, given.table_name)


async def _suggest(call: ToolCall, given: OneTable) -> TransformAdvice:
    return await suggest_transformations(call.app, call.caller, given.table_name)


def analysis_text(result: SchemaAnalysis) -> str:
    """Say what is known of a table, a line a column."""
    header = ["column", "type", "nulls", "distinct", "range", "what it seems to hold"]
    rows = [(one.name, one.type, one.nulls, one.distinct, _range(one), _seems(one)) for one in result.columns]
    lines = [f"{result.table}: {result.rows or 0:,} rows, version {result.version}."]
    if result.key or result.candidate_keys:
        lines.append(f"Key: {', '.join(result.key) or 'none'}; unique: {', '.join(result.candidate_keys) or 'none'}.")
    lines.append(pipe_table(header, rows))
    lines += [f"{one.column} leads to {one.to_table}.{one.to_column} ({one.why})." for one in result.joins]
    return "\n".join((*lines, *result.notes, result.notice))


def advice_text(result: TransformAdvice) -> str:
    """Say which steps would clean a table, and why."""
    lines = [f"{result.bronze_table}: {len(result.transformations)} steps proposed, none of them run."]
    lines += [f"{at}. {one.step['op']}: {one.why}" for at, one in enumerate(result.reasons, start=1)]
    return "\n".join((*lines, *result.notes, result.notice))


def _range(column: ColumnEvidence) -> str:
    return "" if column.minimum is None else f"{column.minimum} to {column.maximum}"


def _seems(column: ColumnEvidence) -> str:
    top = ", ".join(f"{one.value} ({one.count})" for one in column.top)
    personal = f"personal: {column.personal}" if column.personal else ""
    return "; ".join(part for part in (*column.looks_like, *column.faults, personal, top) if part)


ANALYZE_SCHEMA = ToolSpec(
    name="analyze_schema",
    title="Analyse a table",
    description=(
        "Learn a table before you write SQL or clean it: per column nulls, distinct values, range, frequent values, "
        "what its texts look like and suspected personal data; candidate keys, and joins to other tables."
    ),
    arguments=OneTable,
    result=SchemaAnalysis,
    told=("table", "rows"),
    run=_analyze,
    text=analysis_text,
    scope="read",
    hints=_READS,
)

SUGGEST_TRANSFORMATIONS = ToolSpec(
    name="suggest_transformations",
    title="Suggest how to clean a table",
    description=(
        "Propose transformations for transform_to_silver from what a table holds, each with its reason. Nothing is "
        "run: show them, preview them, then run them."
    ),
    arguments=OneTable,
    result=TransformAdvice,
    told=("transformations",),
    run=_suggest,
    text=advice_text,
    scope="read",
    hints=_READS,
)
