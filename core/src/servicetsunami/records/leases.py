"""Leases: who may do a thing that only one process at a time may do, and what was used up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, or_, select

from servicetsunami.records.database import upsert
from servicetsunami.records.schema import leases

_SPENT = "spent/"


def take(db: Connection, name: str, owner: str, *, now: datetime, until: datetime) -> bool:
    """Take or renew a lease that is free, expired or the owner's own; False where it is another's."""
    insert = upsert(db, leases).values(name=name, owner=owner, expires_at=until)
    statement = insert.on_conflict_do_update(
        index_elements=[leases.c.name],
        set_={"owner": owner, "expires_at": until},
        where=or_(leases.c.owner == owner, leases.c.expires_at <= now),
    ).returning(leases.c.name)
    return db.execute(statement).first() is not None


def owner(db: Connection, name: str) -> str | None:
    """Return who holds a lease, or held it until it expired."""
    found: str | None = db.scalar(select(leases.c.owner).where(leases.c.name == name))
    return found


def release(db: Connection, name: str, owner: str) -> None:
    """Give a lease back, if it is the owner's."""
    db.execute(delete(leases).where(leases.c.name == name, leases.c.owner == owner))


def spend(db: Connection, name: str, *, now: datetime, until: datetime) -> bool:
    """Note that something was used up; False if it was before. What is void by now is forgotten."""
    db.execute(delete(leases).where(leases.c.name.startswith(_SPENT), leases.c.expires_at <= now))
    insert = upsert(db, leases).values(name=f"{_SPENT}{name}", owner="", expires_at=until)
    statement = insert.on_conflict_do_nothing(index_elements=[leases.c.name]).returning(leases.c.name)
    return db.execute(statement).first() is not None
