"""The types that Databricks gives to expressions, where they decide which digits a result has.

sqlglot knows the kind of most expressions; precision and scale of decimals are worked out here by Spark's rules
(`DecimalPrecision`, with loss of precision allowed).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

Size = tuple[int, int]
MOST_DIGITS = 38
_LEAST_SCALE = 6
_WHOLE: dict[exp.DType, Size] = {
    exp.DType.TINYINT: (3, 0),
    exp.DType.SMALLINT: (5, 0),
    exp.DType.INT: (10, 0),
    exp.DType.BIGINT: (20, 0),
}
FLOATS = (exp.DType.FLOAT, exp.DType.DOUBLE)
WHOLE = tuple(_WHOLE)


def decimal(size: Size) -> exp.DataType:
    """Return a decimal type."""
    return exp.DataType.build(f"decimal({size[0]}, {size[1]})")


def is_decimal(node: Any) -> bool:
    """Tell whether an expression is a decimal."""
    return isinstance(node, exp.Expression) and node.is_type(exp.DType.DECIMAL)


def kind_of(node: Any) -> exp.DType | None:
    """Return the kind of an expression; None if it is not known."""
    kind = node.type.this if isinstance(node, exp.Expression) and node.type is not None else None
    return kind if isinstance(kind, exp.DType) and kind is not exp.DType.UNKNOWN else None


def size_of(node: exp.Expression) -> Size | None:
    """Return precision and scale of a decimal or whole number as Spark takes it into decimal arithmetic."""
    if isinstance(node, exp.Literal) and not node.is_string:
        return _literal_size(node.name)
    kind = kind_of(node)
    if kind is exp.DType.DECIMAL and node.type is not None:
        sizes = [int(part.name) for part in node.type.expressions]
        return (sizes[0], sizes[1] if len(sizes) > 1 else 0) if sizes else (10, 0)
    return _WHOLE.get(kind) if kind else None


def quotient_size(left: Size, right: Size) -> Size:
    """Return the size of left / right."""
    scale = max(_LEAST_SCALE, left[1] + right[0] + 1)
    return bounded(left[0] - left[1] + right[1] + scale, scale)


def bounded(precision: int, scale: int) -> Size:
    """Fit a size into 38 digits, giving up decimal places, but not the last six."""
    if precision <= MOST_DIGITS:
        return precision, scale
    return MOST_DIGITS, max(MOST_DIGITS - (precision - scale), min(scale, _LEAST_SCALE))


def _literal_size(text: str) -> Size | None:
    if not text.replace(".", "", 1).isdecimal():
        return None
    whole, _, fraction = text.partition(".")
    digits = len(whole.lstrip("0"))
    return max(digits + len(fraction), 1), len(fraction)


def _sum_size(left: Size, right: Size) -> Size:
    scale = max(left[1], right[1])
    return bounded(max(left[0] - left[1], right[0] - right[1]) + scale + 1, scale)


def _product_size(left: Size, right: Size) -> Size:
    return bounded(left[0] + right[0] + 1, left[1] + right[1])


def _arithmetic(size: Callable[[Size, Size], Size]) -> dict[str, Any]:
    def annotate(annotator: Any, node: exp.Expression) -> exp.Expression:
        annotator._annotate_binary(node)
        left, right = size_of(node.this), size_of(node.expression)
        if left and right and (is_decimal(node.this) or is_decimal(node.expression)):
            annotator._set_type(node, decimal(size(left, right)))
        elif kind_of(node.this) in FLOATS or kind_of(node.expression) in FLOATS:
            annotator._set_type(node, exp.DType.DOUBLE)
        return node

    return {"annotator": annotate}


def _quotient(annotator: Any, node: exp.Div) -> exp.Div:
    left, right = size_of(node.this), size_of(node.expression)
    exact = left and right and (is_decimal(node.this) or is_decimal(node.expression))
    annotator._set_type(node, decimal(quotient_size(left, right)) if exact and left and right else _ratio(node))
    return node


def _ratio(node: exp.Div) -> exp.DType:
    """Return DOUBLE, unless an operand might be a decimal."""
    known = {*WHOLE, *FLOATS}
    kinds = (kind_of(node.this), kind_of(node.expression))
    whole_literals = [isinstance(side, exp.Literal) and side.is_int for side in (node.this, node.expression)]
    certain = all(kind in known or literal for kind, literal in zip(kinds, whole_literals, strict=True))
    return exp.DType.DOUBLE if certain or any(kind in FLOATS for kind in kinds) else exp.DType.UNKNOWN


def _sum(annotator: Any, node: Any) -> Any:
    return _aggregate(annotator, node, 10, 0)


def _average(annotator: Any, node: Any) -> Any:
    return _aggregate(annotator, node, 4, 4)


def _aggregate(annotator: Any, node: Any, digits: int, places: int) -> Any:
    value = aggregated(node)
    size = size_of(value) if is_decimal(value) or _is_fraction(value) else None
    if size:
        annotator._set_type(node, decimal(bounded(size[0] + digits, size[1] + places)))
    elif isinstance(node, exp.Sum) and (kind_of(value) in WHOLE or isinstance(value, exp.Literal)):
        annotator._set_type(node, exp.DType.BIGINT)
    elif kind_of(value) is not None:
        annotator._set_type(node, exp.DType.DOUBLE)
    return node


def aggregated(node: exp.Expression) -> exp.Expression:
    """Return what an aggregate adds up, without its DISTINCT."""
    value: exp.Expression = node.this
    return value.expressions[0] if isinstance(value, exp.Distinct) else value


def _is_fraction(node: exp.Expression) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and "." in node.name


def _literal(annotator: Any, node: exp.Literal) -> exp.Literal:
    annotator._annotate_literal(node)
    size = size_of(node) if _is_fraction(node) else None
    if size:
        annotator._set_type(node, decimal(size))
    return node


def _first_argument(annotator: Any, node: exp.Nullif) -> exp.Nullif:
    annotator._annotate_by_args(node, "this")
    return node


def _mapped(annotator: Any, node: exp.Transform) -> exp.Transform:
    """Tell what a lambda over an array sees, and what the array is that it makes."""
    kind, body = node.this.type, node.expression
    if kind is None or not kind.is_type(exp.DType.ARRAY) or not kind.expressions or not isinstance(body, exp.Lambda):
        return node
    names = {parameter.name for parameter in body.expressions[:1]}
    for part in body.this.find_all(exp.Identifier):
        if part.name in names and not isinstance(part.parent, exp.Column | exp.Dot):
            annotator._set_type(part, kind.expressions[0])
    for part in reversed(list(body.this.walk(bfs=False))):
        again = annotator.expression_metadata.get(type(part), {}).get("annotator")
        if again is not None and kind_of(part) is None:
            again(annotator, part)
    annotator._set_type(node, exp.DataType(this=exp.DType.ARRAY, expressions=[body.this.type], nested=True))
    return node


METADATA: dict[Any, Any] = {
    exp.Add: _arithmetic(_sum_size),
    exp.Sub: _arithmetic(_sum_size),
    exp.Mul: _arithmetic(_product_size),
    exp.Div: {"annotator": _quotient},
    exp.Sum: {"annotator": _sum},
    exp.Avg: {"annotator": _average},
    exp.Literal: {"annotator": _literal},
    exp.Nullif: {"annotator": _first_argument},
    exp.SplitPart: {"returns": exp.DType.TEXT},
    exp.RegexpSplit: {"returns": exp.DataType.build("array<string>", dialect="databricks")},
    exp.Transform: {"annotator": _mapped},
}
