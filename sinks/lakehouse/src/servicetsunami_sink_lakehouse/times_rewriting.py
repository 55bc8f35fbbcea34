"""Dates and timestamps with Databricks' types and units."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from servicetsunami_sink_lakehouse.building import call, cast, constant_text
from servicetsunami_sink_lakehouse.casting import is_text, rewrite_cast
from servicetsunami_sink_lakehouse.numbers_rewriting import as_int, exact_sum
from servicetsunami_sink_lakehouse.refusals import unsupported
from servicetsunami_sink_lakehouse.spark_types import kind_of

_DATE = exp.DType.DATE
_TIMES = (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ, exp.DType.TIMESTAMPLTZ, exp.DType.TIMESTAMPNTZ)
_CALENDAR = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
_CLOCK = ("HOUR", "MINUTE", "SECOND")
_PARTS = ("YEAR", "QUARTER", "MONTH", "DAY", "WEEK", "HOUR", "MINUTE")
_TRUNCATED = {"YYYY": "YEAR", "YY": "YEAR", "MM": "MONTH", "MON": "MONTH"}
_TWO_DIGITS = re.compile(r"(%Y|%[mdHMS]strict|[-/.: ,])*")
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def _date(node: Any) -> exp.Expression:
    """Bring an argument to a date, as Databricks does without being asked."""
    return node.copy() if kind_of(node) is _DATE else _cast_to(node, "DATE")


def _timestamp(node: Any) -> exp.Expression:
    return _cast_to(node, "TIMESTAMP")


def _cast_to(node: Any, kind: str) -> exp.Expression:
    return rewrite_cast(exp.Cast(this=node.copy(), to=exp.DataType.build(kind, dialect="databricks")))


def _unit(node: Any) -> str:
    unit = node.args.get("unit")
    name = str(unit.name).upper().removesuffix("S") if unit is not None else "DAY"
    return _TRUNCATED.get(name, name)


def _part(name: str) -> Callable[[Any], exp.Expression]:
    def step(node: Any) -> exp.Expression:
        argument = node.this.this if isinstance(node.this, exp.TsOrDsToDate) else node.this
        return as_int(call(name, _date(argument) if is_text(argument) else argument))

    return step


def _day_of_week(node: exp.DayOfWeek) -> exp.Expression:
    return as_int(exp.Add(this=_part("dayofweek")(node), expression=exp.Literal.number(1)))


def _extract(node: exp.Extract) -> exp.Expression:
    part = str(node.this.name).upper()
    if part not in _PARTS:
        raise unsupported(f"extract of {part}", f"extract one of {', '.join(_PARTS)}")
    return as_int(call(part.lower(), node.expression))


def _to_date(node: exp.TsOrDsToDate) -> exp.Expression:
    if node.args.get("format"):
        raise unsupported("to_date with a format", "bring the text to yyyy-MM-dd first")
    return _date(node.this)


def _to_time(node: exp.TimeStrToTime) -> exp.Expression:
    return node.this.copy() if kind_of(node.this) in (_DATE, *_TIMES) else _timestamp(node.this)


def _sum(node: Any) -> exp.Expression | None:
    """Add to dates; everything else is arithmetic."""
    left, right = kind_of(node.this), kind_of(node.expression)
    if isinstance(node.expression, exp.Interval):
        return _shifted(node, left)
    if isinstance(node.this, exp.Interval) or (left in (_DATE, *_TIMES) and right in (_DATE, *_TIMES)):
        raise unsupported("an interval as a value", "use datediff or timestampdiff")
    return exact_sum(node)


def _shifted(node: Any, kind: exp.DType | None) -> exp.Expression:
    unit = _unit(node.expression)
    if kind not in (_DATE, *_TIMES) or unit not in (*_CALENDAR, *_CLOCK):
        raise unsupported("an interval added to a value that is not known to be a date or timestamp", "cast it first")
    count = node.expression.this
    amount = call(f"to_{unit.lower()}s", as_int(call("ts_whole", count, "INT") if count.is_string else count.copy()))
    operation: type[exp.Expression] = type(node)
    if kind is not _DATE:
        return operation(this=node.this.copy(), expression=amount)
    if unit in _CLOCK:
        return operation(this=cast(node.this.copy(), "TIMESTAMPTZ"), expression=amount)
    return cast(operation(this=node.this.copy(), expression=amount), "DATE")


def _interval(node: exp.Interval) -> None:
    if not isinstance(node.parent, exp.Add | exp.Sub) or node.parent.expression is not node:
        raise unsupported("an interval as a value", "add it to a date or timestamp")


def _add_days(node: exp.TsOrDsAdd) -> exp.Expression:
    return cast(exp.Add(this=exp.Paren(this=_date(node.this)), expression=as_int(node.expression.copy())), "DATE")


def _add_units(node: exp.TimestampAdd) -> exp.Expression:
    unit = _unit(node)
    if unit not in (*_CALENDAR, *_CLOCK):
        raise unsupported(f"dateadd with {unit}")
    return exp.Add(this=_timestamp(node.this), expression=call(f"to_{unit.lower()}s", as_int(node.expression.copy())))


def _days_between(node: exp.DateDiff) -> exp.Expression:
    return as_int(exp.Paren(this=exp.Sub(this=_date(node.this), expression=_date(node.expression))))


def _units_between(node: exp.TimestampDiff) -> exp.Expression:
    unit, start, end = _unit(node), _timestamp(node.expression), _timestamp(node.this)
    if unit in _MONTHS:
        return cast(call("ts_div", call("ts_months", start, end), _MONTHS[unit]), "BIGINT")
    if unit not in ("DAY", "WEEK", *_CLOCK):
        raise unsupported(f"timestampdiff with {unit}")
    return call("date_sub", unit.lower(), start, end)


def _add_months(node: exp.AddMonths) -> exp.Expression:
    return call("ts_add_months", _date(node.this), node.expression)


def _months_between(node: exp.MonthsBetween) -> exp.Expression:
    if any(kind_of(side) is not _DATE for side in (node.this, node.expression)) or node.args.get("roundoff"):
        raise unsupported("months_between of what is not a date", "cast both to DATE")
    return call("ts_months_between", node.this, node.expression)


def _last_day(node: exp.LastDay) -> exp.Expression:
    return call("last_day", _date(node.this))


def _truncated_date(node: exp.DateTrunc) -> exp.Expression:
    if kind_of(node.this) not in (_DATE, *_TIMES):
        raise unsupported("trunc of what is not a date")
    unit = _unit(node)
    if unit not in ("YEAR", "QUARTER", "MONTH", "WEEK"):
        raise unsupported(f"trunc to {unit}")
    return cast(call("date_trunc", unit.lower(), _date(node.this)), "DATE")


def _truncated_time(node: exp.TimestampTrunc) -> exp.Expression:
    unit = _unit(node)
    if unit not in (*_CALENDAR, *_CLOCK):
        raise unsupported(f"date_trunc to {unit}")
    return call("date_trunc", unit.lower(), _timestamp(node.this))


def _formatted(node: exp.TimeToStr) -> exp.Expression:
    # sqlglot marks the two-digit forms, which both engines write alike.
    form = constant_text(node.args.get("format"), "a format")
    if not _TWO_DIGITS.fullmatch(form):
        raise unsupported("this format of a date", "use yyyy, MM, dd, HH, mm and ss")
    value = node.this.this if isinstance(node.this, exp.TimeStrToTime) else node.this
    return call("strftime", cast(_to_naive(value), "TIMESTAMP"), form.replace("strict", ""))


def _to_naive(value: Any) -> exp.Expression:
    return _timestamp(value) if is_text(value) else value.copy()


def _today(_: exp.CurrentDate) -> exp.Expression:
    return cast(call("get_current_timestamp"), "DATE")


STEPS: dict[type, Callable[[Any], exp.Expression | None]] = {
    exp.Add: _sum,
    exp.Sub: _sum,
    exp.Interval: _interval,
    exp.Year: _part("year"),
    exp.Month: _part("month"),
    exp.Day: _part("day"),
    exp.DayOfMonth: _part("day"),
    exp.DayOfYear: _part("dayofyear"),
    exp.Quarter: _part("quarter"),
    exp.WeekOfYear: _part("weekofyear"),
    exp.Hour: _part("hour"),
    exp.Minute: _part("minute"),
    exp.DayOfWeek: _day_of_week,
    exp.Extract: _extract,
    exp.TsOrDsToDate: _to_date,
    exp.TimeStrToTime: _to_time,
    exp.TsOrDsAdd: _add_days,
    exp.TimestampAdd: _add_units,
    exp.DateDiff: _days_between,
    exp.TimestampDiff: _units_between,
    exp.AddMonths: _add_months,
    exp.MonthsBetween: _months_between,
    exp.LastDay: _last_day,
    exp.DateTrunc: _truncated_date,
    exp.TimestampTrunc: _truncated_time,
    exp.TimeToStr: _formatted,
    exp.CurrentDate: _today,
}
