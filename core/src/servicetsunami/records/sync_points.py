"""Checkpoints in the database: how far the syncs of a stream came."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from servicetsunami.records import connections
from servicetsunami.records.database import upsert
from servicetsunami.records.models import SyncPoint
from servicetsunami.records.schema import sync_points


def find(db: Connection, tenant: str, connection_id: str, stream: str) -> SyncPoint | None:
    """Return how far the stream's syncs came; None before the first; raises `NotFound` for the connection."""
    connections.require(db, tenant, connection_id)
    table = sync_points.c
    query = select(sync_points).where(
        table.tenant == tenant, table.connection_id == connection_id, table.stream == stream
    )
    row = db.execute(query).mappings().first()
    return None if row is None else SyncPoint(**row)


def save(db: Connection, tenant: str, connection_id: str, stream: str, *, now: datetime, **values: Any) -> None:
    """Keep how far the stream's syncs came."""
    connections.require(db, tenant, connection_id)
    key = {"tenant": tenant, "connection_id": connection_id, "stream": stream}
    changes = {**values, "updated_at": now}
    insert = upsert(db, sync_points).values(**key, **changes)
    db.execute(insert.on_conflict_do_update(index_elements=list(key), set_=changes))
