"""One statement: read, told apart, run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import duckdb
from sqlglot import exp

from servicetsunami_lookalike.sql import altering, changing, commands, defining
from servicetsunami_lookalike.sql.errors import unsupported
from servicetsunami_lookalike.sql.merging import merge
from servicetsunami_lookalike.sql.queries import parsed, run_query
from servicetsunami_lookalike.sql.session import Answer, Parameter, Session, nothing
from servicetsunami_lookalike.sql.temporary import create_temporary, drop_temporary, expanded, is_temporary

_EVOLVING = re.compile(r"\s+WITH\s+SCHEMA\s+EVOLUTION(?=\s+INTO\s)|\bWITH\s+SCHEMA\s+EVOLUTION\b", re.IGNORECASE)
_COMMENTS = re.compile(r"\A(?:\s|--[^\n]*\n|/\*.*?\*/)+", re.DOTALL)

Step = Callable[[Session, Any, duckdb.DuckDBPyConnection], Answer]
_STEPS: dict[type, Step] = {
    exp.Create: defining.create,
    exp.Drop: defining.drop,
    exp.TruncateTable: defining.truncate,
    exp.Alter: altering.alter,
    exp.Comment: lambda session, tree, _cursor: altering.comment(session, tree),
    exp.Insert: changing.insert,
    exp.Update: changing.update,
    exp.Delete: changing.delete,
    exp.Merge: merge,
}


def run(session: Session, text: str, parameters: Sequence[Parameter], cursor: duckdb.DuckDBPyConnection) -> Answer:
    """Run one statement in Databricks SQL; raises `SqlError`. Another thread may interrupt it through `cursor`."""
    statement = _COMMENTS.sub("", text).strip().rstrip(";").strip()
    if commands.copies(statement):
        with session.catalogs.lock:
            return commands.copy(session, statement, cursor)
    command = commands.find_command(statement)
    if command is not None:
        with session.catalogs.lock:
            return command[0].run(session, command[1])
    if re.match(r"MERGE\b", statement, re.IGNORECASE) and _EVOLVING.search(statement):
        tree: Any = parsed(_EVOLVING.sub(" ", statement, count=1), parameters)
        with session.catalogs.lock:
            return merge(session, tree, cursor, evolving=True)
    return _run_tree(session, parsed(statement, parameters), cursor)


def _run_tree(session: Session, statement: exp.Expr, cursor: duckdb.DuckDBPyConnection) -> Answer:
    if isinstance(statement, exp.Create) and is_temporary(statement):
        return create_temporary(session, statement)
    if drop_temporary(session, statement):
        return nothing()
    tree = expanded(session, statement)
    if isinstance(tree, exp.Query):
        return run_query(session, tree, cursor)
    step = _STEPS.get(type(tree))
    if step is None:
        raise unsupported(f"a statement of kind {type(tree).__name__}")
    with session.catalogs.lock:
        return step(session, tree, cursor)
