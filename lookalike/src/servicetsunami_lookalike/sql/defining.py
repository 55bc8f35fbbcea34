"""CREATE, DROP and TRUNCATE of tables, views and schemas."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
from sqlglot import exp

from servicetsunami.sdk.sql import quote_identifier
from servicetsunami.sdk.sql.databricks_dialect import GuardedDatabricks
from servicetsunami_lookalike.sql.catalogs import Table
from servicetsunami_lookalike.sql.duck import Name, quoted, words
from servicetsunami_lookalike.sql.errors import SqlError, unsupported
from servicetsunami_lookalike.sql.queries import explained, translated
from servicetsunami_lookalike.sql.session import Answer, Session, changed, nothing


def create(session: Session, tree: exp.Create, cursor: duckdb.DuckDBPyConnection) -> Answer:
    """Make a table, a view or a schema."""
    kind = str(tree.args["kind"]).upper()
    if kind == "SCHEMA":
        return _create_schema(session, tree)
    if kind not in ("TABLE", "VIEW"):
        raise unsupported(f"CREATE {kind}")
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    name = session.name_of(target)
    session.require_schema("CREATE TABLE", *name[:2])
    taken = session.catalogs.schema(*name[:2]).tables.get(name[2])
    if taken is not None and tree.args.get("exists"):
        return nothing()
    if taken is not None and (not tree.args.get("replace") or bool(taken.definition) != (kind == "VIEW")):
        text = f"Cannot create table or view {'.'.join(name)} because it already exists."
        raise SqlError("TABLE_OR_VIEW_ALREADY_EXISTS", text, "42P07")
    return _create_view(session, tree, name, cursor) if kind == "VIEW" else _create_table(session, tree, name, cursor)


def drop(session: Session, tree: exp.Drop, cursor: duckdb.DuckDBPyConnection) -> Answer:
    """Remove a table, a view or a schema."""
    kind = str(tree.args["kind"]).upper()
    if kind == "SCHEMA":
        return _drop_schema(session, tree)
    if kind not in ("TABLE", "VIEW"):
        raise unsupported(f"DROP {kind}")
    name = session.name_of(tree.args["tables"][0])
    tables = session.catalogs.schema(*name[:2]).tables
    if name[2] not in tables and tree.args.get("exists"):
        return nothing()
    table = session.catalogs.table(name)
    session.require("MANAGE", name)
    if bool(table.definition) != (kind == "VIEW"):
        raise SqlError("EXPECT_TABLE_NOT_VIEW", f"'{'.'.join(name)}' is not a {kind.lower()}.", "42809")
    cursor.execute(f"DROP {kind} {quoted(name)}")
    del tables[name[2]]
    session.catalogs.grants.forget(".".join(name))
    return nothing()


def truncate(session: Session, tree: exp.TruncateTable, cursor: duckdb.DuckDBPyConnection) -> Answer:
    """Remove all rows of a table."""
    name = session.name_of(tree.expressions[0])
    session.require("MODIFY", name)
    table, rows = session.catalogs.table(name), session.catalogs.count(name)
    cursor.execute(words("DELETE FROM", quoted(name)))
    table.record("TRUNCATE", numDeletedRows=rows)
    return changed(num_affected_rows=rows)


def columns_sql(definitions: Sequence[exp.Expr]) -> str:
    """Write columns in DuckDB's SQL: names, types, and whether they may be null."""
    return ", ".join(_column(one) for one in definitions if isinstance(one, exp.ColumnDef))


def comments_of(definitions: Sequence[exp.Expr]) -> dict[str, str]:
    """Return the comments of columns, by name in lower case."""
    found = {one.name.casefold(): one.find(exp.CommentColumnConstraint) for one in definitions}
    return {name: comment.this.name for name, comment in found.items() if comment is not None}


def _column(definition: exp.ColumnDef) -> str:
    kind = definition.args["kind"]
    required = any(isinstance(one.kind, exp.NotNullColumnConstraint) for one in definition.constraints)
    written = kind.sql(dialect="duckdb", identify=True)
    return f"{quote_identifier(definition.name, 'duckdb')} {written}{' NOT NULL' if required else ''}"


