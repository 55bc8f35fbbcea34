"""Tenants, connections, datasets and checkpoints are kept as they were given, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from servicetsunami.records import Connection, EmbeddedRecords, open_records, open_vault
from servicetsunami.sdk import ConfigError, NotFound, TableName

pytestmark = pytest.mark.anyio
NewDatabase = Callable[[], str]
_CUSTOMERS, _SHOP_CUSTOMERS = TableName("bronze", "customers"), TableName("bronze", "shop_customers")


@pytest.fixture
def database_url(new_database: NewDatabase) -> str:
    return new_database()


@pytest.fixture
async def records(database_url: str, tmp_path: Path) -> AsyncIterator[EmbeddedRecords]:
    opened = await open_records(database_url, open_vault(tmp_path, master_key=None))
    await opened.create_tenant("acme")
    yield opened
    await opened.close()


async def _connect(records: EmbeddedRecords, name: str = "shop", **changes: Any) -> Connection:
    values = {
        "connector": "postgres",
        "settings": {"host": "db", "port": 5432},
        "secrets": {"password": "first"},
        "streams": {"public.customers": {"cursor": "updated_at"}},
    }
    return await records.create_connection("acme", name=name, **{**values, **changes})


async def test_a_tenant_is_created_once_and_then_returned(records: EmbeddedRecords) -> None:
    first = await records.create_tenant("beta", "Beta Ltd")

    again = await records.create_tenant("beta", "another title")

    assert again == first
    assert first.title == "Beta Ltd"
    assert first.created_at.tzinfo == UTC
    assert [tenant.id for tenant in await records.tenants()] == ["acme", "beta"]
    assert await records.require_tenant("beta") == first


@pytest.mark.parametrize("tenant_id", ["", "Acme", "_acme", "a-b", "a b", "a" * 49, "ä", "a\n"])
async def test_a_tenant_id_that_is_not_well_formed_is_refused(records: EmbeddedRecords, tenant_id: str) -> None:
    with pytest.raises(ConfigError) as refused:
        await records.create_tenant(tenant_id)

    assert refused.value.code == "tenant_invalid"


async def test_an_unknown_tenant_is_not_found_and_others_are_not_named(records: EmbeddedRecords) -> None:
    with pytest.raises(NotFound) as refused:
        await records.require_tenant("acmee")

    assert refused.value.code == "tenant_not_found"
    assert refused.value.did_you_mean == ()


async def test_a_connection_comes_back_as_it_was_stored(records: EmbeddedRecords) -> None:
    created = await _connect(records, secrets={"password": "first", "key": "second"})

    assert await records.connection("acme", created.id) == created
    assert await records.connection("acme", "shop") == created
    assert created.settings == {"host": "db", "port": 5432}
    assert created.streams == {"public.customers": {"cursor": "updated_at"}}
    assert created.secret_names == ("password", "key")
    assert created.id.startswith("conn_")
    assert len(created.id) == len("conn_") + 32
    assert created.created_at.tzinfo == UTC
    assert (created.tested_at, created.test_problem) == (None, None)


async def test_connections_are_listed_by_name(records: EmbeddedRecords) -> None:
    for name in ("shop", "crm", "billing"):
        await _connect(records, name)

    listed = await records.connections("acme")

    assert [connection.name for connection in listed] == ["billing", "crm", "shop"]


async def test_secrets_come_back_only_where_they_are_revealed(records: EmbeddedRecords) -> None:
    created = await _connect(records, secrets={"password": "first", "key": "second"})

    revealed = await records.reveal_secrets("acme", created.id)

    assert revealed == {"password": "first", "key": "second"}
    assert "first" not in repr(await records.connections("acme"))


async def test_a_connection_without_secrets_reveals_none(records: EmbeddedRecords) -> None:
    created = await _connect(records, secrets={})

    assert await records.reveal_secrets("acme", created.id) == {}
    assert created.secret_names == ()


async def test_a_name_in_use_is_refused_and_the_first_connection_stays(records: EmbeddedRecords) -> None:
    first = await _connect(records)

    with pytest.raises(ConfigError) as refused:
        await _connect(records, secrets={"password": "other"})

    assert (refused.value.code, refused.value.field) == ("name_taken", "name")
    assert await records.reveal_secrets("acme", first.id) == {"password": "first"}
    assert await records.connections("acme") == [first]


@pytest.mark.parametrize("name", ["", " ", " shop", "shop\n", "a" * 101, "\x1b[31m"])
async def test_a_name_that_cannot_be_shown_is_refused(records: EmbeddedRecords, name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        await _connect(records, name)

    assert refused.value.code == "name_invalid"


async def test_a_connection_of_an_unknown_tenant_cannot_be_made(records: EmbeddedRecords) -> None:
    with pytest.raises(NotFound) as refused:
        await records.create_connection(
            "nobody", name="shop", connector="postgres", settings={}, secrets={}, streams={}
        )

    assert refused.value.code == "tenant_not_found"


async def test_replacing_a_connection_replaces_the_whole_set_of_secrets(records: EmbeddedRecords) -> None:
    created = await _connect(records, secrets={"password": "first", "key": "second"})

    replaced = await records.replace_connection(
        "acme", created.id, settings={"host": "db2"}, secrets={"token": "third"}, streams={}
    )

    assert await records.connection("acme", created.id) == replaced
    assert (replaced.id, replaced.name, replaced.created_at) == (created.id, "shop", created.created_at)
    assert (replaced.settings, replaced.secret_names, replaced.streams) == ({"host": "db2"}, ("token",), {})
    assert await records.reveal_secrets("acme", created.id) == {"token": "third"}


async def test_a_connection_that_is_not_there_is_answered_with_near_names(records: EmbeddedRecords) -> None:
    await _connect(records)

    with pytest.raises(NotFound) as refused:
        await records.connection("acme", "shpo")

    assert refused.value.code == "connection_not_found"
    assert refused.value.did_you_mean == ("shop",)


async def test_the_outcome_of_a_test_is_kept(records: EmbeddedRecords) -> None:
    created = await _connect(records)

    await records.record_test("acme", created.id, {"code": "auth", "message": "refused"})
    failed = await records.connection("acme", created.id)
    await records.record_test("acme", created.id, None)
    passed = await records.connection("acme", created.id)

    assert failed.test_problem == {"code": "auth", "message": "refused"}
    assert failed.tested_at is not None
    assert passed.test_problem is None
    assert passed.tested_at is not None


async def test_a_deleted_connection_is_gone_with_its_secrets_and_checkpoints(records: EmbeddedRecords) -> None:
    created = await _connect(records)
    await records.save_sync_point("acme", created.id, "public.customers", app="a", seq=1, state={})
    await records.claim_table("acme", created.id, "public.customers", [_CUSTOMERS])

    await records.delete_connection("acme", created.id)

    assert await records.connections("acme") == []
    assert [dataset.table for dataset in await records.datasets("acme")] == [_CUSTOMERS]
    with pytest.raises(NotFound):
        await records.reveal_secrets("acme", created.id)
    with pytest.raises(NotFound):
        await records.delete_connection("acme", created.id)


async def test_a_stream_gets_the_first_name_and_keeps_it(records: EmbeddedRecords) -> None:
    created = await _connect(records)

    first = await records.claim_table("acme", created.id, "public.customers", [_CUSTOMERS, _SHOP_CUSTOMERS])
    again = await records.claim_table("acme", created.id, "public.customers", [_SHOP_CUSTOMERS, _CUSTOMERS])

    assert (first.table, first.connection_id, first.stream) == (_CUSTOMERS, created.id, "public.customers")
    assert again == first


async def test_a_second_connection_gets_the_next_name(records: EmbeddedRecords) -> None:
    first, second = await _connect(records), await _connect(records, "crm")
    wanted = [_CUSTOMERS, TableName("bronze", "crm_customers")]
    await records.claim_table("acme", first.id, "public.customers", wanted)

    claimed = await records.claim_table("acme", second.id, "public.customers", wanted)

    assert str(claimed.table) == "bronze.crm_customers"


async def test_a_name_wanted_outright_moves_the_stream_and_keeps_the_old_table_from_others(
    records: EmbeddedRecords,
) -> None:
    first, second = await _connect(records), await _connect(records, "crm")
    clients = TableName("bronze", "clients")
    await records.claim_table("acme", first.id, "public.customers", [_CUSTOMERS, _SHOP_CUSTOMERS])

    moved = await records.claim_table("acme", first.id, "public.customers", [clients])
    other = await records.claim_table(
        "acme", second.id, "customers", [_CUSTOMERS, TableName("bronze", "crm_customers")]
    )
    back = await records.claim_table("acme", first.id, "public.customers", [_CUSTOMERS])

    assert moved.table == clients
    assert str(other.table) == "bronze.crm_customers"
    assert back.table == _CUSTOMERS
    assert [str(dataset.table) for dataset in await records.datasets("acme")] == [
        "bronze.crm_customers",
        "bronze.customers",
    ]


async def test_a_name_wanted_outright_that_another_stream_fills_is_refused(records: EmbeddedRecords) -> None:
    created = await _connect(records)
    await records.claim_table("acme", created.id, "public.customers", [_CUSTOMERS])

    with pytest.raises(ConfigError) as refused:
        await records.claim_table("acme", created.id, "archive.customers", [_CUSTOMERS])

    assert (refused.value.code, refused.value.field) == ("table_taken", "target")


async def test_the_table_of_a_deleted_connection_is_taken_over_only_outright(records: EmbeddedRecords) -> None:
    gone = await _connect(records)
    await records.claim_table("acme", gone.id, "public.customers", [_CUSTOMERS])
    await records.delete_connection("acme", gone.id)
    created = await _connect(records)

    aside = await records.claim_table("acme", created.id, "public.customers", [_CUSTOMERS, _SHOP_CUSTOMERS])
    outright = await records.claim_table("acme", created.id, "public.customers", [_CUSTOMERS])

    assert aside.table == _SHOP_CUSTOMERS
    assert (outright.table, outright.connection_id) == (_CUSTOMERS, created.id)


async def test_a_sync_is_noted_on_its_table(records: EmbeddedRecords) -> None:
    created = await _connect(records)
    await records.claim_table("acme", created.id, "public.customers", [_CUSTOMERS])

    await records.record_sync("acme", _CUSTOMERS, rows=6_000_000_000, run_id="run_1")

    (dataset,) = await records.datasets("acme")
    assert (dataset.rows, dataset.last_run_id) == (6_000_000_000, "run_1")
    assert dataset.synced_at is not None


async def test_a_sync_of_a_table_nobody_claimed_is_refused_with_near_names(records: EmbeddedRecords) -> None:
    created = await _connect(records)
    await records.claim_table("acme", created.id, "public.customers", [_CUSTOMERS])

    with pytest.raises(NotFound) as refused:
        await records.record_sync("acme", TableName("bronze", "customer"), rows=1, run_id="run_1")

    assert refused.value.code == "table_not_found"
    assert refused.value.did_you_mean == ("bronze.customers",)


async def test_a_checkpoint_is_kept_and_replaced(records: EmbeddedRecords) -> None:
    created = await _connect(records)
    before = await records.sync_point("acme", created.id, "public.customers")

    for seq in (1, 2):
        await records.save_sync_point(
            "acme", created.id, "public.customers", app="app", seq=seq, state={"after": f"2026-01-0{seq}"}
        )
    point = await records.sync_point("acme", created.id, "public.customers")

    assert before is None
    assert point is not None
    assert (point.app, point.seq, point.state) == ("app", 2, {"after": "2026-01-02"})


async def test_what_was_stored_is_there_after_a_restart(
    database_url: str, records: EmbeddedRecords, tmp_path: Path
) -> None:
    created = await _connect(records)
    await records.close()

    again = await open_records(database_url, open_vault(tmp_path, master_key=None))
    found, revealed = await again.connection("acme", "shop"), await again.reveal_secrets("acme", created.id)
    await again.close()

    assert found == created
    assert revealed == {"password": "first"}


async def test_moments_are_kept_in_utc_whatever_the_clock_says(database_url: str, tmp_path: Path) -> None:
    east = datetime.fromisoformat("2026-11-24T23:30:00.123456+05:30")
    records = await open_records(database_url, open_vault(tmp_path, master_key=None), clock=lambda: east)

    await records.create_tenant("acme")
    tenant = await records.require_tenant("acme")
    await records.close()

    assert tenant.created_at == east
    assert tenant.created_at.utcoffset() == timedelta(0)


async def test_keys_rotate_and_every_secret_stays_readable(records: EmbeddedRecords) -> None:
    ids = [(await _connect(records, f"shop {number}", secrets={"password": str(number)})).id for number in range(3)]

    counts = [await records.rotate_keys() for _ in range(2)]

    assert counts == [3, 3]
    assert [await records.reveal_secrets("acme", id_) for id_ in ids] == [{"password": str(n)} for n in range(3)]


async def test_many_writers_of_one_process_all_succeed(records: EmbeddedRecords) -> None:
    await asyncio.gather(*(_connect(records, f"shop {number}") for number in range(40)))

    assert len(await records.connections("acme")) == 40


async def test_a_cancelled_write_leaves_the_records_usable(records: EmbeddedRecords) -> None:
    for turns in range(40):
        task = asyncio.create_task(_connect(records, f"shop {turns}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    created = await _connect(records, "last")

    assert created in await records.connections("acme")
    for connection in await records.connections("acme"):
        assert await records.reveal_secrets("acme", connection.id) == {"password": "first"}
