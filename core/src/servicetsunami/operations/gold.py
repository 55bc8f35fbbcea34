"""Gold views: questions that are kept under a name, and read like tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from servicetsunami.operations.answers.warehouses import LAYERS, with_warehouse
from servicetsunami.operations.events import Event
from servicetsunami.operations.models import Result, ResultColumn
from servicetsunami.operations.read_only import changing
from servicetsunami.sdk import ConfigError, NotFound, Sink, TableDetails, TableName, Views, Warehouse
from servicetsunami.sdk.sql import guard_databricks

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.sdk.sql import GuardedQuery

_NAME = re.compile(r"[a-z][a-z0-9_]{0,127}")
_LONGEST_COMMENT = 1_000


class ViewResult(Result):
    """A view that was kept."""

    status: Literal["created", "replaced", "unchanged"]
    view: str = Field(description="Full name: catalog.gold.view.")
    columns: tuple[ResultColumn, ...]
    reads: tuple[str, ...] = Field(description="The tables and views it stands on.")
    sql: str = Field(description="Its query as it is kept.")
    comment: str = ""


class DroppedView(Result):
    """A view that was removed."""

    view: str


@changing("no view was created")
async def create_gold_view(app: App, caller: Caller, name: str, sql: str, *, comment: str = "") -> ViewResult:
    """Keep a query as a view of the gold layer, in place of one that has the name.

    Raises `ConfigError` for a query that cannot be answered (`sql_refused`, `column_not_found`), whose columns have no
    names of their own (`column_unnamed`), or that reads the view itself (`view_cycle`).
    """

    def work(sink: Sink[Any], warehouse: Warehouse) -> ViewResult:
        keeper = _keeper(sink)
        view = _parsed(name, sink.catalog())
        query = guard_databricks(sql, catalog=sink.catalog(), layers=LAYERS)
        _check_columns(query)
        before = _described(warehouse, view)
        said = " ".join(comment.split())[:_LONGEST_COMMENT]
        same = before is not None and (before.definition, before.summary.comment) == (query.sql, said)
        if not same:
            keeper.create_view(view, query, said)
        status: Any = "unchanged" if same else "created" if before is None else "replaced"
        return _result(status, warehouse.describe(view), query, sink.catalog())

    made = await with_warehouse(app, caller, work)
    if made.status != "unchanged":
        app.events.tell(Event("table", caller.tenant, made.view.partition(".")[2], listed=made.status == "created"))
    return made


@changing("no view was removed")
async def drop_gold_view(app: App, caller: Caller, name: str) -> DroppedView:
    """Remove a view of the gold layer; the tables it reads stay. Raises `NotFound`."""

    def work(sink: Sink[Any], _: Warehouse) -> DroppedView:
        view = _parsed(name, sink.catalog())
        _keeper(sink).drop_view(view)
        return DroppedView(view=f"{sink.catalog()}.{view}")

    gone = await with_warehouse(app, caller, work)
    app.events.tell(Event("table", caller.tenant, gone.view.partition(".")[2], listed=True))
    return gone


def _keeper(sink: Sink[Any]) -> Views:
    if not isinstance(sink, Views):
        raise ConfigError(
            f"the sink '{sink.name}' keeps no views",
            code="views_unsupported",
            fix="ask with query_sql, or choose a sink that keeps views, such as lakehouse",
        )
    return sink


def _parsed(name: str, catalog: str) -> TableName:
    bare = name.strip().removeprefix(f"{catalog}.").removeprefix("gold.")
    if not _NAME.fullmatch(bare):
        raise ConfigError(
            f"{name[:80]!r} cannot be the name of a view",
            code="bad_table_name",
            field="name",
            fix="use lower-case letters, digits and _, such as monthly_signups",
        )
    return TableName("gold", bare)


def _described(warehouse: Warehouse, view: TableName) -> TableDetails | None:
    try:
        return warehouse.describe(view)
    except NotFound:
        return None


def _check_columns(query: GuardedQuery) -> None:
    """Raise `ConfigError` where a column has no name of its own, or two have the same."""
    from sqlglot import exp, parse_one

    from servicetsunami.sdk.sql.databricks_dialect import GuardedDatabricks

    tree: Any = parse_one(query.sql, dialect=GuardedDatabricks)
    named = [isinstance(one, exp.Column | exp.Alias | exp.Star) for one in tree.selects]
    if False in named:
        raise _unnamed(f"column {named.index(False) + 1} has no name", "name it with AS: count(*) AS customers")
    names = [one.alias_or_name.casefold() for one in tree.selects if not one.is_star]
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise _unnamed(f"two columns are called '{twice}'", "give one of them another name with AS")


def _unnamed(found: str, fix: str) -> ConfigError:
    return ConfigError(f"the view was not created: {found}", code="column_unnamed", field="sql", fix=fix)


def _result(status: Any, details: TableDetails, query: GuardedQuery, catalog: str) -> ViewResult:
    return ViewResult(
        status=status,
        view=f"{catalog}.{details.summary.table}",
        columns=tuple(ResultColumn(name=one.name, type=one.type) for one in details.columns),
        reads=tuple(f"{catalog}.{table}" for table in query.tables),
        sql=query.sql,
        comment=details.summary.comment,
    )
