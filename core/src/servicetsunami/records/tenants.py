"""Tenants in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from servicetsunami.records.database import upsert
from servicetsunami.records.models import Tenant
from servicetsunami.records.schema import tenants
from servicetsunami.sdk import NotFound


def create(db: Connection, tenant_id: str, title: str, *, now: datetime) -> Tenant:
    """Create a tenant, or return the one that exists."""
    insert = upsert(db, tenants).values(id=tenant_id, title=title, created_at=now)
    db.execute(insert.on_conflict_do_nothing(index_elements=[tenants.c.id]))
    return require(db, tenant_id)


def find(db: Connection, tenant_id: str) -> Tenant | None:
    """Return a tenant; None if there is none of that id."""
    row = db.execute(select(tenants).where(tenants.c.id == tenant_id)).mappings().first()
    return None if row is None else Tenant(**row)


def require(db: Connection, tenant_id: str) -> Tenant:
    """Return a tenant; raises `NotFound`, which names no other tenant."""
    tenant = find(db, tenant_id)
    if tenant is None:
        raise NotFound(
            f"there is no tenant '{tenant_id}'",
            code="tenant_not_found",
            fix="an operator creates it with `tsunami tenants create`",
        )
    return tenant


def listed(db: Connection) -> list[Tenant]:
    """List tenants by id."""
    return [Tenant(**row) for row in db.execute(select(tenants).order_by(tenants.c.id)).mappings()]
