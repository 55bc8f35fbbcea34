"""Queries: names resolved, rights checked, files and the information schema put in place, then run by DuckDB."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.optimizer.scope import traverse_scope

from servicetsunami.sdk import ConfigError, TableName
from servicetsunami.sdk.delta import Column
from servicetsunami.sdk.sql.databricks_dialect import GuardedDatabricks
from servicetsunami_lookalike.sql.catalogs import SCRATCH
from servicetsunami_lookalike.sql.duck import Name, quoted, words
from servicetsunami_lookalike.sql.errors import SqlError, unsupported
from servicetsunami_lookalike.sql.information import information
from servicetsunami_lookalike.sql.reading_files import catalog_of, files_view, is_files
from servicetsunami_lookalike.sql.session import Answer, Parameter, Session
from servicetsunami_sink_lakehouse.results import databricks_batch, databricks_schema
from servicetsunami_sink_lakehouse.translation import rewritten_for_duckdb

_VALUES = {
    "Division by zero": ("DIVIDE_BY_ZERO", "22012"),
    "division by zero": ("DIVIDE_BY_ZERO", "22012"),
    "Index out of bounds": ("INVALID_ARRAY_INDEX", "22003"),
    "Overflow in": ("ARITHMETIC_OVERFLOW", "22003"),
    "Type INT128 with value": ("ARITHMETIC_OVERFLOW", "22003"),
    "Conversion Error": ("CAST_INVALID_INPUT", "22018"),
}


def parsed(text: str, parameters: Sequence[Parameter] = ()) -> exp.Expr:
    """Read one statement, with values in place of its parameters."""
    try:
        found = [one for one in sqlglot.parse(text, dialect=GuardedDatabricks) if one is not None]
    except SqlglotError as error:
        raise SqlError("PARSE_SYNTAX_ERROR", "Syntax error.", "42601") from error
    if len(found) != 1:
        raise SqlError("PARSE_SYNTAX_ERROR", "Syntax error: one statement is expected.", "42601")
    return bound(found[0], parameters)


def bound(tree: exp.Expr, parameters: Sequence[Parameter]) -> exp.Expr:
    """Put the values of parameters in their places."""
    named = {one.name: one for one in parameters if one.name}
    unnamed = iter([one for one in parameters if not one.name])
    for place in list(tree.find_all(exp.Placeholder)):
        one = next(unnamed, None) if place.name in ("", "?") else named.get(place.name)
        if one is None:
            raise SqlError("UNBOUND_SQL_PARAMETER", f"Found the unbound parameter: {place.name}.", "42P02")
        value = exp.Null() if one.value is None else exp.Literal.string(one.value)
        kind = "STRING" if one.type.upper() == "VOID" else one.type
        place.replace(exp.cast(value, exp.DataType.build(kind, dialect="databricks"), copy=False))
    return tree


@contextmanager
def translated(session: Session, tree: exp.Expr) -> Iterator[str]:
    """Yield a query in DuckDB's SQL; what was put up for it is taken away afterwards."""
    with ExitStack() as scratch:
        names = [_put_up(session, table, scratch) for table in _sources(tree)]
        catalogs = {name[0] for name in names}
        if len(catalogs) > 1:
            raise unsupported("a statement over tables of more than one catalog")
        columns: dict[TableName, Sequence[Column]] = {
            TableName(name[1], name[2]): session.catalogs.columns(name) for name in names
        }
        yield _rewritten(tree, catalogs.pop() if catalogs else session.catalog, columns)


def run_query(session: Session, tree: exp.Expr, cursor: duckdb.DuckDBPyConnection) -> Answer:
    """Answer a query."""
    with translated(session, tree) as text:
        return Answer(rows_of(cursor, text))


