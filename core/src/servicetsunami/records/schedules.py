"""Schedules in the database: when a connection is to be synced again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from servicetsunami.records import connections, runs
from servicetsunami.records.ids import new_id
from servicetsunami.records.models import Run, RunStatus, Schedule
from servicetsunami.records.schema import runs as run_rows
from servicetsunami.records.schema import schedules
from servicetsunami.sdk import Json, NotFound, nearest

_FIELDS = tuple(column.name for column in schedules.c)


def create(db: Connection, tenant: str, connection_id: str, *, now: datetime, **values: Any) -> Schedule:
    """Store a schedule; raises `NotFound` for the connection."""
    connections.require(db, tenant, connection_id)
    row = {"id": new_id("sched"), "tenant": tenant, "connection_id": connection_id, "created_at": now, **values}
    row |= {"enabled": True, "streams": None if row["streams"] is None else list(row["streams"])}
    return _schedule(db.execute(insert(schedules).values(row).returning(schedules)).mappings().one())


def listed(db: Connection, tenant: str) -> list[Schedule]:
    """List the tenant's schedules, the oldest first."""
    query = select(schedules).where(schedules.c.tenant == tenant).order_by(schedules.c.created_at, schedules.c.id)
    return [_schedule(row) for row in db.execute(query).mappings()]


def due(db: Connection, now: datetime) -> list[Schedule]:
    """List the enabled schedules of every tenant whose next run is due, the one that waits longest first."""
    query = select(schedules).where(schedules.c.enabled, schedules.c.next_at <= now)
    return [_schedule(row) for row in db.execute(query.order_by(schedules.c.next_at, schedules.c.id)).mappings()]


def change(db: Connection, tenant: str, schedule_id: str, **changes: Any) -> Schedule:
    """Change a schedule; raises `NotFound`."""
    statement = update(schedules).where(*_is(tenant, schedule_id)).values(changes).returning(schedules)
    row = db.execute(statement).mappings().first()
    if row is None:
        raise _not_found(db, tenant, schedule_id)
    return _schedule(row)


def remove(db: Connection, tenant: str, schedule_id: str) -> Schedule:
    """Delete a schedule and return what it was; raises `NotFound`."""
    row = db.execute(delete(schedules).where(*_is(tenant, schedule_id)).returning(schedules)).mappings().first()
    if row is None:
        raise _not_found(db, tenant, schedule_id)
    return _schedule(row)


def claim(db: Connection, seen: Schedule, *, next_at: datetime, owner: str, now: datetime) -> Run | None:
    """Move a schedule on from the moment it was seen due at, and create the run; None if somebody else has, or it went.

    Both are one transaction, so a moment is neither run twice nor lost between the two.
    """
    moved = {"next_at": next_at, "last_at": seen.next_at}
    return _run(db, seen, moved, owner=owner, now=now, details={"schedule": seen.id})


def claim_again(db: Connection, seen: Schedule, *, owner: str, now: datetime) -> Run | None:
    """Create the run that makes up for an interrupted one; None if somebody else has, or it went."""
    return _run(db, seen, {}, owner=owner, now=now, details={"schedule": seen.id, "again": True})


def unfinished(db: Connection) -> list[Schedule]:
    """List the enabled schedules whose last run is open, or was interrupted and not made up for, the oldest first."""
    last = (schedules.c.tenant == run_rows.c.tenant) & (schedules.c.last_run_id == run_rows.c.id)
    open_ones = [RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.INTERRUPTED]
    query = select(schedules, run_rows.c.status, run_rows.c.details).join(run_rows, last)
    query = query.where(schedules.c.enabled, run_rows.c.status.in_(open_ones))
    rows = db.execute(query.order_by(schedules.c.created_at, schedules.c.id)).mappings()
    return [_schedule(row) for row in rows if row["status"] != RunStatus.INTERRUPTED or not row["details"].get("again")]


def _run(
    db: Connection, seen: Schedule, moved: dict[str, Any], *, owner: str, now: datetime, details: Json
) -> Run | None:
    as_seen = (schedules.c.enabled, schedules.c.next_at == seen.next_at, _last_is(seen))
    held = update(schedules).where(*_is(seen.tenant, seen.id), *as_seen).values(enabled=True, **moved)
    if not db.execute(held).rowcount:
        return None
    fields = {"connection_id": seen.connection_id, "mode": seen.mode, "owner": owner, "details": details}
    run = runs.create(db, seen.tenant, "sync_all", fields, now=now)
    db.execute(update(schedules).where(*_is(seen.tenant, seen.id)).values(last_run_id=run.id))
    return run


def _last_is(seen: Schedule) -> Any:
    return (
        schedules.c.last_run_id.is_(None) if seen.last_run_id is None else schedules.c.last_run_id == seen.last_run_id
    )


def _is(tenant: str, schedule_id: str) -> tuple[Any, Any]:
    return schedules.c.tenant == tenant, schedules.c.id == schedule_id


def _schedule(row: RowMapping) -> Schedule:
    values = {name: row[name] for name in _FIELDS}
    return Schedule(**{**values, "streams": None if row["streams"] is None else tuple(row["streams"])})


def _not_found(db: Connection, tenant: str, asked: str) -> NotFound:
    ids = db.execute(select(schedules.c.id).where(schedules.c.tenant == tenant)).scalars()
    return NotFound(
        f"there is no schedule '{asked}'",
        code="schedule_not_found",
        field="schedule_id",
        fix="list the schedules to see their ids",
        did_you_mean=nearest(asked, ids),
    )
