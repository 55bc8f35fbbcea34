"""The tables of the embedded system of record.

Every table that belongs to a tenant carries it, and whatever hangs on a connection is bound to tenant and connection
together, so that a row of one tenant cannot point into another's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite, which knows no zones, keeps it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware datetime into what the database keeps."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("a datetime without a zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what the database keeps as an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def _json(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, JSON(none_as_null=True), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=nullable)


def _tenant() -> Column[Any]:
    return Column("tenant", String(48), ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False)


def _of_connection() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant", "connection_id"], ["connections.tenant", "connections.id"], ondelete="CASCADE"
    )


tenants = Table(
    "tenants",
    metadata,
    Column("id", String(48), primary_key=True),
    Column("title", Text, nullable=False),
    _time("created_at"),
)

users = Table(
    "users",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("email", String(320), nullable=False, unique=True),
    Column("password_hash", Text, nullable=True),
    Column("title", Text, nullable=False),
    _time("created_at"),
    _time("disabled_at", nullable=True),
)

memberships = Table(
    "memberships",
    metadata,
    Column("tenant", String(48), ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", String(64), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(32), nullable=False),
    _time("created_at"),
)

connections = Table(
    "connections",
    metadata,
    Column("id", String(64), primary_key=True),
    _tenant(),
    Column("name", String(100), nullable=False),
    Column("connector", String(100), nullable=False),
    _json("settings"),
    _json("secret_names"),
    # Kept apart from the secrets themselves, so that an old secret put back is found out.
    Column("secrets_version", Integer, nullable=False),
    _json("streams"),
    # By field, of secrets that somebody else keeps: where they are read when they are needed.
    _json("secret_refs", nullable=True),
    _time("created_at"),
    _time("updated_at"),
    _time("tested_at", nullable=True),
    _json("test_problem", nullable=True),
    UniqueConstraint("tenant", "name"),
    UniqueConstraint("tenant", "id"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("tenant", String(48), primary_key=True),
    Column("connection_id", String(64), primary_key=True),
    Column("field", String(200), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("key_id", String(16), nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
    _of_connection(),
)

datasets = Table(
    "datasets",
    metadata,
    Column("tenant", String(48), ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("layer", String(16), primary_key=True),
    Column("name", String(255), primary_key=True),
    # No foreign key: a table outlives the connection that filled it.
    Column("connection_id", String(64), nullable=False),
    Column("stream", Text, nullable=False),
    # A stream that moved to another name leaves its old table behind; nobody else may write to it.
    Column("retired", Boolean, nullable=False, server_default=false()),
    Column("rows", BigInteger, nullable=True),
    Column("last_run_id", String(64), nullable=True),
    _time("synced_at", nullable=True),
    Index("ix_datasets_tenant_connection_id_stream", "tenant", "connection_id", "stream"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),
    _tenant(),
    Column("kind", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("connection_id", String(64), nullable=True),
    Column("stream", Text, nullable=True),
    Column("table", String(300), nullable=True),
    Column("mode", String(32), nullable=True),
    _time("created_at"),
    _time("started_at", nullable=True),
    _time("finished_at", nullable=True),
    _time("heartbeat_at", nullable=True),
    Column("owner", String(255), nullable=True),
    Column("rows_total", BigInteger, nullable=True),
    Column("rows_read", BigInteger, nullable=False),
    Column("rows_written", BigInteger, nullable=False),
    Column("rows_rescued", BigInteger, nullable=False),
    Column("bytes_read", BigInteger, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("message", Text, nullable=False),
    _json("problem", nullable=True),
    _json("details"),
    Index("ix_runs_tenant_created_at", "tenant", "created_at"),
    Index("ix_runs_status", "status"),
)

sync_points = Table(
    "sync_points",
    metadata,
    Column("tenant", String(48), primary_key=True),
    Column("connection_id", String(64), primary_key=True),
    Column("stream", String(500), primary_key=True),
    Column("app", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    _json("state"),
    _time("updated_at"),
    _of_connection(),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(500), primary_key=True),
    Column("owner", String(500), nullable=False),
    _time("expires_at"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", String(64), primary_key=True),
    _tenant(),
    Column("connection_id", String(64), nullable=False),
    _json("streams", nullable=True),
    Column("mode", String(32), nullable=True),
    Column("kind", String(16), nullable=False),
    Column("expression", String(200), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("enabled", Boolean, nullable=False),
    _time("next_at"),
    _time("last_at", nullable=True),
    Column("last_run_id", String(64), nullable=True),
    _time("created_at"),
    _of_connection(),
    Index("ix_schedules_next_at", "next_at"),
)

secret_requests = Table(
    "secret_requests",
    metadata,
    # The hash of what the page's address holds: who reads the database cannot open the page.
    Column("id", String(64), primary_key=True),
    _tenant(),
    Column("subject", Text, nullable=False),
    Column("connector", String(100), nullable=False),
    Column("name", String(100), nullable=False),
    _json("settings"),
    _json("streams"),
    _json("secret_refs"),
    _json("fields"),
    Column("status", String(16), nullable=False),
    Column("connection_id", String(64), nullable=True),
    Column("tables", Integer, nullable=True),
    _json("problem", nullable=True),
    _time("expires_at"),
    # Secrets that were given already, while the person signs in elsewhere to give the rest.
    Column("sealed", Text, nullable=True),
    Index("ix_secret_requests_expires_at", "expires_at"),
)

agents = Table(
    "agents",
    metadata,
    Column("id", String(64), primary_key=True),
    _tenant(),
    Column("name", String(100), nullable=False),
    Column("connection_id", String(64), nullable=True),
    _json("settings"),
    _time("created_at"),
    UniqueConstraint("tenant", "name"),
    _of_connection(),
)
