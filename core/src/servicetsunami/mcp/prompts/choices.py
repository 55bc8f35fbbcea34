"""What the arguments of prompts may be: the caller's own connections, tables and runs, and what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from servicetsunami.mcp.prompts.spec import Argument, Given
from servicetsunami.operations.sync import list_runs
from servicetsunami.operations.tables import list_tables

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_MOST_TABLES = 500
_LATEST_RUNS = 50


async def connections(app: App, caller: Caller, _given: Given) -> Sequence[str]:
    """Return the names of connections, and then their ids."""
    found = await app.records.connections(caller.tenant)
    return [*(one.name for one in found), *(one.id for one in found)]


async def tables(app: App, caller: Caller, _given: Given) -> Sequence[str]:
    """Return the tables of the lakehouse, as `layer.name`."""
    page = await list_tables(app, caller, limit=_MOST_TABLES)
    return [table.table.partition(".")[2] for table in page.tables]


async def connectors(app: App, _caller: Caller, _given: Given) -> Sequence[str]:
    """Return the connectors that are installed."""
    return sorted(app.plugins.connectors)


async def failed_runs(app: App, caller: Caller, _given: Given) -> Sequence[str]:
    """Return the ids of the latest runs that did not succeed, and then of the others."""
    runs = (await list_runs(app, caller, limit=_LATEST_RUNS)).runs
    failed = [run.run_id for run in runs if run.status in ("failed", "interrupted", "cancelled")]
    return [*failed, *(run.run_id for run in runs if run.run_id not in failed)]


CONNECTION = Argument("connection", "Connection", "Name or id of a connection.", complete=connections)
TABLES = Argument(
    "tables",
    "Tables",
    "Tables to use, with commas between them; what there is is named if left out.",
    required=False,
    complete=tables,
    many=True,
)
CONNECTOR = Argument("connector", "Connector", "Which connector to use, such as postgres.", complete=connectors)
RUN = Argument(
    "run_id", "Run", "Id of the run; the latest that failed if left out.", required=False, complete=failed_runs
)
