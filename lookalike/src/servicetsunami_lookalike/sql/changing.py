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

_TIME = r"CAST(regexp_replace({}, '\s*([+-]\d{2}):?(\d{2})$', '\1:\2') AS TIMESTAMPTZ)"


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
            fitting = rows if by_name else _with_times(session, name, columns, rows, cursor)
            (count,) = _one(cursor.execute(words("INSERT INTO", written, listed, by_name, fitting)))
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
    table.record("WRITE", numOutputRows=count)
    return changed(num_affected_rows=count, num_inserted_rows=count)


def _with_times(session: Session, name: Name, columns: list[str], rows: str, cursor: duckdb.DuckDBPyConnection) -> str:
    """Read texts that land in columns of times as Databricks does: with a zone behind a space, without its colon."""
    kinds = {column.name.casefold(): column.type for column in session.catalogs.columns(name)}
    targets = [kinds.get(one.casefold()) for one in columns] or list(kinds.values())
    sources = [row[1] for row in cursor.execute(words("DESCRIBE", rows)).fetchall()]
    places = [kind == "timestamp" and source == "VARCHAR" for kind, source in zip(targets, sources, strict=False)]
    if not any(places):
        return rows
    names = [f"c{at}" for at in range(len(sources))]
    read = [_TIME.replace("{}", one) if is_time else one for one, is_time in zip(names, places, strict=False)]
    return words("SELECT", ", ".join(read), "FROM (", rows, f") AS given({', '.join(names)})")


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
