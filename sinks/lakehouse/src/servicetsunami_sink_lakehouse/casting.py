"""Casts with Databricks' meaning: no rounding on the way to whole numbers, no text that only DuckDB can read."""

from __future__ import annotations

from sqlglot import exp

from servicetsunami_sink_lakehouse.building import call, cast
from servicetsunami_sink_lakehouse.refusals import unsupported
from servicetsunami_sink_lakehouse.spark_types import FLOATS, WHOLE, kind_of

_TEXT = (exp.DType.TEXT, exp.DType.VARCHAR, exp.DType.CHAR)
_TIMES = (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ, exp.DType.TIMESTAMPLTZ, exp.DType.TIMESTAMPNTZ)
_DATES = (exp.DType.DATE, *_TIMES)
_DUCKDB = {
    exp.DType.TIMESTAMP: "TIMESTAMPTZ",
    exp.DType.TIMESTAMPTZ: "TIMESTAMPTZ",
    exp.DType.TIMESTAMPLTZ: "TIMESTAMPTZ",
    exp.DType.TIMESTAMPNTZ: "TIMESTAMP",
}
_FROM_TEXT = {
    **dict.fromkeys(WHOLE, "whole"),
    **dict.fromkeys((*FLOATS, exp.DType.DECIMAL), "number"),
    exp.DType.DATE: "date",
    **dict.fromkeys(_TIMES, "time"),
    exp.DType.BOOLEAN: "boolean",
}
_NUMBERS = (*WHOLE, *FLOATS, exp.DType.DECIMAL)


def is_text(node: object) -> bool:
    """Tell whether an expression is known to be a text."""
    return kind_of(node) in _TEXT


def rewrite_cast(node: exp.Cast) -> exp.Expression:
    """Return the cast as DuckDB must be asked for it."""
    target = node.to.this
    source = kind_of(node.this)
    safe = isinstance(node, exp.TryCast)
    if source is exp.DType.NULL or (source == target and target is not exp.DType.DECIMAL):
        return _plain(node, node.this)
    if target in _TEXT:
        return as_text(node.this)
    if source in _TEXT:
        return _from_text(node, safe=safe)
    if target in WHOLE and source in (*FLOATS, exp.DType.DECIMAL):
        return _plain(node, call("trunc", node.this))
    if not _is_faithful(source, target):
        raise unsupported(f"a cast from {_name(source)} to {_name(target)}")
    return _plain(node, node.this)


def as_text(node: exp.Expression) -> exp.Expression:
    """Write a value as the text that Databricks makes of it."""
    kind = kind_of(node)
    if kind in _TEXT:
        return node
    if kind in _TIMES:
        return cast(cast(node.copy(), "TIMESTAMP"), "VARCHAR")
    if kind in (*WHOLE, exp.DType.DECIMAL, exp.DType.DATE, exp.DType.BOOLEAN, exp.DType.NULL):
        return cast(node.copy(), "VARCHAR")
    raise unsupported(f"a text made of {_name(kind)}", "cast it to DECIMAL first, or format it with round")


def _from_text(node: exp.Cast, *, safe: bool) -> exp.Expression:
    target = node.to.this
    reading = _FROM_TEXT.get(target)
    if reading is None:
        raise unsupported(f"a cast from text to {_name(target)}")
    if safe:
        return _plain(node, call(f"ts_try_{reading}", node.this))
    if reading in ("whole", "number"):
        return _plain(node, call(f"ts_{reading}", node.this, _name(target)))
    return _plain(node, call(f"ts_{reading}", node.this))


def _plain(node: exp.Cast, value: exp.Expression) -> exp.Expression:
    kind = _DUCKDB.get(node.to.this)
    to = exp.DataType.build(kind, dialect="duckdb") if kind else node.to.copy()
    if to.is_type(exp.DType.DECIMAL) and not to.expressions:
        to = exp.DataType.build("DECIMAL(10, 0)")
    return type(node)(this=value.copy(), to=to)


def _is_faithful(source: exp.DType | None, target: object) -> bool:
    if source in _NUMBERS and target in (*_NUMBERS, exp.DType.BOOLEAN):
        return True
    if source is exp.DType.BOOLEAN and target in WHOLE:
        return True
    return source in _DATES and target in _DATES


def _name(kind: object) -> str:
    return str(kind.value) if isinstance(kind, exp.DType) else "a value of unknown type"
