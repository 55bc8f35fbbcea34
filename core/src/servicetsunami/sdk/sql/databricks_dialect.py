"""Databricks SQL as sqlglot reads it, but read and written without changing its meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.databricks import Databricks
from sqlglot.generators.databricks import DatabricksGenerator
from sqlglot.parsers.databricks import DatabricksParser


def _datediff(args: Sequence[exp.Expr]) -> exp.Expr:
    """Keep the two apart: datediff(end, start) counts days between dates, datediff(unit, start, end) full units."""
    if len(args) == 2:
        return exp.DateDiff(this=args[0], expression=args[1])
    unit, start, end = args
    return exp.TimestampDiff(this=end, expression=start, unit=exp.var(unit.name))


class GuardedDatabricks(Databricks):
    """sqlglot's dialect, but for what it would turn into something else."""

    class Parser(DatabricksParser):
        """Tells the two forms of datediff apart."""

        FUNCTIONS: ClassVar[dict[str, Any]] = {
            **DatabricksParser.FUNCTIONS,
            "DATEDIFF": _datediff,
            "DATE_DIFF": _datediff,
        }

    class Generator(DatabricksGenerator):
        """Keeps WITHIN GROUP, where sqlglot 30 writes the approximate percentile for an exact one."""

        TRANSFORMS: ClassVar[dict[Any, Any]] = {
            **{kind: write for kind, write in DatabricksGenerator.TRANSFORMS.items() if kind is not exp.WithinGroup},
            exp.DateDiff: lambda self, node: self.func("DATEDIFF", node.this, node.expression),
        }


def keep_meaning(tree: exp.Expr) -> None:
    """Write out what sqlglot would fill in otherwise, and drop hints, which change nothing but speed."""
    for hint in list(tree.find_all(exp.Hint)):
        hint.pop()
    for node in tree.find_all(exp.GroupConcat):
        if not node.args.get("separator"):
            node.set("separator", exp.Literal.string(""))  # sqlglot 30 would write a comma
