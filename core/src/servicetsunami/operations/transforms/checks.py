"""Checks of the rows that come out, as conditions that hold for rows that are wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlglot import exp

from servicetsunami.operations.transforms import vocabulary as words
from servicetsunami.operations.transforms.reading_texts import literal
from servicetsunami.operations.transforms.sqltree import column, sql
from servicetsunami.operations.transforms.steps import Work
from servicetsunami.sdk import ConfigError, TableName


def apply_checks(work: Work, checks: Sequence[words.Check]) -> None:
    """Mark the rows that fail; a check of the number of rows is made on the counts."""
    work.pipe.close()
    for number, check in enumerate(checks):
        if isinstance(check, words.RowCount):
            continue
        wrong = _WRONG[type(check)](work, number, check)
        work.mark(wrong, label_of(check), check.action, number, is_check=True)
    work.pipe.close()


def label_of(check: words.Check) -> str:
    """Name a check in a few words: `not_null email`."""
    named = getattr(check, "columns", None) or (getattr(check, "column", ""),)
    return " ".join((check.check, ", ".join(named))).strip()


def _find(work: Work, number: int, name: str) -> str:
    return work.pipe.find(name, at=f"checks.{number}")


def _not_null(work: Work, number: int, check: words.NotNull) -> exp.Expr:
    return exp.or_(*(sql(":x IS NULL", x=column(_find(work, number, name))) for name in check.columns))


def _unique(work: Work, number: int, check: words.Unique) -> exp.Expr:
    key = [column(_find(work, number, name)) for name in check.columns]
    return sql(":count > 1", count=exp.Window(this=sql("count(1)"), partition_by=key))


def _range(work: Work, number: int, check: words.Range) -> exp.Expr:
    name = _find(work, number, check.column)
    kind, at = work.pipe.columns[name].type, f"checks.{number}"
    outside = []
    if check.minimum is not None:
        outside.append(sql(":x < :bound", x=column(name), bound=literal(check.minimum, kind, at=at)))
    if check.maximum is not None:
        outside.append(sql(":x > :bound", x=column(name), bound=literal(check.maximum, kind, at=at)))
    if not outside:
        raise ConfigError(
            "a range needs a minimum or a maximum", code="bad_check", field=at, fix="give minimum, maximum, or both"
        )
    return exp.or_(*outside)


def _pattern(work: Work, number: int, check: words.Pattern) -> exp.Expr:
    name = _find(work, number, check.column)
    if work.pipe.columns[name].type != "string":
        raise ConfigError(
            f"column '{name}' is no text, so it has no pattern",
            code="not_a_text",
            field=f"checks.{number}.column",
            fix="check it with range or one_of",
        )
    return sql("NOT regexp_like(:x, :pattern)", x=column(name), pattern=f"^({check.pattern})$")


def _one_of(work: Work, number: int, check: words.OneOf) -> exp.Expr:
    name = _find(work, number, check.column)
    kind, at = work.pipe.columns[name].type, f"checks.{number}.values"
    known = [literal(value, kind, at=at) for value in check.values]
    return exp.not_(exp.In(this=column(name), expressions=known))


def _reference(work: Work, number: int, check: words.Reference) -> exp.Expr:
    name = _find(work, number, check.column)
    other = TableName.parse(check.table)
    known = exp.select(column(check.to)).from_(exp.table_(other.name, db=other.layer, quoted=True))
    known = known.where(sql(":y IS NOT NULL", y=column(check.to)))
    return exp.and_(sql(":x IS NOT NULL", x=column(name)), exp.not_(exp.In(this=column(name), query=known.subquery())))


_WRONG: Mapping[type, Callable[[Work, int, Any], exp.Expr]] = {
    words.NotNull: _not_null,
    words.Unique: _unique,
    words.Range: _range,
    words.Pattern: _pattern,
    words.OneOf: _one_of,
    words.Reference: _reference,
}
