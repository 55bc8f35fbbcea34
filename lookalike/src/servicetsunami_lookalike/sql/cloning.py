"""DEEP CLONE: a table with the rows and the description of another."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_lookalike.sql.duck import quoted, words
from servicetsunami_lookalike.sql.errors import SqlError
from servicetsunami_lookalike.sql.session import Answer, Session, changed


def clone(session: Session, name: str, source: str) -> Answer:
    """Put a copy of one table in the place of another, which keeps its history, owner and tags."""
    target, origin = (session.name_of(exp.to_table(one, dialect="databricks")) for one in (name, source))
    found = session.catalogs.table(origin)
    session.require("SELECT", origin)
    session.require_schema("CREATE TABLE", *target[:2])
    tables = session.catalogs.schema(*target[:2]).tables
    former = tables.get(target[2])
    if former is not None and former.definition:
        raise SqlError("EXPECT_TABLE_NOT_VIEW", f"'{'.'.join(target)}' expects a table but is a view.", "42809")
    cursor = session.catalogs.cursor()
    cursor.execute(words("CREATE OR REPLACE TABLE", quoted(target), "AS FROM", quoted(origin)))
    required = [one.name for one in session.catalogs.columns(origin) if not one.nullable]
    for column in required:
        cursor.execute(
            words("ALTER TABLE", quoted(target), "ALTER COLUMN", quote_identifier(column, "duckdb"), "SET NOT NULL")
        )
    copied = replace(found, copied=set(), history=[], tags={}, owner=session.principal.name)
    if former is not None:
        copied = replace(copied, id=former.id, history=former.history, owner=former.owner, tags=former.tags)
    rows = session.catalogs.count(origin)
    tables[target[2]] = copied
    copied.record("CLONE", numCopiedRows=rows)
    return changed(source_table_size=rows, num_copied_files=1)
