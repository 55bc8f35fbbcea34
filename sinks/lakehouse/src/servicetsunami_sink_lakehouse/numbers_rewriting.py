"""Arithmetic and aggregates with Databricks' digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from servicetsunami_sink_lakehouse.building import call, cast, constant_number, outermost, raw
from servicetsunami_sink_lakehouse.refusals import unsupported
from servicetsunami_sink_lakehouse.spark_types import (
    FLOATS,
    MOST_DIGITS,
    WHOLE,
    Size,
    aggregated,
    bounded,
    is_decimal,
    kind_of,
    quotient_size,
    size_of,
)

_SMALLER = "cast to a smaller DECIMAL, or to DOUBLE, first"


def as_int(node: exp.Expression) -> exp.Expression:
    """Cast to INT, the type Databricks gives to lengths, parts of dates and ranks."""
    return cast(node, "INTEGER")


def int_result(node: Any) -> None:
    """Cast what DuckDB counts as BIGINT and Databricks as INT."""
    _replaced(node, as_int)


def _replaced(node: Any, wrap: Callable[[exp.Expression], exp.Expression]) -> None:
    """Put something around a node and what belongs to it."""
    whole = outermost(node)
    if whole.parent is None:
        return
    new = wrap(whole.copy())
    new.type = node.type
    whole.replace(new)


def _sized(node: exp.Expression, size: Size) -> exp.Expression:
    return cast(node, f"DECIMAL({size[0]}, {size[1]})")


def _sum(node: exp.Sum) -> None:
    kind, size = kind_of(node), size_of(node)
    if kind is exp.DType.BIGINT:
        _replaced(node, lambda whole: cast(whole, "BIGINT"))
    elif is_decimal(node) and size:
        _replaced(node, lambda whole: _sized(whole, size))
    elif kind is not exp.DType.DOUBLE:
        raise unsupported("the sum of values whose type is not known", "cast them first")


def _average(node: exp.Avg) -> None:
    size = size_of(aggregated(node)) if is_decimal(node) else None
    if kind_of(node) is exp.DType.DOUBLE:
        return
    if size is None:
        raise unsupported("the average of values whose type is not known", "cast them first")
    total = bounded(size[0] + 10, size[1])
    target = bounded(size[0] + 4, size[1] + 4)
    whole = outermost(node)
    sums, counts = whole.copy(), whole.copy()
    new = _sized(_quotient((_with(sums, exp.Sum), total), (_with(counts, exp.Count), (20, 0))), target)
    new.type = node.type
    whole.replace(new)


def _with(whole: exp.Expression, kind: type[exp.Expression]) -> exp.Expression:
    """Put another aggregate in the place of the average."""
    average = whole.find(exp.Avg)
    if average is None:
        raise unsupported("this average")
    new = kind(this=average.this.copy())
    if average is whole:
        return new
    average.replace(new)
    return whole


def _quotient(left: tuple[exp.Expression, Size], right: tuple[exp.Expression, Size]) -> exp.Expression:
    """Divide exactly: whole numbers of the smallest unit, rounded half up to the digits Databricks has."""
    (dividend, size), (divisor, other) = left, right
    target = quotient_size(size, other)
    lift = target[1] - size[1] + other[1]
    above, below = _digits(dividend, size), _digits(divisor, other)
    if lift >= 0:
        above = exp.Mul(this=above, expression=_power(lift))
    else:
        below = exp.Mul(this=below, expression=_power(-lift))
    return _sized(call("ts_placed", call("ts_quotient", above, below), target[1]), target)


def _digits(node: exp.Expression, size: Size) -> exp.Expression:
    return call("ts_digits", _sized(node, size))


def _power(exponent: int) -> exp.Expression:
    if exponent >= MOST_DIGITS:
        raise unsupported("a division with so many digits", _SMALLER)
    return raw(f"1{'0' * exponent}::HUGEINT")


def _divide(node: exp.Div) -> exp.Expression | None:
    kind = kind_of(node)
    if kind is exp.DType.DOUBLE:
        return call("ts_ratio", node.this, node.expression)
    left, right = size_of(node.this), size_of(node.expression)
    if kind is not exp.DType.DECIMAL or left is None or right is None:
        raise unsupported("a division of values whose type is not known", "cast them to DOUBLE or DECIMAL first")
    return _quotient((node.this, left), (node.expression, right))


def _try_divide(node: exp.SafeDivide) -> exp.Expression | None:
    left, right = size_of(node.this), size_of(node.expression)
    divisor = exp.Nullif(this=node.expression.copy(), expression=exp.Literal.number(0))
    if left and right and (is_decimal(node.this) or is_decimal(node.expression)):
        return _quotient((node.this, left), (divisor, right))
    if kind_of(node.this) in (*WHOLE, *FLOATS) or isinstance(node.this, exp.Literal):
        return call("ts_ratio", node.this, divisor)
    raise unsupported("a division of values whose type is not known", "cast them to DOUBLE or DECIMAL first")


def _whole_divide(node: exp.IntDiv) -> exp.Expression:
    for side in (node.this, node.expression):
        if kind_of(side) not in WHOLE and not (isinstance(side, exp.Literal) and side.is_int):
            raise unsupported("DIV of what is not a whole number", "use / and floor")
    return cast(call("ts_div", node.this, node.expression), "BIGINT")


def _exact(node: Any) -> exp.Expression | None:
    """Give a sum or product of decimals its size; refuse where digits would be lost on the way."""
    size, left, right = size_of(node), size_of(node.this), size_of(node.expression)
    if not is_decimal(node) or size is None or left is None or right is None:
        return _wide_enough(node)
    needed = left[0] + right[0] if isinstance(node, exp.Mul) else 0
    scale = left[1] + right[1] if isinstance(node, exp.Mul) else max(left[1], right[1])
    if needed > MOST_DIGITS or scale != size[1]:
        raise unsupported("arithmetic with more than 38 digits", _SMALLER)
    kind = type(node)
    return exp.Paren(this=_sized(kind(this=node.this.copy(), expression=node.expression.copy()), size))


def _wide_enough(node: Any) -> exp.Expression | None:
    """Calculate with INT where DuckDB would stay with a smaller type because a literal fits it."""
    small = (exp.DType.TINYINT, exp.DType.SMALLINT)
    for side, other in ((node.this, node.expression), (node.expression, node.this)):
        if isinstance(side, exp.Literal) and kind_of(other) in small:
            side.replace(as_int(side.copy()))
    return None


def _round(node: exp.Round) -> exp.Expression | None:
    places = node.args.get("decimals")
    digits = constant_number(places, "round to a number of places") if places else 0
    kind, size = kind_of(node.this), size_of(node.this)
    if kind in FLOATS:
        return call("ts_round", node.this, digits)
    if kind in WHOLE:
        return cast(node.this.copy(), kind.value if kind else "BIGINT")
    if size is None or not is_decimal(node.this):
        raise unsupported("round of a value whose type is not known", "cast it first")
    scale = min(size[1], digits)
    target = bounded(size[0] - size[1] + scale + 1, scale)
    return _sized(call("round", _sized(node.this.copy(), size), digits), target)


def _to_whole(name: str) -> Callable[[Any], exp.Expression | None]:
    def step(node: Any) -> exp.Expression | None:
        kind, size = kind_of(node.this), size_of(node.this)
        if node.args.get("decimals") or node.args.get("to"):
            raise unsupported(f"{name} to a number of places", "use round")
        if kind in FLOATS:
            return cast(call(name, node.this), "BIGINT")
        if is_decimal(node.this) and size:
            return _sized(call(name, node.this), bounded(size[0] - size[1] + 1, 0))
        if kind in WHOLE:
            return cast(node.this.copy(), "BIGINT")
        raise unsupported(f"{name} of a value whose type is not known", "cast it first")

    return step


def _count_if(node: exp.CountIf) -> None:
    _replaced(node, lambda whole: cast(whole, "BIGINT"))


def _count_distinct(node: exp.ApproxDistinct) -> exp.Expression:
    """Count exactly, which is the best estimate."""
    return exp.Count(this=exp.Distinct(expressions=[node.this.copy()]))


def _median(node: exp.Median) -> exp.Expression:
    return exp.Median(this=cast(node.this.copy(), "DOUBLE"))


def _at_extreme(name: str) -> Callable[[Any], exp.Expression]:
    """Keep a null that stands beside the extreme value: DuckDB's plain arg_max passes it over."""
    return lambda node: call(name, node.this, node.expression)


