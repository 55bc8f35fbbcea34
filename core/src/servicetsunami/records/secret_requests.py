"""Connections that wait for their secrets, in the database: known by the hash of what the page's address holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Db
from sqlalchemy import RowMapping, delete, insert, select, update

from servicetsunami.records import tenants
from servicetsunami.records.models import SecretRequest
from servicetsunami.records.schema import secret_requests

MOST_OF_ONE = 50
"""How many requests of one subject are kept: whoever asks again and again fills no database."""


def create(db: Db, request: SecretRequest, *, now: datetime) -> None:
    """Store a request; forget those that have expired, and the oldest of a subject who has too many."""
    tenants.require(db, request.tenant)
    db.execute(delete(secret_requests).where(secret_requests.c.expires_at <= now))
    kept = listed(db, request.tenant, request.subject, now=now)
    surplus = [one.id for one in kept[MOST_OF_ONE - 1 :]]
    db.execute(delete(secret_requests).where(secret_requests.c.id.in_(surplus)))
    db.execute(insert(secret_requests).values({**asdict(request), "fields": list(request.fields)}))


def find(db: Db, request_id: str, *, now: datetime) -> SecretRequest | None:
    """Return a request; None if there is none or it expired."""
    query = select(secret_requests).where(secret_requests.c.id == request_id, secret_requests.c.expires_at > now)
    row = db.execute(query).mappings().first()
    return _request(row) if row is not None else None


def listed(db: Db, tenant: str, subject: str, *, now: datetime) -> list[SecretRequest]:
    """List a subject's requests that have not expired, the newest first."""
    theirs = (secret_requests.c.tenant == tenant, secret_requests.c.subject == subject)
    query = select(secret_requests).where(*theirs, secret_requests.c.expires_at > now)
    rows = db.execute(query.order_by(secret_requests.c.expires_at.desc())).mappings()
    return [_request(row) for row in rows]


def claim(db: Db, request_id: str, *, now: datetime) -> bool:
    """Take a request that waits for its secrets; False if another has it, or it expired."""
    waits = (secret_requests.c.status.in_(("pending", "failed")), secret_requests.c.expires_at > now)
    statement = update(secret_requests).where(secret_requests.c.id == request_id, *waits)
    return bool(db.execute(statement.values(status="testing")).rowcount)


def change(db: Db, request_id: str, changes: Mapping[str, Any]) -> None:
    """Note how a request went."""
    db.execute(update(secret_requests).where(secret_requests.c.id == request_id).values(dict(changes)))


def _request(row: RowMapping) -> SecretRequest:
    return SecretRequest(**{**row, "fields": tuple(row["fields"])})
