"""Views: in Unity Catalog, as anybody's."""

from __future__ import annotations

from servicetsunami.sdk import ConfigError, TableName
from servicetsunami.sdk.delta import table_not_found
from servicetsunami.sdk.sql import GuardedQuery, guard_databricks
from servicetsunami_sink_databricks.catalogue import summaries, view_definition
from servicetsunami_sink_databricks.places import LAYERS, Places
from servicetsunami_sink_databricks.statements import Statements
from servicetsunami_sink_databricks.writing_sql import text, words


def create(statements: Statements, places: Places, view: TableName, query: GuardedQuery, comment: str) -> None:
    """Keep a query as a view, in place of one that has the name."""
    known = {one.table: one.kind for one in summaries(statements, places, None)}
    if known.get(view) == "table":
        raise ConfigError(
            f"{view} is a table", code="table_taken", field="name", fix="choose another name for the view"
        )
    for table in query.tables:
        if table not in known and table != view:
            raise table_not_found(table, known)
    _refuse_cycle(statements, places, view, query)
    told = words("COMMENT", text(comment)) if comment else ""
    statement = words("CREATE OR REPLACE VIEW", places.of(view).quoted, told, "AS", query.sql)
    statements.run(statement, doing=f"creating the view {view}")


def drop(statements: Statements, places: Places, view: TableName) -> None:
    """Remove a view; raises `NotFound` where there is none."""
    if view_definition(statements, places, view) is None:
        views = [one.table for one in summaries(statements, places, None) if one.kind == "view"]
        raise table_not_found(view, views)
    statements.run(words("DROP VIEW", places.of(view).quoted), doing=f"removing the view {view}")


def _refuse_cycle(statements: Statements, places: Places, view: TableName, query: GuardedQuery) -> None:
    """Raise if the query comes to read the view itself, through whatever other views."""
    waiting, seen = list(query.tables), set()
    while waiting:
        table = waiting.pop()
        if table == view:
            raise ConfigError(
                f"the view {view} would read itself",
                code="view_cycle",
                field="sql",
                fix="read the tables below it instead",
            )
        if table in seen:
            continue
        seen.add(table)
        definition = view_definition(statements, places, table)
        if definition is not None:
            waiting += guard_databricks(definition, catalog=places.catalog, layers=LAYERS).tables
