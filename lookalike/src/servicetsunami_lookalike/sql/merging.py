"""MERGE INTO, with and without schema evolution."""

from __future__ import annotations

from collections import Counter

import duckdb
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types

from servicetsunami.sdk import ConfigError
from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_lookalike.sql.duck import Name, quoted, words
from servicetsunami_lookalike.sql.errors import SqlError, unsupported
from servicetsunami_lookalike.sql.queries import explained, translated
from servicetsunami_lookalike.sql.session import Answer, Session, changed
from servicetsunami_sink_lakehouse.rewriting import rewrite

_SOURCE = "_merge_source"


def merge(session: Session, tree: exp.Merge, cursor: duckdb.DuckDBPyConnection, *, evolving: bool = False) -> Answer:
    """Match the rows of a query with those of a table, and change the table by what matches."""
    name = session.name_of(tree.this)
    table = session.catalogs.table(name)
    session.require("MODIFY", name)
    with explained():
        cursor.execute("BEGIN")
        try:
            counts = _merged(session, tree, name, cursor, evolving=evolving)
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
    inserted, updated, deleted = (counts[kind] for kind in ("INSERT", "UPDATE", "DELETE"))
    table.record("MERGE", numTargetRowsInserted=inserted, numTargetRowsUpdated=updated, numTargetRowsDeleted=deleted)
    return changed(
        num_affected_rows=inserted + updated + deleted,
        num_updated_rows=updated,
        num_deleted_rows=deleted,
        num_inserted_rows=inserted,
    )


def _merged(
    session: Session, tree: exp.Merge, name: Name, cursor: duckdb.DuckDBPyConnection, *, evolving: bool
) -> Counter[str]:
    columns = _keep_source(session, tree, cursor)
    if evolving:
        _add_columns(session, name, cursor, columns)
    _spell_out_stars(session, tree, name, columns, evolving=evolving)
    _refuse_ambiguous(tree, name, cursor)
    found = cursor.execute(f"{_written(tree, name)} RETURNING merge_action").fetchall()
    return Counter(row[0] for row in found)


def _keep_source(session: Session, tree: exp.Merge, cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Put the source's rows in a table of their own; return its columns and their types."""
    using = tree.args["using"]
    alias = using.alias_or_name
    query = using.this if isinstance(using, exp.Subquery) else exp.select("*").from_(using.copy())
    with translated(session, query.copy()) as rows:
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE {_SOURCE} AS {rows}")
    kept = exp.to_table(_SOURCE)
    kept.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    tree.set("using", kept)
    described = cursor.execute(f"DESCRIBE {_SOURCE}").fetchall()
    return {row[0]: row[1] for row in described}


def _add_columns(session: Session, name: Name, cursor: duckdb.DuckDBPyConnection, columns: dict[str, str]) -> None:
    known = {column.name.casefold() for column in session.catalogs.columns(name)}
    for column, kind in columns.items():
        if column.casefold() not in known:
            target = quoted(name)
            cursor.execute(f"ALTER TABLE {target} ADD COLUMN {quote_identifier(column, 'duckdb')} {kind}")


def _spell_out_stars(session: Session, tree: exp.Merge, name: Name, columns: dict[str, str], *, evolving: bool) -> None:
    """Write the columns that UPDATE SET * and INSERT * stand for: all of the source, or of the target."""
    target = [column.name for column in session.catalogs.columns(name)]
    wanted = list(columns) if evolving else target
    source = tree.args["using"].alias
    for when in tree.args["whens"].expressions:
        then = when.args["then"]
        if isinstance(then, exp.Update) and [type(one) for one in then.expressions] == [exp.Star]:
            pairs = [exp.EQ(this=exp.column(one), expression=exp.column(one, source)) for one in wanted]
            then.set("expressions", pairs)
        if isinstance(then, exp.Insert) and isinstance(then.this, exp.Star):
            then.set("this", exp.Tuple(expressions=[exp.column(one) for one in wanted]))
            then.set("expression", exp.Tuple(expressions=[exp.column(one, source) for one in wanted]))


def _refuse_ambiguous(tree: exp.Merge, name: Name, cursor: duckdb.DuckDBPyConnection) -> None:
    """Refuse rows of the target that several of the source match, as Delta does."""
    whens = tree.args["whens"].expressions
    matched = [one for one in whens if one.args.get("matched")]
    only_deletes = len(matched) == 1 and not matched[0].args.get("condition") and _is_delete(matched[0])
    if not matched or only_deletes:
        return
    target = quote_identifier(tree.this.alias_or_name, "duckdb")
    source = quote_identifier(tree.args["using"].alias, "duckdb")
    on = _condition(tree)
    found = cursor.execute(
        words(
            "SELECT 1 FROM",
            f"{quoted(name)} AS {target} JOIN {_SOURCE} AS {source} ON {on}",
            f"GROUP BY {target}.rowid HAVING count(*) > 1 LIMIT 1",
        )
    ).fetchall()
    if found:
        raise SqlError(
            "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE",
            "Cannot perform Merge as multiple source rows matched one row of the target.",
            "21506",
        )


def _is_delete(when: exp.Expr) -> bool:
    then = when.args["then"]
    return isinstance(then, exp.Var) and then.name.upper() == "DELETE"


def _condition(tree: exp.Merge) -> str:
    return str(tree.args["on"].sql(dialect="duckdb", identify=True))


def _written(tree: exp.Merge, name: Name) -> str:
    for part, value in zip(("catalog", "db", "this"), name, strict=True):
        tree.this.set(part, exp.to_identifier(value, quoted=True))
    for then in (when.args["then"] for when in tree.args["whens"].expressions):
        for pair in then.expressions if isinstance(then, exp.Update) else ():
            pair.set("this", exp.column(pair.this.name))
    try:
        return str(rewrite(annotate_types(tree, dialect="databricks")).sql(dialect="duckdb", identify=True))
    except ConfigError as error:
        raise unsupported(str(error)) from error
