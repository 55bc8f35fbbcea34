"""Where a table's rows come from: from source to bronze to silver to gold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from servicetsunami.operations.answers.warehouses import LAYERS, with_warehouse
from servicetsunami.operations.models import Result
from servicetsunami.operations.transforms import APP
from servicetsunami.sdk import ConfigError, Json, Load, NotFound, Sink, TableName, Warehouse
from servicetsunami.sdk.sql import guard_databricks

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_MOST = 200


class LineageStep(Result):
    """One table, and what it is made of."""

    table: str = Field(description="Full name: catalog.layer.table.")
    made_by: Literal["sync", "transform", "view", "unknown"]
    made_of: tuple[str, ...] = Field((), description="Tables it is made of.")
    connection: str | None = Field(None, description="Of a sync: the connection's name.")
    source_table: str | None = Field(None, description="Of a sync: the table at the source.")
    run_id: str | None = Field(None, description="The run that wrote it last.")
    transformations: tuple[Json, ...] = Field((), description="Of a transform: its steps.")
    checks: tuple[Json, ...] = Field((), description="Of a transform: its checks.")
    sql: str | None = Field(None, description="Of a view: its query.")


class Lineage(Result):
    """All that a table is made of, the table itself first."""

    table: str
    steps: tuple[LineageStep, ...]
    truncated: bool = False


async def lineage_of(app: App, caller: Caller, table: str) -> Lineage:
    """Follow a table back to its sources. Raises `NotFound` for a table that is not there."""
    synced = await _synced(app, caller.tenant)

    def work(sink: Sink[Any], warehouse: Warehouse) -> Lineage:
        name = TableName.parse(table.strip().removeprefix(f"{sink.catalog()}."))
        warehouse.describe(name)
        return _followed(name, synced, sink, warehouse)

    return await with_warehouse(app, caller, work)


async def _synced(app: App, tenant: str) -> Mapping[TableName, Json]:
    """Return what the records know of each table that a sync fills."""
    names = {one.id: one.name for one in await app.records.connections(tenant)}
    return {
        dataset.table: {
            "connection": names.get(dataset.connection_id),
            "source_table": dataset.stream,
            "run_id": dataset.last_run_id,
        }
        for dataset in await app.records.datasets(tenant)
    }


def _followed(name: TableName, synced: Mapping[TableName, Json], sink: Sink[Any], warehouse: Warehouse) -> Lineage:
    steps: dict[TableName, LineageStep] = {}
    left = [name]
    while left and len(steps) < _MOST:
        table = left.pop(0)
        if table not in steps:
            steps[table], made_of = _step(table, synced, sink, warehouse)
            left += made_of
    return Lineage(table=f"{sink.catalog()}.{name}", steps=tuple(steps.values()), truncated=bool(left))


def _step(
    table: TableName, synced: Mapping[TableName, Json], sink: Sink[Any], warehouse: Warehouse
) -> tuple[LineageStep, Sequence[TableName]]:
    catalog = sink.catalog()
    full = f"{catalog}.{table}"
    if table in synced:
        return LineageStep(table=full, made_by="sync", **synced[table]), ()
    state = _transformed(table, sink)
    if state:
        source = TableName.parse(state["source"])
        told = {name: tuple(state.get(name, ())) for name in ("transformations", "checks")}
        made_of = [f"{catalog}.{source}"]
        return LineageStep(table=full, made_by="transform", made_of=tuple(made_of), run_id=state.get("run"), **told), (
            source,
        )
    definition = _definition(table, warehouse)
    if definition:
        reads = guard_databricks(definition, catalog=catalog, layers=LAYERS).tables
        made_of = [f"{catalog}.{one}" for one in reads]
        return LineageStep(table=full, made_by="view", made_of=tuple(made_of), sql=definition), reads
    return LineageStep(table=full, made_by="unknown"), ()


def _transformed(table: TableName, sink: Sink[Any]) -> Json:
    import pyarrow as pa

    return sink.committed(Load(table, pa.schema([]), app=APP)).state


def _definition(table: TableName, warehouse: Warehouse) -> str:
    """Return the query of a view; nothing for a table, or one that is gone."""
    with suppress(NotFound, ConfigError):
        return warehouse.describe(table).definition
    return ""
