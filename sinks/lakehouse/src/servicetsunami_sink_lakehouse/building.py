"""Small builders for DuckDB expressions."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from servicetsunami_sink_lakehouse.refusals import unsupported


def call(name: str, *arguments: Any) -> exp.Expression:
    """Call a function or macro of DuckDB by name; strings and numbers become literals."""
    return exp.Anonymous(this=name, expressions=[literal(argument) for argument in arguments])


def literal(value: Any) -> Any:
    """Write a Python text or whole number as a literal; leave expressions alone."""
    if isinstance(value, str):
        return exp.Literal.string(value)
    if isinstance(value, int):
        return exp.Literal.number(value)
    return value


def cast(node: exp.Expression, kind: str) -> exp.Cast:
    """Cast to a type named as DuckDB names it."""
    return exp.Cast(this=node, to=exp.DataType.build(kind, dialect="duckdb"))


def raw(text: str) -> exp.Expression:
    """Take a piece of DuckDB's SQL as it is: whole numbers too large for a Python literal, and constants of ours."""
    return exp.Var(this=text)


def constant_text(node: Any, what: str) -> str:
    """Return the text of a literal; refuses `what` otherwise."""
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    raise unsupported(f"{what} that is not written out", "write the text itself")


def constant_number(node: Any, what: str) -> int:
    """Return the value of a whole number; refuses `what` otherwise."""
    if isinstance(node, exp.Literal) and node.is_int:
        return int(node.this)
    raise unsupported(f"{what} that is not a plain number", "write the number itself")


def outermost(node: exp.Expression) -> exp.Expression:
    """Return the node with what belongs to it: FILTER, WITHIN GROUP, IGNORE NULLS, OVER."""
    parent = node.parent
    wrappers = (exp.Filter, exp.Window, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)
    while isinstance(parent, wrappers) and parent.this is node:
        node, parent = parent, parent.parent
    return node