def _create_table(session: Session, tree: exp.Create, name: Name, cursor: duckdb.DuckDBPyConnection) -> Answer:
    definitions = tree.this.expressions if isinstance(tree.this, exp.Schema) else []
    table = Table(session.principal.name, column_comments=comments_of(definitions))
    _describe(tree, table)
    table.primary_key = tuple(
        column.name for one in definitions for key in one.find_all(exp.PrimaryKey) for column in key.expressions
    )
    former = session.catalogs.schema(*name[:2]).tables.get(name[2])
    if former is not None:
        table.history, table.id, table.owner, table.tags = former.history, former.id, former.owner, former.tags
    how = "CREATE OR REPLACE TABLE" if tree.args.get("replace") else "CREATE TABLE"
    if tree.expression is None:
        with explained():
            cursor.execute(f"{how} {quoted(name)} ({columns_sql(definitions)})")
        table.record(how)
    else:
        with translated(session, tree.expression) as query, explained():
            cursor.execute(f"{how} {quoted(name)} AS {query}")
    session.catalogs.schema(*name[:2]).tables[name[2]] = table
    if tree.expression is not None:
        table.record(f"{how} AS SELECT", numOutputRows=session.catalogs.count(name))
    return nothing()


def _create_view(session: Session, tree: exp.Create, name: Name, cursor: duckdb.DuckDBPyConnection) -> Answer:
    if isinstance(tree.this, exp.Schema):
        raise unsupported("a list of columns in CREATE VIEW")
    definition = tree.expression.sql(dialect=GuardedDatabricks)
    if any(session.name_of(one) == name for one in tree.expression.find_all(exp.Table)):
        text = f"Recursive view {'.'.join(name)} detected."
        raise SqlError("RECURSIVE_VIEW", text, "42K0H")
    view = Table(session.principal.name, definition)
    _describe(tree, view)
    with translated(session, tree.expression) as query, explained():
        cursor.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS {query}")
    view.record("CREATE VIEW")
    session.catalogs.schema(*name[:2]).tables[name[2]] = view
    return nothing()


def _describe(tree: exp.Create, table: Table) -> None:
    """Take comment, properties and clustering from a CREATE; refuse a place for the files."""
    for one in tree.args["properties"].expressions if tree.args.get("properties") else ():
        if isinstance(one, exp.SchemaCommentProperty):
            table.comment = one.this.name
        elif isinstance(one, exp.LocationProperty):
            _refuse_location(one.this.name)
        elif isinstance(one, exp.ClusterProperty):
            table.clustered_by = tuple(column.name for column in one.expressions)
        elif type(one) is exp.Property:
            table.properties[one.this.name] = one.args["value"].name
        elif not isinstance(one, exp.FileFormatProperty) or one.this.name.upper() != "DELTA":
            raise unsupported(f"{type(one).__name__} of a table")


def _refuse_location(path: str) -> None:
    if path.startswith(("/Volumes/", "dbfs:/Volumes/")):
        text = f"The location '{path}' overlaps with managed storage."
        raise SqlError("LOCATION_OVERLAP", text, "22KD1")
    raise unsupported("external tables")


def _create_schema(session: Session, tree: exp.Create) -> Answer:
    catalog, schema = _schema_name(session, tree.this)
    owners = (session.catalogs.catalog(catalog).owner,)
    session.catalogs.grants.require(session.principal, "CREATE SCHEMA", catalog, owners=owners)
    if schema in session.catalogs.catalog(catalog).schemas:
        if tree.args.get("exists"):
            return nothing()
        raise SqlError("SCHEMA_ALREADY_EXISTS", f"Cannot create schema {schema} because it already exists.", "42P06")
    described = Table("")
    _describe(tree, described)
    session.catalogs.add_schema(catalog, schema, session.principal.name, described.comment)
    return nothing()


def _drop_schema(session: Session, tree: exp.Drop) -> Answer:
    catalog, schema = _schema_name(session, tree.args["tables"][0])
    if schema not in session.catalogs.catalog(catalog).schemas and tree.args.get("exists"):
        return nothing()
    found = session.catalogs.schema(catalog, schema)
    session.require_schema("MANAGE", catalog, schema)
    if (found.tables or found.volumes) and not tree.args.get("cascade"):
        raise SqlError("SCHEMA_NOT_EMPTY", f"Cannot drop a schema {schema} because it contains objects.", "2BP01")
    session.catalogs.drop_schema(catalog, schema)
    return nothing()


def _schema_name(session: Session, table: exp.Table) -> tuple[str, str]:
    catalog, schema = [session.catalog, *(part.name.casefold() for part in table.parts if part.name)][-2:]
    return catalog, schema
