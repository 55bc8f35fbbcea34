"""Rewrites a typed query, node by node from the leaves up, until DuckDB answers it as Databricks would."""

from __future__ import annotations

from collections.abc import Callable
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
    """Refuse to compare text with what is not, unless one side is a literal that both engines read alike."""
    for one, other in ((node.this, node.expression), (node.expression, node.this)):
        literal = isinstance(one, exp.Literal)
        if is_text(one) and not literal and kind_of(other) is not None and not is_text(other) and not _is_null(other):
            raise unsupported("a comparison of text with another type", "cast one side explicitly")


def _is_null(node: Any) -> bool:
    return kind_of(node) is exp.DType.NULL


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
