"""Writes a guarded Databricks query in DuckDB's SQL, or refuses it: never with another meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.databricks import Databricks
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from servicetsunami.sdk import ConfigError, TableName, nearest
from servicetsunami.sdk.delta import Column, to_databricks
from servicetsunami.sdk.sql import quote_identifier
from servicetsunami.sdk.sql.databricks_dialect import GuardedDatabricks
from servicetsunami_sink_lakehouse.functions import ANSWERED, NAMED
from servicetsunami_sink_lakehouse.refusals import unsupported
from servicetsunami_sink_lakehouse.rewriting import rewrite
from servicetsunami_sink_lakehouse.spark_types import METADATA

Tables = Mapping[TableName, Sequence[Column]]


def translate(query: str, catalog: str, tables: Tables, most_rows: int) -> str:
    """Return the query in DuckDB's SQL, ending after `most_rows`.

    Raises `ConfigError` with code `sql_unsupported`, or `column_not_found` with near names.
    """
    try:
        rewritten = rewritten_for_duckdb(sqlglot.parse_one(query, dialect=GuardedDatabricks), catalog, tables)
        if isinstance(rewritten, exp.Query) and not rewritten.args.get("limit"):
            rewritten = rewritten.limit(most_rows, copy=False)
        return rewritten.sql(dialect="duckdb")
    except OptimizeError as error:
        raise _unresolved(error, tables) from error
    except (SqlglotError, RecursionError) as error:
        raise unsupported("this query as a whole", "write it simpler") from error


def rewritten_for_duckdb(tree: exp.Expr, catalog: str, tables: Tables) -> exp.Expr:
    """Return a query's tree as DuckDB is to answer it; raises what `translate` raises, and what sqlglot does."""
    _refuse_unknown(tree)
    _name_outputs(tree)
    return rewrite(_typed(tree, catalog, tables))


def _refuse_unknown(tree: exp.Expr) -> None:
    for node in tree.walk():
        if isinstance(node, exp.Anonymous):
            if node.name.casefold() not in NAMED:
                raise unsupported(f"the function {node.name.casefold()}")
        elif type(node).__name__ not in ANSWERED:
            raise unsupported(_spoken(node))


def _spoken(node: exp.Expr) -> str:
    if isinstance(node, exp.Func):
        return f"the function {node.sql_name().casefold()}"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__.lstrip("_")).upper()


def _name_outputs(tree: exp.Expr) -> None:
    """Give each nameless column of the result the name that Databricks makes of its text."""
    query: Any = tree
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    for column in list(query.expressions):
        if not column.output_name and not column.is_star and not isinstance(column, exp.Aliases):
            name = column.sql(dialect=GuardedDatabricks).replace("`", "").replace("(*)", "(1)")
            column.replace(exp.alias_(column.copy(), name.casefold(), quoted=True))


def _typed(tree: exp.Expr, catalog: str, tables: Tables) -> exp.Expr:
    schema = MappingSchema(_mapping(catalog, tables), dialect="databricks")
    qualified = qualify(
        tree,
        schema=schema,
        dialect="databricks",
        quote_identifiers=True,
        validate_qualify_columns=True,
    )
    metadata: Any = {**Databricks.EXPRESSION_METADATA, **METADATA}
    return annotate_types(qualified, schema=schema, expression_metadata=metadata, dialect="databricks")


def _mapping(catalog: str, tables: Tables) -> dict[str, object]:
    layers: dict[str, dict[str, dict[str, str]]] = {}
    for table, columns in tables.items():
        kinds = {quote_identifier(column.name, "databricks"): to_databricks(column.type) for column in columns}
        layers.setdefault(table.layer, {})[table.name] = kinds
    return {catalog: layers} if layers else {}


def _unresolved(error: OptimizeError, tables: Tables) -> ConfigError:
    """Say which column is not there, or is there twice."""
    known = [column.name for columns in tables.values() for column in columns]
    found = re.search(
        r"(?:Column '|Unknown column: )([^'\n]+?)(?:'|$)(?: could not be resolved for table: '(.+?)')?", str(error)
    )
    name, table = (found[1], found[2]) if found else ("", None)
    if table:
        return _wrong_column(f"the query reads no table that it calls '{table}'", "column_not_found", "name it in FROM")
    if name.casefold() in {column.casefold() for column in known}:
        fix = "write the table before it, such as orders.id"
        return _wrong_column(f"column '{name}' is in more than one of the tables", "column_ambiguous", fix)
    return ConfigError(
        f"there is no column '{name}' in what the query reads",
        code="column_not_found",
        field="sql",
        fix="describe the table to see its columns",
        did_you_mean=nearest(name, known),
    )


def _wrong_column(found: str, code: str, fix: str) -> ConfigError:
    return ConfigError(found, code=code, field="sql", fix=fix)
