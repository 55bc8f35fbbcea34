"""Proposes the steps that would clean a table, from what its profile says; each with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from servicetsunami.assistant.analyzing import Studied, study
from servicetsunami.assistant.models import Advice, ColumnEvidence, TransformAdvice
from servicetsunami.assistant.patterns import DATE_FORMATS
from servicetsunami.assistant.profiling import Texts
from servicetsunami.operations.answers.warehouses import with_warehouse
from servicetsunami.sdk import Sink, Warehouse

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

Evidence = list[tuple[ColumnEvidence, Texts]]


async def suggest_transformations(app: App, caller: Caller, table: str) -> TransformAdvice:
    """Propose steps and checks for `transform_to_silver`; nothing of it is run. Raises `NotFound` with near names."""

    def work(sink: Sink[Any], warehouse: Warehouse) -> TransformAdvice:
        studied = study(app, sink, warehouse, table)
        advice = [*_steps(studied)]
        return TransformAdvice(
            bronze_table=f"{sink.catalog()}.{studied.details.summary.table}",
            transformations=tuple(one.step for one in advice),
            checks=tuple(_checks(studied)),
            reasons=tuple(advice),
            notes=tuple(_notes(studied, advice)),
        )

    return await with_warehouse(app, caller, work)


def _steps(studied: Studied) -> Iterator[Advice]:
    """Yield steps in the order in which they must run: texts are tidied before they are read."""
    texts: Evidence = [
        (column, studied.profile.texts[column.name])
        for column in studied.profile.columns
        if column.name in studied.profile.texts
    ]
    yield from _tidying(texts)
    for column, found in texts:
        step = _reading(column, found)
        if step is not None:
            yield step
    yield from _deduplicating(studied)


def _tidying(texts: Evidence) -> Iterator[Advice]:
    spaced = [column.name for column, found in texts if found.spaces]
    if spaced:
        count = sum(found.spaces for _, found in texts)
        yield Advice(step={"op": "trim", "columns": spaced}, why=f"{count} texts have spaces around them")
    spelled = [column.name for column, found in texts if found.nulls]
    if spelled:
        count = sum(found.nulls for _, found in texts)
        yield Advice(step={"op": "nullify", "columns": spelled}, why=f"{count} texts only say that there is no value")
    mixed = [column.name for column, found in texts if found.folded < found.spellings]
    if mixed:
        step = {"op": "case", "columns": mixed, "to": "lower"}
        yield Advice(step=step, why=f"values of {', '.join(mixed)} differ in capitals alone")


def _reading(column: ColumnEvidence, found: Texts) -> Advice | None:
    """Propose to read texts as what they are."""
    formats = [one for one in DATE_FORMATS if f"date {one}" in column.looks_like]
    if formats:
        step: dict[str, Any] = {"op": "parse_date", "column": column.name, "formats": formats}
        return Advice(step=step, why=_share(found.shapes, formats, found.filled, "dates"))
    if column.personal == "phone number" or _is_a_code(column, found):
        return None
    if "whole number" in column.looks_like:
        step = {"op": "cast", "column": column.name, "type": "bigint"}
        return Advice(step=step, why=_share(found.shapes, ["whole number"], found.filled, "whole numbers"))
    if "number" in column.looks_like or "number with commas" in column.looks_like:
        step = {"op": "parse_number", "column": column.name}
        return Advice(step=step, why=f"the texts of {column.name} are numbers")
    return None


def _is_a_code(column: ColumnEvidence, found: Texts) -> bool:
    """Tell whether digits are a name rather than a number: one with a leading zero would lose it."""
    least = str(column.minimum or "").strip()
    named = any(word in column.name.casefold() for word in ("code", "zip", "postal", "phone", "iban", "number", "_id"))
    return bool(found.shapes.get("whole number")) and (named or (len(least) > 1 and least.startswith("0")))


def _deduplicating(studied: Studied) -> Iterator[Advice]:
    """Propose to keep one row per e-mail address or natural key where the table has no key of its own."""
    if studied.details.key:
        return
    rows = studied.profile.rows
    for column in studied.profile.columns:
        repeated = column.distinct is not None and column.distinct < rows - (column.nulls or 0)
        if repeated and "e-mail" in column.looks_like and column.distinct and column.distinct > rows * 0.5:
            step = {"op": "deduplicate", "key": [column.name]}
            yield Advice(step=step, why=f"some rows share their {column.name}, and the table has no key")
            return


def _checks(studied: Studied) -> Iterator[dict[str, Any]]:
    key = [name for name in studied.details.key if not name.startswith("_")]
    if key:
        yield {"check": "not_null", "columns": key, "action": "quarantine"}
        yield {"check": "unique", "columns": key, "action": "warn"}


def _notes(studied: Studied, advice: list[Advice]) -> Iterator[str]:
    if not advice:
        yield "Nothing in the sample asks for cleaning."
    personal = [f"{column.name} ({column.personal})" for column in studied.profile.columns if column.personal]
    if personal:
        yield f"Suspected personal data: {', '.join(personal)}. Think of mask or hash."
    nested = [column.name for column in studied.profile.columns if "JSON" in column.looks_like]
    if nested:
        yield f"Texts of JSON: {', '.join(nested)}. extract_json takes values out of them."


def _share(shapes: Mapping[str, int], of: list[str], filled: int, what: str) -> str:
    return f"{sum(shapes.get(one, 0) for one in of)} of {filled} texts are {what}"
