"""ALTER TABLE and COMMENT ON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
from sqlglot import exp

from servicetsunami.sdk.delta import Column, WidensError, unify
from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_lookalike.sql.catalogs import Table
from servicetsunami_lookalike.sql.defining import columns_sql, comments_of
from servicetsunami_lookalike.sql.duck import Name, quoted
from servicetsunami_lookalike.sql.errors import SqlError, unsupported
from servicetsunami_lookalike.sql.queries import explained
from servicetsunami_lookalike.sql.session import Answer, Session, nothing

_WIDENING = "delta.enableTypeWidening"


def alter(session: Session, tree: exp.Alter, cursor: duckdb.DuckDBPyConnection) -> Answer:
    """Carry out the actions of an ALTER TABLE."""
    name = session.name_of(tree.this)
    table = session.catalogs.table(name)
    session.require("MODIFY", name)
    for action in tree.args["actions"]:
        step = next((step for kind, step in _ACTIONS.items() if isinstance(action, kind)), None)
        if step is None:
            raise unsupported(f"ALTER TABLE … {action.sql(dialect='databricks')[:60]}")
        with explained():
            step(session, name, table, action, cursor)
    return nothing()


def comment(session: Session, tree: exp.Comment) -> Answer:
    """Set the comment of a table or a column."""
    text = tree.expression.name
    kind = str(tree.args["kind"]).upper()
    if kind == "TABLE":
        name = session.name_of(tree.this)
        session.require("MODIFY", name)
        session.catalogs.table(name).comment = text
        return nothing()
    raise unsupported(f"COMMENT ON {kind}")


def _add_columns(session: Session, name: Name, table: Table, action: Any, cursor: duckdb.DuckDBPyConnection) -> None:
    definitions = action.expressions if isinstance(action, exp.Schema) else [action]
    known = {column.name.casefold() for column in session.catalogs.columns(name)}
    for one in definitions:
        if one.name.casefold() in known:
            raise SqlError("FIELDS_ALREADY_EXISTS", f"Cannot add column, because {one.name} already exists.", "42710")
    for one in definitions:
        cursor.execute(f"ALTER TABLE {quoted(name)} ADD COLUMN {columns_sql([one])}")
    table.column_comments.update(comments_of(definitions))
    table.record("ADD COLUMNS")


def _alter_column(session: Session, name: Name, table: Table, action: Any, cursor: duckdb.DuckDBPyConnection) -> None:
    column = _column(session, name, action.this.name)
    where = f"ALTER TABLE {quoted(name)} ALTER COLUMN {quote_identifier(column.name, 'duckdb')}"
    if action.args.get("comment"):
        table.column_comments[column.name.casefold()] = action.args["comment"].name
    elif action.args.get("dtype"):
        kind = action.args["dtype"]
        _check_wider(table, column, kind)
        cursor.execute(f"{where} TYPE {kind.sql(dialect='duckdb')}")
    elif action.args.get("drop"):
        cursor.execute(f"{where} DROP NOT NULL")
    else:
        raise unsupported("this change of a column")
    table.record("CHANGE COLUMN")


def _check_wider(table: Table, column: Column, kind: exp.DataType) -> None:
    """Refuse a type that Delta does not widen to, or without the table property that allows it."""
    wanted = _delta(kind)
    try:
        fits = table.properties.get(_WIDENING) == "true" and unify(column.type, wanted, widen=True, add=True) == wanted
    except WidensError:
        fits = False
    if not fits:
        text = (
            f"ALTER TABLE CHANGE COLUMN is not supported for changing column {column.name} to {kind.sql('databricks')}."
        )
        raise SqlError("DELTA_UNSUPPORTED_ALTER_TABLE_CHANGE_COL_OP", text, "0AKDC")


def _delta(kind: exp.DataType) -> str:
    written = kind.sql(dialect="databricks").casefold().replace(" ", "")
    names = {"bigint": "long", "int": "integer", "smallint": "short", "tinyint": "byte"}
    return names.get(written, written)


def _set(_session: Session, _name: Name, table: Table, action: Any, _cursor: duckdb.DuckDBPyConnection) -> None:
    text = action.sql(dialect="databricks")
    target = table.tags if text.upper().startswith("SET TAGS") else table.properties
    pairs = {one.this.name: one.args["value"].name for one in action.find_all(exp.Property)}
    pairs |= {one.this.name: one.expression.name for one in action.find_all(exp.EQ)}
    if not pairs:
        raise unsupported(f"ALTER TABLE … {text[:60]}")
    target.update(pairs)


def _cluster(_session: Session, _name: Name, table: Table, action: Any, _cursor: duckdb.DuckDBPyConnection) -> None:
    table.clustered_by = tuple(column.name for column in action.expressions)


def _constrain(_session: Session, _name: Name, table: Table, action: Any, _cursor: duckdb.DuckDBPyConnection) -> None:
    key = action.find(exp.PrimaryKey)
    if key is None:
        raise unsupported("a constraint that is no primary key")
    table.primary_key = tuple(column.name for column in key.expressions)


def _drop_column(session: Session, name: Name, table: Table, action: Any, cursor: duckdb.DuckDBPyConnection) -> None:
    if str(action.args.get("kind", "")).upper() != "COLUMN":
        raise unsupported("dropping this of a table")
    column = _column(session, name, action.this.name)
    target = quoted(name)
    cursor.execute(f"ALTER TABLE {target} DROP COLUMN {quote_identifier(column.name, 'duckdb')}")
    table.record("DROP COLUMNS")


def _column(session: Session, name: Name, wanted: str) -> Column:
    for column in session.catalogs.columns(name):
        if column.name.casefold() == wanted.casefold():
            return column
    raise SqlError("UNRESOLVED_COLUMN", f"A column with name `{wanted}` cannot be resolved.", "42703")


_ACTIONS: dict[type, Callable[[Session, Name, Table, Any, duckdb.DuckDBPyConnection], None]] = {
    exp.Schema: _add_columns,
    exp.ColumnDef: _add_columns,
    exp.AlterColumn: _alter_column,
    exp.AlterSet: _set,
    exp.ClusterProperty: _cluster,
    exp.AddConstraint: _constrain,
    exp.Drop: _drop_column,
}