def rows_of(cursor: duckdb.DuckDBPyConnection, text: str) -> pa.Table:
    """Run a SELECT in DuckDB's SQL and give its rows in the types of Databricks."""
    with explained():
        reader = cursor.sql(text).to_arrow_reader()
        schema = databricks_schema(reader.schema)
        return pa.Table.from_batches([databricks_batch(batch, schema) for batch in reader], schema)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what DuckDB refuses into what Databricks would say."""
    try:
        yield
    except duckdb.InterruptException as error:
        raise SqlError("OPERATION_CANCELED", "Operation canceled.", "HY008") from error
    except duckdb.ConstraintException as error:
        text = "NOT NULL constraint violated for a column."
        raise SqlError("DELTA_NOT_NULL_CONSTRAINT_VIOLATED", text, "23502") from error
    except duckdb.Error as error:
        raise _value_error(str(error)) from error


def _value_error(said: str) -> SqlError:
    """Name what DuckDB refuses of a value as Databricks does."""
    for mark, (name, sqlstate) in _VALUES.items():
        if mark in said:
            return SqlError(name, "A value is not one that the statement can work with.", sqlstate)
    return SqlError("INTERNAL_ERROR.LOOKALIKE", said.partition("\n")[0][:300])


def _rewritten(tree: exp.Expr, catalog: str, columns: dict[TableName, Sequence[Column]]) -> str:
    try:
        return rewritten_for_duckdb(tree, catalog, columns).sql(dialect="duckdb")
    except ConfigError as error:
        raise unsupported(str(error)) from error
    except OptimizeError as error:
        raise _unresolved(error) from error
    except SqlglotError as error:
        raise unsupported(f"this query: {str(error)[:200]}") from error


def _unresolved(error: OptimizeError) -> SqlError:
    """Say which column is not there, as Databricks says it."""
    found = re.search(r"(?:Column '|Unknown column: )([^'\n]+?)(?:'|$)", str(error))
    name = found[1].strip('"`').rpartition(".")[2] if found else ""
    text = f"A column, variable, or function parameter with name `{name}` cannot be resolved."
    return SqlError("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", text, "42703")


def _sources(tree: exp.Expr) -> list[exp.Table]:
    """Return the tables a query reads, without the names of its WITH queries."""
    found = (source for scope in traverse_scope(tree) for source in scope.sources.values())
    return list({id(source): source for source in found if isinstance(source, exp.Table)}.values())


def _put_up(session: Session, table: exp.Table, scratch: ExitStack) -> Name:
    """Give a table its full name in place; files and the information schema become tables of the scratch schema."""
    if is_files(table):
        name = _scratch_name(catalog_of(table))
        scratch.callback(_drop, session, name)
        files_view(session, table, name)
    else:
        name = session.name_of(table)
        if name[1] == "information_schema":
            rows = information(session, name)
            name = _scratch_name(name[0])
            scratch.callback(_drop, session, name)
            _fill(session, name, rows)
        else:
            session.catalogs.table(name)
            session.require("SELECT", name)
    _rename(table, name)
    return name


def _rename(table: exp.Table, name: Name) -> None:
    if not table.alias:
        table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name or "files", quoted=True)))
    for part, value in zip(("catalog", "db", "this"), name, strict=True):
        table.set(part, exp.to_identifier(value, quoted=True))


def _scratch_name(catalog: str) -> Name:
    return catalog, SCRATCH, f"s_{uuid.uuid4().hex}"


def _fill(session: Session, name: Name, rows: pa.Table) -> None:
    cursor = session.catalogs.cursor()
    cursor.register("rows", rows)
    cursor.execute(words("CREATE TABLE", quoted(name), "AS SELECT * FROM rows"))


def _drop(session: Session, name: Name) -> None:
    cursor = session.catalogs.cursor()
    kinds = cursor.execute("SELECT 'VIEW' FROM duckdb_views() WHERE view_name = ?", [name[2]]).fetchall()
    cursor.execute(f"DROP {'VIEW' if kinds else 'TABLE'} IF EXISTS {quoted(name)}")
