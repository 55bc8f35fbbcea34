"""Temporary views: a session's own, put in the place of their names."""

from __future__ import annotations

from sqlglot import exp

from servicetsunami_lookalike.sql.errors import SqlError, unsupported
from servicetsunami_lookalike.sql.session import Answer, Session, nothing


def is_temporary(tree: exp.Expr) -> bool:
    """Tell whether a statement makes a temporary view."""
    properties = tree.args.get("properties") if isinstance(tree, exp.Create) else None
    return properties is not None and properties.find(exp.TemporaryProperty) is not None


def create_temporary(session: Session, tree: exp.Create) -> Answer:
    """Keep a query under a name for the rest of the session."""
    if str(tree.args["kind"]).upper() != "VIEW" or not isinstance(tree.this, exp.Table) or tree.this.args.get("db"):
        raise unsupported("this temporary object")
    name = tree.this.name.casefold()
    if name in session.temporary and not tree.args.get("replace"):
        raise SqlError("TEMP_TABLE_OR_VIEW_ALREADY_EXISTS", f"Cannot create the temporary view {name}.", "42P07")
    session.temporary[name] = expanded(session, tree.expression)
    return nothing()


def drop_temporary(session: Session, tree: exp.Expr) -> bool:
    """Forget a temporary view if that is what a DROP names."""
    if not isinstance(tree, exp.Drop) or str(tree.args["kind"]).upper() != "VIEW":
        return False
    target = tree.args["tables"][0]
    return not target.args.get("db") and session.temporary.pop(target.name.casefold(), None) is not None


def expanded(session: Session, tree: exp.Expr) -> exp.Expr:
    """Put the queries of temporary views in the place of their names."""
    if not session.temporary:
        return tree
    for table in list(tree.find_all(exp.Table)):
        query = session.temporary.get(table.name.casefold()) if not table.args.get("db") else None
        if query is not None:
            table.replace(
                exp.Subquery(this=query.copy(), alias=exp.TableAlias(this=exp.to_identifier(table.alias_or_name)))
            )
    return tree