def _percentile(node: exp.Quantile) -> exp.Expression:
    return call("quantile_cont", cast(node.this.copy(), "DOUBLE"), node.args["quantile"])


def _percentile_within(node: exp.WithinGroup) -> exp.Expression | None:
    if not isinstance(node.this, exp.PercentileCont):
        return None
    (ordered,) = node.expression.expressions
    share = node.this.this.copy()
    if ordered.args.get("desc"):
        share = exp.Sub(this=exp.Literal.number(1), expression=share)
    return call("quantile_cont", cast(ordered.this.copy(), "DOUBLE"), share)


def _collected(distinct: bool) -> Callable[[Any], exp.Expression | None]:
    def step(node: Any) -> exp.Expression | None:
        if outermost(node) is not node or isinstance(node.this, exp.Distinct | exp.Order):
            raise unsupported("a list that is ordered, filtered or over a window")
        value = node.this.copy()
        inner = exp.Distinct(expressions=[value.copy()]) if distinct else value
        kept = exp.Filter(
            this=call("list", inner), expression=exp.Where(this=exp.Not(this=exp.Is(this=value, expression=exp.null())))
        )
        return exp.Coalesce(this=kept, expressions=[exp.Array(expressions=[])])

    return step


STEPS: dict[type, Callable[[Any], exp.Expression | None]] = {
    exp.Sum: _sum,
    exp.Avg: _average,
    exp.Div: _divide,
    exp.SafeDivide: _try_divide,
    exp.IntDiv: _whole_divide,
    exp.Mul: _exact,
    exp.Round: _round,
    exp.Ceil: _to_whole("ceil"),
    exp.Floor: _to_whole("floor"),
    exp.CountIf: _count_if,
    exp.ApproxDistinct: _count_distinct,
    exp.Median: _median,
    exp.ArgMax: _at_extreme("arg_max_null"),
    exp.ArgMin: _at_extreme("arg_min_null"),
    exp.Quantile: _percentile,
    exp.WithinGroup: _percentile_within,
    exp.ArrayAgg: _collected(distinct=False),
    exp.ArrayUniqueAgg: _collected(distinct=True),
    **dict.fromkeys((exp.RowNumber, exp.Rank, exp.DenseRank, exp.Ntile), int_result),
}
exact_sum = _exact
