"""Texts read as numbers, dates and booleans, strictly, so that every engine reads the same.

A regular expression decides what is read at all; a cast then sees nothing but the one spelling that all engines know.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from sqlglot import exp

from servicetsunami.operations.transforms.dates import MONTHS, DateFormat
from servicetsunami.operations.transforms.sqltree import cast, sql, try_cast
from servicetsunami.sdk import ConfigError

_WHOLE = "^[+-]?[0-9]+$"
_NUMBER = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)$"
_FLOAT = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"
_PATTERNS = {"int": _WHOLE, "bigint": _WHOLE, "double": _FLOAT}
_CURRENCY = "([€$£¥₹]|[A-Z]{3})"
_TRUE, _FALSE = ("t", "true", "y", "yes", "1"), ("f", "false", "n", "no", "0")
_STRICT_DATES = ("yyyy-MM-dd",)
_STRICT_TIMES = tuple(
    f"yyyy-MM-dd{between}HH:mm:ss{fraction}{zone}"
    for between in (" ", "'T'")
    for fraction in ("", ".SSS", ".SSSSSS")
    for zone in ("", "'Z'")
)


def strictly(value: exp.Expr, kind: str) -> exp.Expr:
    """Read a text as SQL writes the type: 12.50, 2026-01-31, true. Outer spaces do not matter."""
    text = sql("trim(:x)", x=value)
    if kind == "boolean":
        return _boolean(text)
    if kind == "date":
        return as_date(text, _STRICT_DATES, kind)
    if kind == "timestamp":
        return as_date(text, (*_STRICT_DATES, *_STRICT_TIMES), kind)
    return _matching(text, _PATTERNS.get(kind, _NUMBER), try_cast(text, kind))


def as_number(value: exp.Expr, decimal_mark: str, kind: str) -> exp.Expr:
    """Read a text with thousands marks, and a currency before or behind its number; 5k, 5% and (5) are no numbers."""
    groups = f"[ '_{',' if decimal_mark == '.' else '.'}]"
    digits = f"([0-9]{{1,3}}({groups}[0-9]{{3}})+|[0-9]+)?([{decimal_mark}][0-9]*)?"
    shape = f"^({_CURRENCY} ?)?[+-]?{digits}( ?{_CURRENCY})?$"
    bare = sql("regexp_replace(trim(:x), :noise, '')", x=value, noise=f"[^0-9+{decimal_mark}-]")
    if decimal_mark == ",":
        bare = sql("replace(:x, ',', '.')", x=bare)
    return _matching(sql("trim(:x)", x=value), shape, _plain_number(bare, kind))


def _plain_number(text: exp.Expr, kind: str) -> exp.Expr:
    return _matching(text, _PATTERNS.get(kind, _NUMBER), try_cast(text, kind))


def as_date(value: exp.Expr, formats: Sequence[str], kind: str) -> exp.Expr:
    """Read a text by the first format that fits it."""
    text = sql("trim(:x)", x=value)
    branches = exp.Case()
    for one in (DateFormat.of(form) for form in formats):
        iso = _iso_date(text, one) if kind == "date" else _iso_time(text, one)
        branches = branches.when(sql("regexp_like(:x, :pattern)", x=text, pattern=one.pattern), iso)
    return try_cast(branches, kind)


def _iso_date(text: exp.Expr, form: DateFormat) -> exp.Expr:
    return sql(
        "concat(:year, '-', :month, '-', :day)",
        year=_year(text, form),
        month=_month(text, form),
        day=_two_digits(text, form, "day"),
    )


def _iso_time(text: exp.Expr, form: DateFormat) -> exp.Expr:
    whole = sql(
        "concat(:date, ' ', :hour, ':', :minute, ':', :second)",
        date=_iso_date(text, form),
        hour=_two_digits(text, form, "hour"),
        minute=_two_digits(text, form, "minute"),
        second=_two_digits(text, form, "second"),
    )
    if "fraction" not in form.groups:
        return whole
    return sql("concat(:whole, '.', :fraction)", whole=whole, fraction=_group(text, form, "fraction"))


def _year(text: exp.Expr, form: DateFormat) -> exp.Expr:
    if "year" in form.groups:
        return _group(text, form, "year")
    return sql("concat('20', :year)", year=_group(text, form, "short_year"))


def _month(text: exp.Expr, form: DateFormat) -> exp.Expr:
    if "month" in form.groups:
        return _two_digits(text, form, "month")
    name = sql("lower(:x)", x=_group(text, form, "month_name"))
    numbers = exp.Case(this=name)
    for number, month in enumerate(MONTHS, start=1):
        numbers = numbers.when(exp.Literal.string(month), exp.Literal.string(f"{number:02}"))
    return sql("coalesce(:number, '00')", number=numbers)


def _two_digits(text: exp.Expr, form: DateFormat, field: str) -> exp.Expr:
    if field not in form.groups:
        return exp.Literal.string("00")
    return sql("lpad(:x, 2, '0')", x=_group(text, form, field))


def _group(text: exp.Expr, form: DateFormat, field: str) -> exp.Expr:
    return sql("regexp_extract(:x, :pattern, :n)", x=text, pattern=form.pattern, n=form.groups[field])


def _boolean(text: exp.Expr) -> exp.Expr:
    said = sql("lower(:x)", x=text)
    branches = exp.Case()
    for words, value in ((_TRUE, exp.true()), (_FALSE, exp.false())):
        branches = branches.when(exp.In(this=said, expressions=[exp.Literal.string(word) for word in words]), value)
    return branches


def _matching(text: exp.Expr, pattern: str, read: exp.Expr) -> exp.Expr:
    return sql("CASE WHEN regexp_like(:x, :pattern) THEN :read END", x=text, pattern=pattern, read=read)


def literal(value: bool | float | str, kind: str, *, at: str) -> exp.Expr:
    """Write a value as a literal of a column's type; raises `ConfigError` (`bad_value`) where it is none."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    base = kind.partition("(")[0]
    if base == "string":
        return exp.Literal.string(text)
    if base in ("int", "bigint", "smallint", "tinyint", "double", "float", "decimal"):
        _check_number(text, kind, at)
    elif base not in ("boolean", "date", "timestamp", "timestamp_ntz"):
        raise _bad_value(text, kind, at)
    return cast(exp.Literal.string(text), kind)


def _check_number(text: str, kind: str, at: str) -> None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise _bad_value(text, kind, at) from None
    whole = kind in ("int", "bigint", "smallint", "tinyint")
    if not number.is_finite() or (whole and number != number.to_integral_value()):
        raise _bad_value(text, kind, at)


def _bad_value(text: str, kind: str, at: str) -> ConfigError:
    return ConfigError(
        f"{text[:40]!r} is no value of a column of type {kind[:40]}",
        code="bad_value",
        field=at,
        fix="give a value as the column holds them",
    )
