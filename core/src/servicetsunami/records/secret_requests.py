"""Connections that wait for their secrets, in the database: known by the hash of what the page's address holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Db
from sqlalchemy import RowMapping, delete, insert, select, update

from servicetsunami.records import tenants
from servicetsunami.records.models import SecretRequest
from servicetsunami.records.schema import secret_requests
from servicetsunami.records.vault import SecretName, Vault

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
    """Note how a request went; what was given for it is forgotten once it is done."""
    done = {"sealed": None} if changes.get("status") == "done" else {}
    statement = update(secret_requests).where(secret_requests.c.id == request_id)
    db.execute(statement.values({**changes, **done}))


def keep_given(db: Db, vault: Vault, request: SecretRequest, given: Mapping[str, str]) -> None:
    """Seal secrets that were given before the person signs in elsewhere; they are forgotten with the request."""
    sealed = vault.seal(_given_name(request), json.dumps(dict(given)))
    change(db, request.id, {"sealed": sealed})


def given(db: Db, vault: Vault, request: SecretRequest) -> dict[str, str]:
    """Open what was given; nothing if there is nothing."""
    query = select(secret_requests.c.sealed).where(secret_requests.c.id == request.id)
    sealed = db.execute(query).scalar_one_or_none()
    return {} if sealed is None else json.loads(vault.open(_given_name(request), sealed))


def _given_name(request: SecretRequest) -> SecretName:
    return SecretName(request.tenant, request.id, "given", 1)


def _request(row: RowMapping) -> SecretRequest:
    told = {name: value for name, value in row.items() if name != "sealed"}
    return SecretRequest(**{**told, "fields": tuple(row["fields"])})
