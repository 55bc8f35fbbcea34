"""Rewrites a typed query, node by node from the leaves up, until DuckDB answers it as Databricks would."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlglot import exp

from servicetsunami_sink_lakehouse import numbers_rewriting, texts_rewriting, times_rewriting
from servicetsunami_sink_lakehouse.building import call
from servicetsunami_sink_lakehouse.casting import is_text, rewrite_cast
from servicetsunami_sink_lakehouse.functions import NAMED
from servicetsunami_sink_lakehouse.refusals import unsupported
from servicetsunami_sink_lakehouse.spark_types import kind_of

Rewrite = Callable[[Any], "exp.Expression | None"]
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)


def rewrite(tree: exp.Expr) -> exp.Expr:
    """Return the tree with everything rewritten that needs to be; raises for what cannot be answered."""
    for node in reversed(list(tree.walk(bfs=False))):
        step = _STEPS.get(type(node))
        new = step(node) if step else None
        if new is not None and new is not node:
            if new.type is None:
                new.type = node.type
            node.replace(new)
    return tree


def _comparison(node: Any) -> None:
    """Refuse to compare text with what is not, but read a text that is written out by Databricks' rules."""
    for one, other in ((node.this, node.expression), (node.expression, node.this)):
        _comparable(one, other)


def _comparable(one: Any, other: Any) -> None:
    kind = kind_of(other)
    if not is_text(one) or kind is None or is_text(other) or kind is exp.DType.NULL:
        return
    if not isinstance(one, exp.Literal):
        raise unsupported("a comparison of text with another type", "cast one side explicitly")
    one.replace(rewrite_cast(exp.Cast(this=one.copy(), to=other.type.copy())))


def _membership(node: Any) -> None:
    """Check what is compared by IN and BETWEEN."""
    candidates = node.expressions if isinstance(node, exp.In) else [node.args["low"], node.args["high"]]
    for candidate in candidates:
        _comparable(candidate, node.this)
        _comparable(node.this, candidate)


def _alternatives(node: Any) -> None:
    """Refuse results that are text in one case and something else in another."""
    values = [node.args.get(name) for name in ("this", "true", "false", "default") if not _is_condition(node, name)]
    values += [branch.args["true"] for branch in node.args.get("ifs") or ()] + list(node.expressions)
    _one_kind(values)


def _is_condition(node: Any, name: str) -> bool:
    return name == "this" and isinstance(node, exp.Case | exp.If | exp.Nvl2)


def _columns(node: exp.SetOperation) -> None:
    for pair in zip(node.left.selects, node.right.selects, strict=False):
        _one_kind(pair)


def _one_kind(values: Iterable[Any]) -> None:
    typed = [value for value in values if kind_of(value) not in (None, exp.DType.NULL)]
    if any(is_text(value) for value in typed) and not all(is_text(value) for value in typed):
        raise unsupported("text and another type in one result", "cast them to one type")


def _table(node: exp.Table) -> None:
    if node.args.get("version"):
        raise unsupported("an older version of a table", "read the table as it is now")
    if isinstance(node.this, exp.Func):
        raise unsupported("a table function")


def _lateral(node: exp.Lateral) -> None:
    if node.args.get("outer"):
        raise unsupported("LATERAL VIEW OUTER", "use LATERAL VIEW, or a LEFT JOIN")
    if not isinstance(node.this, exp.Explode | exp.Subquery):
        raise unsupported("this kind of LATERAL")


def _explode(node: exp.Explode) -> None:
    if kind_of(node.this) is not exp.DType.ARRAY:
        raise unsupported("explode of what is not an array")


def _bracket(node: exp.Bracket) -> exp.Expression | None:
    kind = kind_of(node.this)
    if kind is not exp.DType.ARRAY or len(node.expressions) != 1 or node.args.get("offset"):
        raise unsupported("an element taken out of a map or with element_at", "use array[index]")
    return call("ts_at", node.this, node.expressions[0])


def _array_contains(node: Any) -> exp.Expression:
    return call("ts_contains", node.this, node.expression)


def _array_size(node: Any) -> exp.Expression:
    if kind_of(node.this) is not exp.DType.ARRAY:
        raise unsupported("the size of what is not an array")
    return numbers_rewriting.as_int(call("len", node.this))


def _array_join(node: Any) -> exp.Expression:
    if node.args.get("null"):
        raise unsupported("array_join with a text for nulls")
    return call("array_to_string", node.this, node.expression)


def _sequence(node: Any) -> exp.Expression:
    start, end, step = node.args.get("start"), node.args.get("end"), node.args.get("step")
    if step or kind_of(start) is exp.DType.DATE or is_text(start):
        raise unsupported("sequence with a step or of dates")
    return call("ts_sequence", start, end)


def _named(node: exp.Anonymous) -> exp.Expression | None:
    target = NAMED.get(node.name.casefold())
    return call(target, *node.expressions) if target else None


_STEPS: dict[type, Rewrite] = {
    **numbers_rewriting.STEPS,
    **texts_rewriting.STEPS,
    **times_rewriting.STEPS,
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys((exp.In, exp.Between), _membership),
    **dict.fromkeys((exp.Coalesce, exp.Case, exp.Nvl2, exp.Greatest, exp.Least), _alternatives),
    **dict.fromkeys((exp.Union, exp.Except, exp.Intersect), _columns),
    exp.Cast: rewrite_cast,
    exp.TryCast: rewrite_cast,
    exp.Table: _table,
    exp.Lateral: _lateral,
    exp.Explode: _explode,
    exp.Bracket: _bracket,
    exp.ArrayContains: _array_contains,
    exp.ArraySize: _array_size,
    exp.ArrayToString: _array_join,
    exp.GenerateSeries: _sequence,
    exp.Anonymous: _named,
}
