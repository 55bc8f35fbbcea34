"""Datasets in the database: which stream owns which table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from servicetsunami.records import connections
from servicetsunami.records.database import upsert
from servicetsunami.records.models import Dataset
from servicetsunami.records.schema import datasets
from servicetsunami.sdk import ConfigError, NotFound, TableName, nearest

_KEY = [datasets.c.tenant, datasets.c.layer, datasets.c.name]


def claim(db: Connection, tenant: str, connection_id: str, stream: str, wanted: Sequence[TableName]) -> Dataset:
    """Give the stream the table it has, else the first of the wanted ones that nobody else owns."""
    # The lock makes claims of one connection wait for each other, so that a stream never gets two names.
    connections.require(db, tenant, connection_id, lock=True)
    present = _present(db, tenant, connection_id, stream)
    if present is not None and (len(wanted) > 1 or present.table in wanted):
        return present
    for table in wanted:
        if _take(db, tenant, connection_id, stream, table, outright=len(wanted) == 1):
            _retire_others(db, tenant, connection_id, stream, table)
            return _owned(db, tenant, table)
    raise _taken(wanted)


def record_sync(db: Connection, tenant: str, table: TableName, *, rows: int | None, run_id: str, now: datetime) -> None:
    """Note that a run brought the table up to date; raises `NotFound` for a table nobody claimed."""
    changes = {"rows": rows, "last_run_id": run_id, "synced_at": now}
    if not db.execute(update(datasets).where(*_is(tenant, table)).values(changes)).rowcount:
        raise NotFound(
            f"no stream of this tenant fills a table {table}",
            code="table_not_found",
            field="table",
            fix="list the tables to see their names",
            did_you_mean=nearest(str(table), (str(dataset.table) for dataset in listed(db, tenant))),
        )


def listed(db: Connection, tenant: str) -> list[Dataset]:
    """List the tenant's datasets by table."""
    query = select(datasets).where(datasets.c.tenant == tenant, datasets.c.retired.is_(False))
    rows = db.execute(query.order_by(datasets.c.layer, datasets.c.name)).mappings()
    return [_dataset(row) for row in rows]


def _is(tenant: str, table: TableName) -> tuple[Any, Any, Any]:
    return datasets.c.tenant == tenant, datasets.c.layer == table.layer, datasets.c.name == table.name


def _filled_by(tenant: str, connection_id: str, stream: str) -> tuple[Any, Any, Any]:
    return datasets.c.tenant == tenant, datasets.c.connection_id == connection_id, datasets.c.stream == stream


def _present(db: Connection, tenant: str, connection_id: str, stream: str) -> Dataset | None:
    query = select(datasets).where(*_filled_by(tenant, connection_id, stream), datasets.c.retired.is_(False))
    row = db.execute(query).mappings().first()
    return None if row is None else _dataset(row)


def _owned(db: Connection, tenant: str, table: TableName) -> Dataset:
    return _dataset(db.execute(select(datasets).where(*_is(tenant, table))).mappings().one())


def _take(db: Connection, tenant: str, connection_id: str, stream: str, table: TableName, *, outright: bool) -> bool:
    row = {"tenant": tenant, "layer": table.layer, "name": table.name, "connection_id": connection_id, "stream": stream}
    insert = upsert(db, datasets).values(**row, retired=False)
    statement = insert.on_conflict_do_nothing(index_elements=_KEY).returning(datasets.c.name)
    if db.execute(statement).first() is not None:
        return True
    query = select(datasets.c.connection_id, datasets.c.stream).where(*_is(tenant, table)).with_for_update()
    owner, filled_from = db.execute(query).one()
    if (owner, filled_from) == (connection_id, stream) or (outright and not connections.exists(db, tenant, owner)):
        changes = {"connection_id": connection_id, "stream": stream, "retired": False}
        db.execute(update(datasets).where(*_is(tenant, table)).values(changes))
        return True
    return False


def _retire_others(db: Connection, tenant: str, connection_id: str, stream: str, kept: TableName) -> None:
    others = (datasets.c.layer != kept.layer) | (datasets.c.name != kept.name)
    db.execute(update(datasets).where(*_filled_by(tenant, connection_id, stream), others).values(retired=True))


def _dataset(row: RowMapping) -> Dataset:
    kept = {name: value for name, value in row.items() if name not in ("layer", "name", "retired")}
    return Dataset(table=TableName(row["layer"], row["name"]), **kept)


def _taken(wanted: Sequence[TableName]) -> ConfigError:
    names = ", ".join(str(table) for table in wanted)
    return ConfigError(
        f"another stream fills {names} already, so this one has no table to go to",
        code="table_taken",
        field="target",
        fix="name another table with the stream's setting `target`",
    )
