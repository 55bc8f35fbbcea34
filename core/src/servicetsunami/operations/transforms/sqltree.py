"""Pieces of Databricks SQL as trees. Names and values enter them as nodes, never as text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from servicetsunami.sdk import ConfigError
from servicetsunami.sdk.sql.databricks_dialect import GuardedDatabricks


def sql(template: str, **parts: exp.Expr | str | int) -> exp.Expr:
    """Return a constant piece of SQL with its `:names` replaced by nodes; texts and numbers become literals."""
    tree = _parsed(template).copy()
    root = exp.Paren(this=tree)
    for place in list(root.find_all(exp.Placeholder)):
        part = parts[place.name]
        place.replace(part.copy() if isinstance(part, exp.Expr) else exp.convert(part))
    made: exp.Expr = root.this.copy()
    return made


@lru_cache(maxsize=256)
def _parsed(template: str) -> exp.Expr:
    return parse_one(template, dialect=GuardedDatabricks)


def column(name: str) -> exp.Column:
    """Name a column."""
    return exp.column(exp.to_identifier(name, quoted=True))


def aliased(value: exp.Expr, name: str) -> exp.Expr:
    """Name a value; a column that has the name already stays as it is."""
    if isinstance(value, exp.Column) and value.name == name:
        return value.copy()
    return exp.alias_(value.copy(), exp.to_identifier(name, quoted=True))


def try_cast(value: exp.Expr, kind: str) -> exp.Expr:
    """Read a value as a type, null where it cannot be."""
    return exp.TryCast(this=value.copy(), to=exp.DataType.build(kind, dialect="databricks"))


def cast(value: exp.Expr, kind: str) -> exp.Expr:
    """Change a value's type."""
    return exp.Cast(this=value.copy(), to=exp.DataType.build(kind, dialect="databricks"))


def expression(text: str, field: str) -> exp.Expr:
    """Read an expression that a person or a model wrote; what may be in it the guard decides on the whole query."""
    try:
        tree: Any = parse_one(text, dialect=GuardedDatabricks)
    except (SqlglotError, ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as error:
        raise _bad(text, field) from error
    if isinstance(tree, exp.Query | exp.Command | exp.DML | exp.DDL) or not isinstance(tree, exp.Expr):
        raise _bad(text, field)
    return exp.Paren(this=tree)


def _bad(text: str, field: str) -> ConfigError:
    return ConfigError(
        f"{text[:80]!r} is not an expression in Databricks SQL",
        code="bad_expression",
        field=field,
        fix="write one expression over the table's columns, such as lower(email) or amount > 0",
    )
