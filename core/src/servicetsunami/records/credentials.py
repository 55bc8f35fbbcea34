"""The secrets of connections in the database, always sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, tuple_, update

from servicetsunami.records import connections
from servicetsunami.records.database import hold_lock
from servicetsunami.records.schema import secrets
from servicetsunami.records.vault import SecretName, Vault, unreadable
from servicetsunami.sdk import PermanentError

_BATCH = 100


@dataclass(frozen=True)
class Resealed:
    """What one step of a rotation did."""

    count: int
    last: tuple[str, str, str] | None
    """The last secret looked at; None if there was none left."""
    unreadable: PermanentError | None


def store(db: Connection, vault: Vault, tenant: str, connection_id: str, values: Mapping[str, str]) -> None:
    """Seal the whole set of a connection's secrets at the version the connection says.

    The caller holds the shared lock: a rotation must not drop the key between the sealing here and the commit.
    """
    version = connections.require(db, tenant, connection_id)
    db.execute(delete(secrets).where(secrets.c.tenant == tenant, secrets.c.connection_id == connection_id))
    for field, value in values.items():
        name = SecretName(tenant, connection_id, field, version)
        sealed = vault.seal(name, value)
        row = {"tenant": tenant, "connection_id": connection_id, "field": field, "version": version}
        db.execute(insert(secrets).values(**row, key_id=Vault.key_id_of(sealed), sealed=sealed))


def reveal(db: Connection, vault: Vault, tenant: str, connection_id: str) -> dict[str, str]:
    """Open a connection's secrets; raises `PermanentError` (`secret_unreadable`) if one is not as it was stored."""
    connection = connections.find(db, tenant, connection_id)
    # The version comes from the connection, so that an old secret that was put back does not open.
    version = connections.require(db, tenant, connection_id)
    query = select(secrets.c.field, secrets.c.sealed)
    rows = db.execute(query.where(secrets.c.tenant == tenant, secrets.c.connection_id == connection_id))
    sealed = {row.field: row.sealed for row in rows}
    for field in connection.secret_names:
        if field not in sealed:
            raise unreadable(connection_id, field)
    return {
        field: vault.open(SecretName(tenant, connection_id, field, version), sealed[field])
        for field in connection.secret_names
    }


@dataclass(frozen=True)
class Stored:
    """Where a secret is stored."""

    tenant: str
    connection_id: str
    field: str


def replace(db: Connection, vault: Vault, place: Stored, value: str, *, instead_of: str) -> bool:
    """Seal another value in the place of one; False if that is not there. The caller holds the shared lock.

    Raises `NotFound` for a connection that is gone.
    """
    tenant, connection_id, field = place.tenant, place.connection_id, place.field
    version = connections.require(db, tenant, connection_id, lock=True)
    if reveal(db, vault, tenant, connection_id).get(field) != instead_of:
        return False
    sealed = vault.seal(SecretName(tenant, connection_id, field, version), value)
    row = (secrets.c.tenant == tenant, secrets.c.connection_id == connection_id, secrets.c.field == field)
    db.execute(update(secrets).where(*row).values(sealed=sealed, key_id=Vault.key_id_of(sealed)))
    return True


def begin_rotation(db: Connection, vault: Vault) -> None:
    """Make a new key, unless an earlier rotation that did not end has made it, or an operator does."""
    hold_lock(db)
    if vault.makes_keys and not vault.is_rotating():
        vault.add_key()


def reseal(db: Connection, vault: Vault, after: tuple[str, str, str] | None) -> Resealed:
    """Seal a batch of secrets that are under older keys anew; each batch stands for itself."""
    hold_lock(db, shared=True)
    newest, key = vault.key_id, (secrets.c.tenant, secrets.c.connection_id, secrets.c.field)
    query = select(secrets).where(secrets.c.key_id != newest).order_by(*key).limit(_BATCH).with_for_update()
    rows = db.execute(query if after is None else query.where(tuple_(*key) > after)).all()
    count, problem = 0, None
    for row in rows:
        name = SecretName(row.tenant, row.connection_id, row.field, row.version)
        try:
            sealed = vault.seal(name, vault.open(name, row.sealed))
        except PermanentError as error:
            problem = problem or error
            continue
        where = [column == getattr(row, column.name) for column in key]
        db.execute(update(secrets).where(*where).values(sealed=sealed, key_id=Vault.key_id_of(sealed)))
        count += 1
    last = (rows[-1].tenant, rows[-1].connection_id, rows[-1].field) if rows else None
    return Resealed(count, last, problem)


def end_rotation(db: Connection, vault: Vault) -> bool:
    """Drop the older keys; False if a secret was sealed under one in the meantime."""
    hold_lock(db)
    if db.execute(select(secrets.c.field).where(secrets.c.key_id != vault.key_id).limit(1)).first() is not None:
        return False
    if vault.makes_keys and vault.is_rotating():
        vault.drop_old_keys()
    return True
