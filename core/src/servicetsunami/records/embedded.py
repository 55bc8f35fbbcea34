"""The system of record in a database of our own: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection as Db

from servicetsunami.records import (
    connections,
    credentials,
    datasets,
    leases,
    runs,
    schedules,
    secret_requests,
    sync_points,
    tenants,
)
from servicetsunami.records.database import Database, hold_lock
from servicetsunami.records.ids import check_connection_name, check_tenant_id
from servicetsunami.records.interface import NONE
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
from servicetsunami.records.rotation import rotate
from servicetsunami.records.vault import Vault
from servicetsunami.sdk import Json, TableName


class EmbeddedRecords:
    """`Records` in one database; made by `open_records`. Each method is one transaction."""

    def __init__(self, database: Database, vault: Vault, clock: Callable[[], datetime]) -> None:
        self._db = database
        self._vault = vault
        self._now = clock

    async def close(self) -> None:
        """Release the database."""
        await self._db.close()

    # tenants

    async def create_tenant(self, tenant_id: str, title: str = "") -> Tenant:
        """Create a tenant, or return it if it exists; raises `ConfigError` for an id that is not well formed."""
        check_tenant_id(tenant_id)
        existing = await self._db.read(lambda db: tenants.find(db, tenant_id))
        if existing is not None:
            return existing
        return await self._db.write(lambda db: tenants.create(db, tenant_id, title, now=self._now()))

    async def tenants(self) -> Sequence[Tenant]:
        """List tenants by id."""
        return await self._db.read(tenants.listed)

    async def require_tenant(self, tenant_id: str) -> Tenant:
        """Return a tenant; raises `NotFound`."""
        return await self._db.read(lambda db: tenants.require(db, tenant_id))

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
        check_connection_name(name)
        values = {"name": name, "connector": connector, **_set_to(settings, secrets, streams, secret_refs)}

        def work(db: Db) -> Connection:
            hold_lock(db, shared=True)
            created = connections.create(db, tenant, now=self._now(), **values)
            credentials.store(db, self._vault, tenant, created.id, secrets)
            return created

        return await self._db.write(work)

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
        values = _set_to(settings, secrets, streams, secret_refs)

        def work(db: Db) -> Connection:
            hold_lock(db, shared=True)
            replaced = connections.replace(db, tenant, connection_id, now=self._now(), **values)
            credentials.store(db, self._vault, tenant, connection_id, secrets)
            return replaced

        return await self._db.write(work)

    async def record_test(self, tenant: str, connection_id: str, problem: Json | None) -> None:
        """Keep the outcome of a test: None if it passed."""
        await self._db.write(lambda db: connections.record_test(db, tenant, connection_id, problem, now=self._now()))

    async def connections(self, tenant: str) -> Sequence[Connection]:
        """List the tenant's connections by name."""
        return await self._db.read(lambda db: connections.listed(db, tenant))

    async def connection(self, tenant: str, id_or_name: str) -> Connection:
        """Return a connection by id or name; raises `NotFound` (code `connection_not_found`) with near names."""
        return await self._db.read(lambda db: connections.find(db, tenant, id_or_name))

    async def delete_connection(self, tenant: str, connection_id: str) -> None:
        """Delete a connection, its secrets and its checkpoints; its tables stay."""
        await self._db.write(lambda db: connections.delete(db, tenant, connection_id))

    async def reveal_secrets(self, tenant: str, connection_id: str) -> dict[str, str]:
        """Open the connection's secrets, at the moment they are needed to dial."""
        return await self._db.read(lambda db: credentials.reveal(db, self._vault, tenant, connection_id))

    async def replace_secret(self, tenant: str, connection_id: str, field: str, value: str, *, instead_of: str) -> bool:
        """Put a secret in the place of one; False if another is stored by now. Raises `NotFound`."""

        def work(db: Db) -> bool:
            hold_lock(db, shared=True)
            name = credentials.Stored(tenant, connection_id, field)
            return credentials.replace(db, self._vault, name, value, instead_of=instead_of)

        return await self._db.write(work)

    # connections that wait for their secrets

    async def create_secret_request(self, request: SecretRequest) -> None:
        """Store a request for secrets."""
        await self._db.write(lambda db: secret_requests.create(db, request, now=self._now()))

    async def secret_request(self, request_id: str) -> SecretRequest | None:
        """Return a request, whosever it is: its id is the hash of a secret. None if there is none or it expired."""
        return await self._db.read(lambda db: secret_requests.find(db, request_id, now=self._now()))

    async def secret_requests(self, tenant: str, subject: str) -> Sequence[SecretRequest]:
        """List a subject's requests that have not expired, the newest first."""
        return await self._db.read(lambda db: secret_requests.listed(db, tenant, subject, now=self._now()))

    async def claim_secret_request(self, request_id: str) -> bool:
        """Take a request that waits for its secrets; of those who answer it at once, one may."""
        return await self._db.write(lambda db: secret_requests.claim(db, request_id, now=self._now()))

    async def change_secret_request(self, request_id: str, **changes: Any) -> None:
        """Note how a request went; `changes` are fields of it."""
        await self._db.write(lambda db: secret_requests.change(db, request_id, changes))

    async def keep_given_secrets(self, request: SecretRequest, given: Mapping[str, str]) -> None:
        """Seal secrets that were given for a request, until it is done or expires."""
        await self._db.write(lambda db: secret_requests.keep_given(db, self._vault, request, given))

    async def given_secrets(self, request: SecretRequest) -> dict[str, str]:
        """Open the secrets that were given for a request; nothing if there are none."""
        return await self._db.read(lambda db: secret_requests.given(db, self._vault, request))

    # keys

    async def hash_key(self, tenant: str) -> bytes:
        """Return the tenant's key for hashed columns, 32 bytes; another one after a rotation of the master key."""
        return self._vault.derive(f"hash/{tenant}")

    async def derived_key(self, purpose: str) -> bytes:
        """Return the installation's key for one purpose, 32 bytes; another one after a rotation of the master key."""
        return self._vault.derive(purpose)

    async def rotate_keys(self) -> int:
        """Seal every secret anew under the current key; returns how many were.

        Where the master key is ours (a file or a keyring), a new one is made first and the older ones are dropped at
        the end. A rotation that was killed is completed by the next; every secret stays readable meanwhile. Raises
        `PermanentError` (`secret_unreadable`) after all others were sealed, and keeps the older keys.
        """
        return await rotate(self._db, self._vault)

    # datasets

    async def claim_table(self, tenant: str, connection_id: str, stream: str, wanted: Sequence[TableName]) -> Dataset:
        """Give the stream the first of the wanted names nobody else owns; the one it has, if it has one already.

        A single wanted name is taken outright, also from a connection that was deleted. Raises `ConfigError`
        (`table_taken`) if every name is another stream's.
        """
        return await self._db.write(lambda db: datasets.claim(db, tenant, connection_id, stream, wanted))

    async def record_sync(self, tenant: str, table: TableName, *, rows: int | None, run_id: str) -> None:
        """Note that a run brought the table up to date."""
        now = self._now()
        await self._db.write(lambda db: datasets.record_sync(db, tenant, table, rows=rows, run_id=run_id, now=now))

    async def datasets(self, tenant: str) -> Sequence[Dataset]:
        """List the tenant's datasets by table."""
        return await self._db.read(lambda db: datasets.listed(db, tenant))

    # runs

    async def create_run(self, tenant: str, kind: str, **fields: Any) -> Run:
        """Create a queued run with a fresh id; `fields` are those of `Run`."""
        return await self._db.write(lambda db: runs.create(db, tenant, kind, fields, now=self._now()))

    async def change_run(self, tenant: str, run_id: str, **changes: Any) -> Run:
        """Change fields of a run; a run that has ended is returned as it is."""
        return await self._db.write(lambda db: runs.change(db, tenant, run_id, changes, now=self._now()))

    async def run(self, tenant: str, run_id: str) -> Run:
        """Return a run; raises `NotFound` (code `run_not_found`)."""
        return await self._db.read(lambda db: runs.find(db, tenant, run_id))

    async def runs(
        self, tenant: str, *, status: RunStatus | None = None, connection_id: str | None = None, limit: int = 50
    ) -> Sequence[Run]:
        """List runs, newest first."""
        return await self._db.read(
            lambda db: runs.listed(db, tenant, status=status, connection_id=connection_id, limit=limit)
        )

    async def request_cancel(self, tenant: str, run_id: str) -> Run:
        """Ask a run to stop; its owner sees it. A final run is returned as it is."""
        return await self.change_run(tenant, run_id, cancel_requested=True)

    async def interrupt_stale_runs(self, older_than: timedelta) -> int:
        """Mark running runs without a heartbeat for so long as interrupted; returns how many."""
        now = self._now()
        # Asked often and seldom true, so it must not queue up with the writers.
        if not await self._db.read(lambda db: runs.any_stale(db, before=now - older_than)):
            return 0
        return await self._db.write(lambda db: runs.interrupt(db, before=now - older_than, now=now))

    async def lease(self, name: str, owner: str, duration: timedelta) -> bool:
        """Take or renew the named lease; False while another owner holds it."""

        def work(db: Db) -> bool:
            # Asked inside the transaction: waiting for the database must not shorten another's lease.
            now = self._now()
            return leases.take(db, name, owner, now=now, until=now + duration)

        return await self._db.write(work)

    async def lease_owner(self, name: str) -> str | None:
        """Return who took the named lease last and did not give it back, expired or not."""
        return await self._db.read(lambda db: leases.owner(db, name))

    async def release(self, name: str, owner: str) -> None:
        """Give the named lease back, if `owner` holds it."""
        await self._db.write(lambda db: leases.release(db, name, owner))

    async def spend(self, name: str, *, until: datetime) -> bool:
        """Use something up that serves once; False if it was used before. It is remembered `until` it is void."""
        return await self._db.write(lambda db: leases.spend(db, name, now=self._now(), until=until))

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
        when = {"kind": kind, "expression": expression, "timezone": timezone, "next_at": next_at}
        values = {**when, "streams": streams, "mode": mode}
        return await self._db.write(lambda db: schedules.create(db, tenant, connection_id, now=self._now(), **values))

    async def schedules(self, tenant: str) -> Sequence[Schedule]:
        """List the tenant's schedules, the oldest first."""
        return await self._db.read(lambda db: schedules.listed(db, tenant))

    async def enable_schedule(self, tenant: str, schedule_id: str, *, next_at: datetime) -> Schedule:
        """Let a schedule run again, from `next_at` on; raises `NotFound` (code `schedule_not_found`)."""
        changes = {"enabled": True, "next_at": next_at}
        return await self._db.write(lambda db: schedules.change(db, tenant, schedule_id, **changes))

    async def disable_schedule(self, tenant: str, schedule_id: str) -> Schedule:
        """Let a schedule rest; raises `NotFound` (code `schedule_not_found`)."""
        return await self._db.write(lambda db: schedules.change(db, tenant, schedule_id, enabled=False))

    async def delete_schedule(self, tenant: str, schedule_id: str) -> Schedule:
        """Delete a schedule and return what it was; raises `NotFound` (code `schedule_not_found`)."""
        return await self._db.write(lambda db: schedules.remove(db, tenant, schedule_id))

    async def due_schedules(self, now: datetime) -> Sequence[Schedule]:
        """List the enabled schedules of every tenant whose next moment is not after `now`, the earliest first."""
        return await self._db.read(lambda db: schedules.due(db, now))

    async def claim_schedule(self, seen: Schedule, *, next_at: datetime, owner: str) -> Run | None:
        """Move a schedule on to `next_at` and create the run for the moment it was seen due at, in one step."""
        return await self._db.write(lambda db: schedules.claim(db, seen, next_at=next_at, owner=owner, now=self._now()))

    async def unfinished_schedules(self) -> Sequence[Schedule]:
        """List the enabled schedules of every tenant whose last run is open, or was interrupted and not made up for."""
        return await self._db.read(schedules.unfinished)

    async def claim_unfinished(self, seen: Schedule, *, owner: str) -> Run | None:
        """Create the run that makes up for the interrupted last one; None for all but one of those who ask."""
        return await self._db.write(lambda db: schedules.claim_again(db, seen, owner=owner, now=self._now()))

    # checkpoints

    async def sync_point(self, tenant: str, connection_id: str, stream: str) -> SyncPoint | None:
        """Return how far the stream's syncs came; None before the first."""
        return await self._db.read(lambda db: sync_points.find(db, tenant, connection_id, stream))

    async def save_sync_point(
        self, tenant: str, connection_id: str, stream: str, *, app: str, seq: int, state: Json
    ) -> None:
        """Keep how far the stream's syncs came."""
        values = {"app": app, "seq": seq, "state": state}
        await self._db.write(lambda db: sync_points.save(db, tenant, connection_id, stream, now=self._now(), **values))


def _set_to(settings: Json, secrets: Mapping[str, str], streams: Json, refs: Mapping[str, str]) -> dict[str, Any]:
    return {"settings": settings, "secret_names": list(secrets), "streams": streams, "secret_refs": dict(refs)}
