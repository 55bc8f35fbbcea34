"""What the system of record keeps, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from servicetsunami.sdk import Json, TableName


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """Its process ended before it did; the next run of the stream goes on from what the sink has."""

    @property
    def is_final(self) -> bool:
        """True once nothing more will happen."""
        return self not in (RunStatus.QUEUED, RunStatus.RUNNING)


@dataclass(frozen=True)
class Tenant:
    """Who owns connections, runs and the catalog `tenant_<id>`."""

    id: str
    title: str
    created_at: datetime


@dataclass(frozen=True)
class Connection:
    """One configured source of one tenant. `settings` holds no secret; `secret_names` says which are stored."""

    id: str
    tenant: str
    name: str
    connector: str
    settings: Json
    secret_names: tuple[str, ...]
    streams: Json
    """Settings per stream id: key and cursor, which columns land and how, and more."""
    created_at: datetime
    updated_at: datetime
    tested_at: datetime | None = None
    test_problem: Json | None = None
    """The problem the last test found; None if it passed or never ran."""
    secret_refs: Json = field(default_factory=dict)
    """By field, secrets that somebody else keeps, such as `env:SHOP_PASSWORD`."""


@dataclass(frozen=True)
class SecretRequest:
    """A connection that waits for its secrets, which a person gives on a page."""

    id: str
    """The SHA-256 of what the page's address holds, in hex."""
    tenant: str
    subject: str
    """Who asked, within the tenant."""
    connector: str
    name: str
    settings: Json
    streams: Json
    secret_refs: Json
    fields: tuple[str, ...]
    """The secrets that are asked for."""
    expires_at: datetime
    status: Literal["pending", "testing", "failed", "done"] = "pending"
    connection_id: str | None = None
    tables: int | None = None
    problem: Json | None = None


@dataclass(frozen=True)
class Dataset:
    """A table that a stream of a connection fills: the record of who owns which table name."""

    tenant: str
    table: TableName
    connection_id: str
    stream: str
    rows: int | None = None
    last_run_id: str | None = None
    synced_at: datetime | None = None


@dataclass(frozen=True)
class Run:
    """One execution of a sync, a transform or an upload."""

    id: str
    tenant: str
    kind: str
    status: RunStatus
    connection_id: str | None
    stream: str | None
    table: str | None
    mode: str | None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    heartbeat_at: datetime | None = None
    owner: str | None = None
    """The process that executes it."""
    rows_total: int | None = None
    """Estimate, for progress."""
    rows_read: int = 0
    rows_written: int = 0
    rows_rescued: int = 0
    bytes_read: int = 0
    cancel_requested: bool = False
    message: str = ""
    problem: Json | None = None
    details: Json = field(default_factory=dict)


@dataclass(frozen=True)
class SyncPoint:
    """How far the syncs of one stream came, as last seen in the sink's own commits."""

    tenant: str
    connection_id: str
    stream: str
    app: str
    seq: int
    state: Json
    updated_at: datetime


@dataclass(frozen=True)
class Schedule:
    """When a connection is to be synced again, without anybody asking."""

    id: str
    tenant: str
    connection_id: str
    streams: tuple[str, ...] | None
    """The streams to sync; None means those that have landed by then."""
    mode: str | None
    kind: Literal["cron", "interval"]
    expression: str
    """Five cron fields, or an interval such as `15m`."""
    timezone: str
    """IANA name of the zone whose clock a cron expression speaks of."""
    enabled: bool
    next_at: datetime
    """The moment that is handled next; one in the past is due."""
    created_at: datetime
    last_at: datetime | None = None
    """The moment that was handled last: it is never handled again."""
    last_run_id: str | None = None


RunChange = dict[str, Any]
"""Fields of `Run` to change."""
