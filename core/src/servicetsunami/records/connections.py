"""Connections in the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Db
from sqlalchemy import RowMapping, or_, select, update
from sqlalchemy import delete as sql_delete

from servicetsunami.records import tenants
from servicetsunami.records.database import upsert
from servicetsunami.records.ids import new_id
from servicetsunami.records.models import Connection
from servicetsunami.records.schema import connections
from servicetsunami.sdk import ConfigError, Json, NotFound, nearest

_SHOWN = [column for column in connections.c if column is not connections.c.secrets_version]


def create(db: Db, tenant: str, *, now: datetime, **values: Any) -> Connection:
    """Store a connection without secrets; raises `ConfigError` (`name_taken`)."""
    tenants.require(db, tenant)
    row = {"id": new_id("conn"), "tenant": tenant, "secrets_version": 1, "created_at": now, "updated_at": now, **values}
    insert = upsert(db, connections).values(row)
    once = insert.on_conflict_do_nothing(index_elements=[connections.c.tenant, connections.c.name])
    created = db.execute(once.returning(*_SHOWN)).mappings().first()
    if created is None:
        raise ConfigError(
            f"a connection named '{values['name']}' exists already, so another cannot be stored under that name",
            code="name_taken",
            field="name",
            fix="choose another name, or delete the connection first",
        )
    return _connection(created)


def replace(db: Db, tenant: str, connection_id: str, *, now: datetime, **values: Any) -> Connection:
    """Replace what a connection is set to; its secrets get the next version."""
    changes = {"secrets_version": connections.c.secrets_version + 1, "updated_at": now, **values}
    statement = update(connections).where(*_is(tenant, connection_id)).values(changes).returning(*_SHOWN)
    row = db.execute(statement).mappings().first()
    if row is None:
        raise _not_found(db, tenant, connection_id)
    return _connection(row)


def record_test(db: Db, tenant: str, connection_id: str, problem: Json | None, *, now: datetime) -> None:
    """Keep the outcome of a test."""
    changes = {"tested_at": now, "test_problem": problem}
    if not db.execute(update(connections).where(*_is(tenant, connection_id)).values(changes)).rowcount:
        raise _not_found(db, tenant, connection_id)


def listed(db: Db, tenant: str) -> list[Connection]:
    """List the tenant's connections by name."""
    rows = db.execute(select(*_SHOWN).where(connections.c.tenant == tenant).order_by(connections.c.name)).mappings()
    return [_connection(row) for row in rows]


def find(db: Db, tenant: str, id_or_name: str) -> Connection:
    """Return a connection by id, else by name; raises `NotFound` with near names."""
    known_as = or_(connections.c.id == id_or_name, connections.c.name == id_or_name)
    rows = db.execute(select(*_SHOWN).where(connections.c.tenant == tenant, known_as)).mappings().all()
    if not rows:
        raise _not_found(db, tenant, id_or_name)
    return _connection(max(rows, key=lambda row: bool(row["id"] == id_or_name)))


def require(db: Db, tenant: str, connection_id: str, *, lock: bool = False) -> int:
    """Return the version of a connection's secrets, and keep others from changing it; raises `NotFound`."""
    query = select(connections.c.secrets_version).where(*_is(tenant, connection_id))
    found = db.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    if found is None:
        raise _not_found(db, tenant, connection_id)
    return int(found)


def exists(db: Db, tenant: str, connection_id: str) -> bool:
    """Tell whether the tenant has that connection."""
    return db.execute(select(connections.c.id).where(*_is(tenant, connection_id))).first() is not None


def delete(db: Db, tenant: str, connection_id: str) -> None:
    """Delete a connection; what hangs on it goes with it."""
    if not db.execute(sql_delete(connections).where(*_is(tenant, connection_id))).rowcount:
        raise _not_found(db, tenant, connection_id)


def _is(tenant: str, connection_id: str) -> tuple[Any, Any]:
    return connections.c.tenant == tenant, connections.c.id == connection_id


def _connection(row: RowMapping) -> Connection:
    return Connection(**{**row, "secret_names": tuple(row["secret_names"]), "secret_refs": row["secret_refs"] or {}})


def _not_found(db: Db, tenant: str, asked: str) -> NotFound:
    names = db.execute(select(connections.c.name).where(connections.c.tenant == tenant)).scalars()
    return NotFound(
        f"there is no connection '{asked}'",
        code="connection_not_found",
        field="connection_id",
        fix="list the connections to see their names and ids, or connect the source first",
        did_you_mean=nearest(asked, names),
    )
