"""A tenant sees its own records only; what is another's is answered exactly like what is not there."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from servicetsunami.records import (
    Connection,
    EmbeddedRecords,
    Records,
    Run,
    Schedule,
    SecretRequest,
    open_records,
    open_vault,
)
from servicetsunami.sdk import NotFound, Problem, TableName

pytestmark = pytest.mark.anyio
_TABLE = TableName("bronze", "customers")
_STREAM = "public.customers"
_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_NIGHTLY: dict[str, Any] = {"kind": "cron", "expression": "0 3 * * *", "timezone": "UTC", "next_at": _NOON}

Call = Callable[[EmbeddedRecords, str, str], Awaitable[object]]
"""What one tenant asks: records, tenant, and an id that is its own, another's or nobody's."""

BY_CONNECTION: dict[str, Call] = {
    "replace_connection": lambda r, t, i: r.replace_connection(t, i, settings={}, secrets={}, streams={}),
    "record_test": lambda r, t, i: r.record_test(t, i, {"code": "x"}),
    "connection": lambda r, t, i: r.connection(t, i),
    "delete_connection": lambda r, t, i: r.delete_connection(t, i),
    "reveal_secrets": lambda r, t, i: r.reveal_secrets(t, i),
    "replace_secret": lambda r, t, i: r.replace_secret(t, i, "password", "x", instead_of="y"),
    "claim_table": lambda r, t, i: r.claim_table(t, i, _STREAM, [TableName("bronze", "other")]),
    "sync_point": lambda r, t, i: r.sync_point(t, i, _STREAM),
    "create_schedule": lambda r, t, i: r.create_schedule(t, i, **_NIGHTLY),
    "save_sync_point": lambda r, t, i: r.save_sync_point(t, i, _STREAM, app="x", seq=9, state={}),
}
BY_RUN: dict[str, Call] = {
    "change_run": lambda r, t, i: r.change_run(t, i, rows_read=9),
    "run": lambda r, t, i: r.run(t, i),
    "request_cancel": lambda r, t, i: r.request_cancel(t, i),
}
BY_SCHEDULE: dict[str, Call] = {
    "enable_schedule": lambda r, t, i: r.enable_schedule(t, i, next_at=_NOON),
    "disable_schedule": lambda r, t, i: r.disable_schedule(t, i),
    "delete_schedule": lambda r, t, i: r.delete_schedule(t, i),
}
LISTS: dict[str, Call] = {
    "connections": lambda r, t, _: r.connections(t),
    "datasets": lambda r, t, _: r.datasets(t),
    "runs": lambda r, t, _: r.runs(t),
    "schedules": lambda r, t, _: r.schedules(t),
    "secret_requests": lambda r, t, _: r.secret_requests(t, "ada"),
}
CREATES: dict[str, Call] = {
    "create_connection": lambda r, t, _: r.create_connection(
        t, name="shop", connector="rest", settings={}, secrets={}, streams={}
    ),
    "create_run": lambda r, t, _: r.create_run(t, "sync"),
}
BY_TABLE = {"record_sync", "hash_key"}
OF_THE_INSTALLATION = {
    "close",
    "create_tenant",
    "tenants",
    "require_tenant",
    "rotate_keys",
    "interrupt_stale_runs",
    "due_schedules",
    "claim_schedule",
    "unfinished_schedules",
    "claim_unfinished",
    "lease",
    "lease_owner",
    "release",
    "derived_key",
    "spend",
    # These ask for the hash of a secret that only whom it was given to knows.
    "create_secret_request",
    "secret_request",
    "claim_secret_request",
    "change_secret_request",
    "keep_given_secrets",
    "given_secrets",
}


def _request(tenant: str) -> SecretRequest:
    return SecretRequest(
        "0" * 64, tenant, "ada", "postgres", "shop", {}, {}, {}, ("password",), datetime.now(UTC) + timedelta(hours=1)
    )


@dataclass(frozen=True)
class _Owned:
    """What the tenant `acme` has."""

    records: EmbeddedRecords
    connection: Connection
    run: Run
    schedule: Schedule

    async def everything(self) -> list[object]:
        """Return all that a change by another tenant could touch."""
        records = self.records
        return [
            await records.connections("acme"),
            await records.reveal_secrets("acme", self.connection.id),
            await records.datasets("acme"),
            await records.runs("acme"),
            await records.schedules("acme"),
            await records.sync_point("acme", self.connection.id, _STREAM),
        ]


@pytest.fixture
async def owned(tmp_path: Path) -> AsyncIterator[_Owned]:
    records = await open_records(f"sqlite:///{tmp_path}/records.db", open_vault(tmp_path, master_key=None))
    for tenant in ("acme", "beta"):
        await records.create_tenant(tenant)
    connection = await records.create_connection(
        "acme", name="shop", connector="postgres", settings={"host": "db"}, secrets={"password": "x"}, streams={}
    )
    run = await records.create_run("acme", "sync", connection_id=connection.id)
    await records.claim_table("acme", connection.id, _STREAM, [_TABLE])
    await records.save_sync_point("acme", connection.id, _STREAM, app="a", seq=1, state={"after": 1})
    schedule = await records.create_schedule("acme", connection.id, **_NIGHTLY)
    await records.create_secret_request(_request("acme"))
    yield _Owned(records, connection, run, schedule)
    await records.close()


def test_every_method_of_the_records_has_a_case_here() -> None:
    methods = {name for name, _ in inspect.getmembers(Records, inspect.isfunction) if not name.startswith("_")}

    covered = {*BY_CONNECTION, *BY_RUN, *BY_SCHEDULE, *LISTS, *CREATES, *BY_TABLE, *OF_THE_INSTALLATION}

    assert methods == covered


def test_every_method_that_is_not_the_installations_takes_the_tenant_first() -> None:
    for name in {*BY_CONNECTION, *BY_RUN, *BY_SCHEDULE, *LISTS, *CREATES, *BY_TABLE}:
        parameters = list(inspect.signature(getattr(Records, name)).parameters)

        assert parameters[1] == "tenant", name


@pytest.mark.parametrize("call", BY_CONNECTION.values(), ids=BY_CONNECTION.keys())
async def test_a_connection_of_another_tenant_is_answered_like_an_unknown_one(owned: _Owned, call: Call) -> None:
    before, unknown = await owned.everything(), f"conn_{'0' * 32}"

    foreign = await _refusal(call, owned.records, owned.connection.id)
    missing = await _refusal(call, owned.records, unknown)

    assert foreign.code == "connection_not_found"
    assert foreign == missing.model_copy(update={"message": missing.message.replace(unknown, owned.connection.id)})
    assert await owned.everything() == before


@pytest.mark.parametrize("call", BY_RUN.values(), ids=BY_RUN.keys())
async def test_a_run_of_another_tenant_is_answered_like_an_unknown_one(owned: _Owned, call: Call) -> None:
    before, unknown = await owned.everything(), f"run_{'0' * 32}"

    foreign = await _refusal(call, owned.records, owned.run.id)
    missing = await _refusal(call, owned.records, unknown)

    assert foreign.code == "run_not_found"
    assert foreign == missing.model_copy(update={"message": missing.message.replace(unknown, owned.run.id)})
    assert await owned.everything() == before


@pytest.mark.parametrize("call", BY_SCHEDULE.values(), ids=BY_SCHEDULE.keys())
async def test_a_schedule_of_another_tenant_is_answered_like_an_unknown_one(owned: _Owned, call: Call) -> None:
    before, unknown = await owned.everything(), f"sched_{'0' * 32}"

    foreign = await _refusal(call, owned.records, owned.schedule.id)
    missing = await _refusal(call, owned.records, unknown)

    assert foreign.code == "schedule_not_found"
    assert foreign == missing.model_copy(update={"message": missing.message.replace(unknown, owned.schedule.id)})
    assert await owned.everything() == before


async def test_a_schedule_that_names_another_tenant_claims_nothing(owned: _Owned) -> None:
    before = await owned.everything()

    foreign = replace(owned.schedule, tenant="beta")
    run = await owned.records.claim_schedule(foreign, next_at=_NOON, owner="me")
    again = await owned.records.claim_unfinished(foreign, owner="me")

    assert (run, again) == (None, None)
    assert await owned.everything() == before


@pytest.mark.parametrize("call", {**BY_CONNECTION, **BY_RUN}.values(), ids={**BY_CONNECTION, **BY_RUN}.keys())
async def test_the_owner_itself_is_answered(owned: _Owned, call: Call) -> None:
    its_own = owned.run.id if call in BY_RUN.values() else owned.connection.id

    await call(owned.records, "acme", its_own)

    assert (await owned.records.run("acme", owned.run.id)).id == owned.run.id


async def test_the_name_of_a_connection_of_another_tenant_is_neither_found_nor_suggested(owned: _Owned) -> None:
    for name in ("shop", "shpo"):
        with pytest.raises(NotFound) as refused:
            await owned.records.connection("beta", name)

        assert refused.value.did_you_mean == ()


@pytest.mark.parametrize("call", LISTS.values(), ids=LISTS.keys())
async def test_a_list_holds_nothing_of_another_tenant(owned: _Owned, call: Call) -> None:
    assert await call(owned.records, "beta", "") == []
    assert await call(owned.records, "acme", "") != []


async def test_runs_of_another_tenants_connection_are_not_listed(owned: _Owned) -> None:
    assert await owned.records.runs("beta", connection_id=owned.connection.id) == []


@pytest.mark.parametrize("call", CREATES.values(), ids=CREATES.keys())
async def test_what_a_tenant_creates_is_its_own(owned: _Owned, call: Call) -> None:
    before = await owned.everything()

    await call(owned.records, "beta", "")

    assert await owned.everything() == before


async def test_what_two_tenants_hash_with_is_not_the_same(owned: _Owned) -> None:
    keys = {await owned.records.hash_key(tenant) for tenant in ("acme", "beta", "acme")}

    assert len(keys) == 2


async def test_two_tenants_may_own_tables_of_one_name(owned: _Owned) -> None:
    records = owned.records
    theirs = await records.create_connection(
        "beta", name="shop", connector="postgres", settings={}, secrets={}, streams={}
    )

    claimed = await records.claim_table("beta", theirs.id, _STREAM, [_TABLE, TableName("bronze", "second")])
    await records.record_sync("beta", _TABLE, rows=5, run_id="run_1")

    assert claimed.table == _TABLE
    assert [dataset.rows for dataset in await records.datasets("acme")] == [None]


async def test_a_sync_of_another_tenants_table_is_answered_like_an_unknown_one(owned: _Owned) -> None:
    with pytest.raises(NotFound) as refused:
        await owned.records.record_sync("beta", _TABLE, rows=5, run_id="run_1")

    assert refused.value.code == "table_not_found"
    assert refused.value.did_you_mean == ()


async def _refusal(call: Call, records: EmbeddedRecords, asked: str) -> Problem:
    with pytest.raises(NotFound) as refused:
        await call(records, "beta", asked)
    return refused.value.problem()
