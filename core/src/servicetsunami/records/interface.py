"""The system of record as one interface, embedded or remote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal, Protocol

from servicetsunami.records.models import (
    Connection,
    Dataset,
    Run,
    RunStatus,
    Schedule,
    SecretRequest,
    SyncPoint,
    Tenant,
)
from servicetsunami.sdk import Json, TableName

NONE: Mapping[str, str] = MappingProxyType({})


class Records(Protocol):
    """Tenants, connections, credentials, datasets, runs and checkpoints.

    Every method that takes a tenant sees that tenant's rows only; another tenant's id is answered exactly like an
    unknown one, with `NotFound`.
    """

    async def close(self) -> None:
        """Release the database."""

    # tenants

    async def create_tenant(self, tenant_id: str, title: str = "") -> Tenant:
        """Create a tenant, or return it if it exists; raises `ConfigError` for an id that is not well formed."""

    async def tenants(self) -> Sequence[Tenant]:
        """List tenants by id."""

    async def require_tenant(self, tenant_id: str) -> Tenant:
        """Return a tenant; raises `NotFound`."""

    # connections and their credentials

    async def create_connection(
        self,
        tenant: str,
        *,
        name: str,
        connector: str,
        settings: Json,
        secrets: Mapping[str, str],
        streams: Json,
        secret_refs: Mapping[str, str] = NONE,
    ) -> Connection:
        """Store a connection and its sealed secrets; raises `ConfigError` (code `name_taken`) if the name is in use."""

    async def replace_connection(
        self,
        tenant: str,
        connection_id: str,
        *,
        settings: Json,
        secrets: Mapping[str, str],
        streams: Json,
        secret_refs: Mapping[str, str] = NONE,
    ) -> Connection:
        """Replace settings and secrets of a connection; `secrets` and `secret_refs` are the whole new sets."""

    async def record_test(self, tenant: str, connection_id: str, problem: Json | None) -> None:
        """Keep the outcome of a test: None if it passed."""

    async def connections(self, tenant: str) -> Sequence[Connection]:
        """List the tenant's connections by name."""

    async def connection(self, tenant: str, id_or_name: str) -> Connection:
        """Return a connection by id or name; raises `NotFound` (code `connection_not_found`) with near names."""

    async def delete_connection(self, tenant: str, connection_id: str) -> None:
        """Delete a connection, its secrets and its checkpoints; its tables stay."""

    async def reveal_secrets(self, tenant: str, connection_id: str) -> dict[str, str]:
        """Open the connection's secrets, at the moment they are needed to dial."""

    async def replace_secret(self, tenant: str, connection_id: str, field: str, value: str, *, instead_of: str) -> bool:
        """Put a secret in the place of one; False if another is stored by now. Raises `NotFound`."""

    # connections that wait for their secrets

    async def create_secret_request(self, request: SecretRequest) -> None:
        """Store a request for secrets."""

    async def secret_request(self, request_id: str) -> SecretRequest | None:
        """Return a request, whosever it is: its id is the hash of a secret. None if there is none or it expired."""

    async def secret_requests(self, tenant: str, subject: str) -> Sequence[SecretRequest]:
        """List a subject's requests that have not expired, the newest first."""

    async def claim_secret_request(self, request_id: str) -> bool:
        """Take a request that waits for its secrets; of those who answer it at once, one may."""

    async def change_secret_request(self, request_id: str, **changes: Any) -> None:
        """Note how a request went; `changes` are fields of it."""

    async def keep_given_secrets(self, request: SecretRequest, given: Mapping[str, str]) -> None:
        """Seal secrets that were given for a request, until it is done or expires."""

    async def given_secrets(self, request: SecretRequest) -> dict[str, str]:
        """Open the secrets that were given for a request; nothing if there are none."""

    # keys

    async def hash_key(self, tenant: str) -> bytes:
        """Return the tenant's key for hashed columns, 32 bytes; another one after a rotation of the master key."""

    async def derived_key(self, purpose: str) -> bytes:
        """Return the installation's key for one purpose, 32 bytes; another one after a rotation of the master key."""

    async def rotate_keys(self) -> int:
        """Seal every secret anew under the current key; returns how many were."""

    # datasets

    async def claim_table(self, tenant: str, connection_id: str, stream: str, wanted: Sequence[TableName]) -> Dataset:
        """Give the stream the first of the wanted names nobody else owns; the one it has, if it has one already.

        The answer is the same for all processes. A stream that has a name keeps it unless `wanted` names one outright,
        which is then `wanted`'s only entry.
        """

    async def record_sync(self, tenant: str, table: TableName, *, rows: int | None, run_id: str) -> None:
        """Note that a run brought the table up to date."""

    async def datasets(self, tenant: str) -> Sequence[Dataset]:
        """List the tenant's datasets by table."""

    # runs

    async def create_run(self, tenant: str, kind: str, **fields: Any) -> Run:
        """Create a queued run with a fresh id; `fields` are those of `Run`."""

    async def change_run(self, tenant: str, run_id: str, **changes: Any) -> Run:
        """Change fields of a run; a final status never changes again."""

    async def run(self, tenant: str, run_id: str) -> Run:
        """Return a run; raises `NotFound` (code `run_not_found`)."""

    async def runs(
        self, tenant: str, *, status: RunStatus | None = None, connection_id: str | None = None, limit: int = 50
    ) -> Sequence[Run]:
        """List runs, newest first."""

    async def request_cancel(self, tenant: str, run_id: str) -> Run:
        """Ask a run to stop; its owner sees it. A final run is returned as it is."""

    async def interrupt_stale_runs(self, older_than: timedelta) -> int:
        """Mark running runs without a heartbeat for so long as interrupted; returns how many."""

    async def lease(self, name: str, owner: str, duration: timedelta) -> bool:
        """Take or renew the named lease; False while another owner holds it."""

    async def lease_owner(self, name: str) -> str | None:
        """Return who took the named lease last and did not give it back, expired or not."""

    async def release(self, name: str, owner: str) -> None:
        """Give the named lease back, if `owner` holds it."""

    async def spend(self, name: str, *, until: datetime) -> bool:
        """Use something up that serves once; False if it was used before. It is remembered `until` it is void."""

    # schedules

    async def create_schedule(
        self,
        tenant: str,
        connection_id: str,
        *,
        kind: Literal["cron", "interval"],
        expression: str,
        timezone: str,
        next_at: datetime,
        streams: Sequence[str] | None = None,
        mode: str | None = None,
    ) -> Schedule:
        """Store a schedule of a connection, enabled; `next_at` is its first moment."""

    async def schedules(self, tenant: str) -> Sequence[Schedule]:
        """List the tenant's schedules, the oldest first."""

    async def enable_schedule(self, tenant: str, schedule_id: str, *, next_at: datetime) -> Schedule:
        """Let a schedule run again, from `next_at` on; raises `NotFound` (code `schedule_not_found`)."""

    async def disable_schedule(self, tenant: str, schedule_id: str) -> Schedule:
        """Let a schedule rest; raises `NotFound` (code `schedule_not_found`)."""

    async def delete_schedule(self, tenant: str, schedule_id: str) -> Schedule:
        """Delete a schedule and return what it was; raises `NotFound` (code `schedule_not_found`)."""

    async def due_schedules(self, now: datetime) -> Sequence[Schedule]:
        """List the enabled schedules of every tenant whose next moment is not after `now`, the earliest first."""

    async def claim_schedule(self, seen: Schedule, *, next_at: datetime, owner: str) -> Run | None:
        """Move a schedule on to `next_at` and create the run for the moment it was seen due at, in one step.

        None if it has moved on meanwhile, rests or is gone: of those who saw it due, one gets the run.
        """

    async def unfinished_schedules(self) -> Sequence[Schedule]:
        """List the enabled schedules of every tenant whose last run is open, or was interrupted and not made up for."""

    async def claim_unfinished(self, seen: Schedule, *, owner: str) -> Run | None:
        """Create the run that makes up for the interrupted last one; None for all but one of those who ask.

        It is made up for once: if that run is interrupted too, the schedule's next moment is the next try.
        """

    # checkpoints

    async def sync_point(self, tenant: str, connection_id: str, stream: str) -> SyncPoint | None:
        """Return how far the stream's syncs came; None before the first."""

    async def save_sync_point(
        self, tenant: str, connection_id: str, stream: str, *, app: str, seq: int, state: Json
    ) -> None:
        """Keep how far the stream's syncs came."""
