"""Views: guarded queries that are kept under a name, and put in its place when a query reads it.

<root>/tenant_<id>/<layer>/<name>.view.json holds one. What is read from it goes through the guard again, so that a
file somebody changed can do no more than a query somebody sends.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from servicetsunami.sdk import ConfigError, PermanentError, TableName
from servicetsunami.sdk.sql import guard_databricks
from servicetsunami.sdk.sql.databricks_dialect import GuardedDatabricks
from servicetsunami_sink_lakehouse.disk import make_folder, sync_folder
from servicetsunami_sink_lakehouse.failures import on_disk
from servicetsunami_sink_lakehouse.folders import LAYERS, Folders

if TYPE_CHECKING:
    from servicetsunami.sdk.sql import GuardedQuery

_DEEPEST = 20
_MOST_TABLES = 500


@dataclass(frozen=True)
class View:
    """A view as it is kept."""

    sql: str
    tables: tuple[TableName, ...]
    """What it reads, views among them."""
    comment: str
    updated_at: datetime


def find(folders: Folders, name: TableName) -> View | None:
    """Return a view; None where there is none."""
    try:
        kept: Any = json.loads(folders.view(name).read_bytes())
        query = guard_databricks(kept["sql"], catalog=folders.catalog, layers=LAYERS)
        return View(query.sql, query.tables, str(kept["comment"]), datetime.fromisoformat(kept["updated_at"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise PermanentError(
            f"the definition of the view {name} is damaged", code="view_damaged", fix="create the view again"
        ) from error


def check(folders: Folders, name: TableName, query: GuardedQuery) -> None:
    """Refuse a view whose name is taken by a table, or which would read itself."""
    if folders.table(name).exists():
        raise ConfigError(
            f"{name} is a table, so no view can have its name",
            code="table_taken",
            field="name",
            fix="choose another name",
        )
    _refuse_cycle(folders, name, query)


def keep(folders: Folders, name: TableName, query: GuardedQuery, comment: str) -> None:
    """Keep a view, in place of one that has the name."""
    path = folders.view(name)
    now = datetime.now(UTC).isoformat()
    content = json.dumps({"sql": query.sql, "comment": comment, "updated_at": now}).encode()
    with on_disk("keeping a view"):
        make_folder(path.parent)
        _replace(path, content)


def drop(folders: Folders, name: TableName) -> bool:
    """Remove a view; returns False where there is none."""
    path = folders.view(name)
    with on_disk("removing a view"):
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        sync_folder(path.parent)
    return True


def expand(folders: Folders, sql: str, tables: tuple[TableName, ...]) -> tuple[str, tuple[TableName, ...]]:
    """Put every view's query in its place; returns the query, and the tables that it reads then."""
    views = {name: view for name in tables if (view := find(folders, name)) is not None}
    if not views:
        return sql, tables
    tree = sqlglot.parse_one(sql, dialect=GuardedDatabricks)
    read: dict[TableName, None] = {}
    tree = _expanded(folders, tree, read, 0)
    return tree.sql(dialect=GuardedDatabricks, identify=True), tuple(read)


def _expanded(folders: Folders, tree: exp.Expr, read: dict[TableName, None], depth: int) -> exp.Expr:
    if depth > _DEEPEST:
        raise ConfigError(
            f"views stand on views more than {_DEEPEST} deep",
            code="view_cycle",
            field="sql",
            fix="define one of them over tables",
        )
    for node in [node for node in tree.find_all(exp.Table) if node.args.get("catalog")]:
        name = TableName(node.db, node.name)
        view = find(folders, name)
        if view is None:
            read[name] = None
        else:
            inner = _expanded(folders, sqlglot.parse_one(view.sql, dialect=GuardedDatabricks), read, depth + 1)
            _put_in_place(node, inner, name)
        if len(read) > _MOST_TABLES:
            raise ConfigError(f"the query reads more than {_MOST_TABLES} tables", code="sql_refused", field="sql")
    return tree


def _put_in_place(node: exp.Table, query: exp.Expr, name: TableName) -> None:
    alias = node.args.get("alias")
    whole = exp.Subquery(this=query, alias=alias or exp.TableAlias(this=exp.to_identifier(name.name, quoted=True)))
    for key in ("joins", "laterals", "pivots"):
        if node.args.get(key):
            whole.set(key, node.args[key])
    node.replace(whole)


def _refuse_cycle(folders: Folders, name: TableName, query: GuardedQuery) -> None:
    seen: set[TableName] = set()
    left = list(query.tables)
    while left:
        table = left.pop()
        if table == name:
            raise ConfigError(
                f"the view {name} would read itself",
                code="view_cycle",
                field="sql",
                fix="read the tables it stands on instead",
            )
        if table not in seen:
            seen.add(table)
            view = find(folders, table)
            left += view.tables if view else ()


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with draft.open("xb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
