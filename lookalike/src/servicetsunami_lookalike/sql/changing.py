"""INSERT, UPDATE and DELETE."""

from __future__ import annotations

from typing import Any

import duckdb
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.scope import traverse_scope

from servicetsunami.sdk import ConfigError
from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_lookalike.sql.duck import Name, quoted, words
from servicetsunami_lookalike.sql.errors import SqlError, unsupported
from servicetsunami_lookalike.sql.queries import explained, translated
from servicetsunami_lookalike.sql.session import Answer, Session, changed
from servicetsunami_sink_lakehouse.rewriting import rewrite


def insert(session: Session, tree: exp.Insert, cursor: duckdb.DuckDBPyConnection) -> Answer:
    """Add rows; with OVERWRITE in place of those there are."""
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    name = session.name_of(target)
    table = session.catalogs.table(name)
    session.require("MODIFY", name)
    columns = [one.name for one in tree.this.expressions] if isinstance(tree.this, exp.Schema) else []
    query = tree.expression
    if isinstance(query, exp.Values):
        query = exp.select("*").from_(query)
    if not isinstance(query, exp.Query):
        raise unsupported("this form of INSERT")
    written = quoted(name)
    listed = f"({', '.join(quote_identifier(column, 'duckdb') for column in columns)})" if columns else ""
    by_name = "BY NAME" if tree.args.get("by_name") else ""
    with translated(session, query) as rows, explained():
        cursor.execute("BEGIN")
        try:
            if tree.args.get("overwrite"):
                cursor.execute(words("DELETE FROM", written))
            (count,) = _one(cursor.execute(words("INSERT INTO", written, listed, by_name, rows)))
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
    table.record("WRITE", numOutputRows=count)
    return changed(num_affected_rows=count, num_inserted_rows=count)


def update(session: Session, tree: exp.Update, cursor: duckdb.DuckDBPyConnection) -> Answer:
    """Change rows."""
    name = session.name_of(tree.this)
    session.require("MODIFY", name)
    text = written_in_duckdb(session, tree, name)
    with explained():
        (count,) = _one(cursor.execute(text))
    session.catalogs.table(name).record("UPDATE", numUpdatedRows=count)
    return changed(num_affected_rows=count)


def delete(session: Session, tree: exp.Delete, cursor: duckdb.DuckDBPyConnection) -> Answer:
    """Remove rows."""
    name = session.name_of(tree.this)
    session.require("MODIFY", name)
    text = written_in_duckdb(session, tree, name)
    with explained():
        (count,) = _one(cursor.execute(text))
    session.catalogs.table(name).record("DELETE", numDeletedRows=count)
    return changed(num_affected_rows=count)


def written_in_duckdb(session: Session, tree: exp.Expr, target: Name) -> str:
    """Write a statement that changes a table in DuckDB's SQL, its tables by their full names."""
    for query in [one for one in tree.find_all(exp.Query) if one.parent_select is None]:
        for scope in traverse_scope(query):
            for source in scope.sources.values():
                if isinstance(source, exp.Table):
                    full_name(session, source)
    _set_name(tree.this, target)
    try:
        typed: Any = annotate_types(tree, dialect="databricks")
        return rewrite(typed).sql(dialect="duckdb", identify=True)
    except ConfigError as error:
        raise unsupported(str(error)) from error


def full_name(session: Session, table: exp.Table) -> None:
    """Give a table that is read its full name, if it may be read."""
    name = session.name_of(table)
    session.catalogs.table(name)
    session.require("SELECT", name)
    if not table.alias:
        table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
    _set_name(table, name)


def _set_name(table: exp.Expr, name: Name) -> None:
    for part, value in zip(("catalog", "db", "this"), name, strict=True):
        table.set(part, exp.to_identifier(value, quoted=True))


def _one(cursor: duckdb.DuckDBPyConnection) -> tuple[int]:
    row = cursor.fetchone()
    if row is None:
        raise SqlError("INTERNAL_ERROR.LOOKALIKE", "A change gave no count.")
    return (int(row[0]),)
