"""Runs in the database: queued, then running, then ended for good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from servicetsunami.records import tenants
from servicetsunami.records.ids import new_id
from servicetsunami.records.models import Run, RunChange, RunStatus
from servicetsunami.records.schema import runs
from servicetsunami.sdk import NotFound

_FIXED = frozenset({"id", "tenant", "kind", "created_at"})
_CHANGING = frozenset(field.name for field in fields(Run)) - _FIXED
_OPEN = runs.c.status.in_([status for status in RunStatus if not status.is_final])
_BLANK: Mapping[str, Any] = {
    "status": RunStatus.QUEUED,
    "rows_read": 0,
    "rows_written": 0,
    "rows_rescued": 0,
    "bytes_read": 0,
    "cancel_requested": False,
    "message": "",
    "details": {},
}
_LOST = "The process that executed this run ended before it did. Nothing of it is visible; sync again to complete it."


def create(db: Connection, tenant: str, kind: str, values: RunChange, *, now: datetime) -> Run:
    """Create a queued run."""
    _check_fields(values)
    tenants.require(db, tenant)
    row = {**_BLANK, **values, "id": new_id("run"), "tenant": tenant, "kind": kind, "created_at": now}
    return _run(db.execute(insert(runs).values(row).returning(runs)).mappings().one())


def change(db: Connection, tenant: str, run_id: str, changes: RunChange, *, now: datetime) -> Run:
    """Change fields of a run; one that has ended, or would go back to being queued, is returned as it is."""
    _check_fields(changes)
    status = changes.get("status")
    values = {**_moments(status, now), **changes}
    allowed = runs.c.status == RunStatus.QUEUED if status is RunStatus.QUEUED else _OPEN
    statement = update(runs).where(*_is(tenant, run_id), allowed).values(values).returning(runs)
    row = db.execute(statement).mappings().first() if values else None
    return find(db, tenant, run_id) if row is None else _run(row)


def find(db: Connection, tenant: str, run_id: str) -> Run:
    """Return a run; raises `NotFound`."""
    row = db.execute(select(runs).where(*_is(tenant, run_id))).mappings().first()
    if row is None:
        raise NotFound(
            f"there is no run '{run_id}'",
            code="run_not_found",
            field="run_id",
            fix="list the runs to see their ids",
        )
    return _run(row)


def listed(
    db: Connection, tenant: str, *, status: RunStatus | None, connection_id: str | None, limit: int
) -> list[Run]:
    """List runs, newest first."""
    query = select(runs).where(runs.c.tenant == tenant)
    if status is not None:
        query = query.where(runs.c.status == status)
    if connection_id is not None:
        query = query.where(runs.c.connection_id == connection_id)
    newest = query.order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit)
    return [_run(row) for row in db.execute(newest).mappings()]


def interrupt(db: Connection, *, before: datetime, now: datetime) -> int:
    """Mark the running runs last heard of before a moment as interrupted; returns how many."""
    stale = update(runs).where(*_stale(before))
    return db.execute(stale.values(status=RunStatus.INTERRUPTED, finished_at=now, message=_LOST)).rowcount


def any_stale(db: Connection, *, before: datetime) -> bool:
    """Tell whether a running run was last heard of before a moment."""
    return db.execute(select(runs.c.id).where(*_stale(before)).limit(1)).first() is not None


def _stale(before: datetime) -> tuple[Any, Any]:
    heard = func.coalesce(runs.c.heartbeat_at, runs.c.started_at, runs.c.created_at)
    return runs.c.status == RunStatus.RUNNING, heard < before


def _is(tenant: str, run_id: str) -> tuple[Any, Any]:
    return runs.c.tenant == tenant, runs.c.id == run_id


def _check_fields(values: RunChange) -> None:
    wrong = sorted(values.keys() - _CHANGING)
    if wrong:
        raise TypeError(f"a run has no field to set that is called {', '.join(wrong)}")


def _moments(status: RunStatus | None, now: datetime) -> RunChange:
    if status is None:
        return {}
    if status.is_final:
        return {"finished_at": now}
    return {"started_at": now} if status is RunStatus.RUNNING else {}


def _run(row: RowMapping) -> Run:
    return Run(**{**row, "status": RunStatus(row["status"])})
