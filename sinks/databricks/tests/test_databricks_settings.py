"""Signing in, setting a tenant up, and what is said when that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from servicetsunami.sdk import AuthError, ConfigError, Load, PermissionDenied, TableName, TsunamiError
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_lookalike import Lookalike
from servicetsunami_sink_databricks import DatabricksConfig, DatabricksSink


def opened(settings: dict[str, Any], folder: Path, tenant: str = "acme", **changes: Any) -> DatabricksSink:
    config = DatabricksConfig.model_validate({**settings, **changes})
    return DatabricksSink(config, LocalContext(data_dir=folder, tenant=tenant))


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("adb-1.azuredatabricks.net", "https://adb-1.azuredatabricks.net"),
        ("https://adb-1.azuredatabricks.net/", "https://adb-1.azuredatabricks.net"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_a_host_is_read_with_or_without_its_scheme(given: str, taken: str) -> None:
    assert DatabricksConfig(host=given, warehouse_id="w").host == taken


@pytest.mark.parametrize("host", ["http://example.com", "ftp://x", "https://user:secret@x", "https://x/path", ""])
def test_a_host_that_would_give_the_token_away_is_refused(host: str) -> None:
    with pytest.raises(ValidationError) as refused:
        DatabricksConfig(host=host, warehouse_id="w")

    assert "secret" not in str(refused.value)


def test_a_wrong_token_is_said_without_it(settings: dict[str, Any], tmp_path: Path) -> None:
    sink = opened(settings, tmp_path, token="wrong-token-canary")
    with pytest.raises(AuthError) as refused:
        sink.check()

    assert refused.value.code == "sign_in_refused"
    assert "canary" not in repr(refused.value) + str(refused.value.__cause__) + str(refused.value.__context__)


def test_nobody_to_sign_in_is_said(settings: dict[str, Any], tmp_path: Path) -> None:
    sink = opened(settings, tmp_path, token=None)
    with pytest.raises(ConfigError) as refused:
        sink.check()

    assert refused.value.code == "credentials_missing"


def test_a_service_principal_signs_in_by_oauth(lookalike: Lookalike, settings: dict[str, Any], tmp_path: Path) -> None:
    lookalike.add_service_principal("loader-app", "loader-secret", admin=True)
    sink = opened(settings, tmp_path, "oauth", token=None, client_id="loader-app", client_secret="loader-secret")
    sink.check()
    wrong = opened(settings, tmp_path, "oauth", token=None, client_id="loader-app", client_secret="wrong-canary")
    with pytest.raises(AuthError) as refused:
        wrong.check()
    sink.close()

    assert "canary" not in str(refused.value)


def test_a_tenant_is_set_up_by_statements_that_may_run_again(
    lookalike: Lookalike, settings: dict[str, Any], tmp_path: Path
) -> None:
    lookalike.add_service_principal("loader-t1", "s1")
    lookalike.add_service_principal("reader-t1", "s2")
    sink = opened(
        settings,
        tmp_path,
        "t1",
        bind_to_workspace=True,
        loader_principal="loader-{tenant}",
        reader_principal="reader-{tenant}",
    )
    planned = sink.provisioning()
    before = "tenant_t1" in lookalike.workspace.catalogs.names()
    sink.provision()
    sink.provision()
    sink.close()

    assert not before
    assert lookalike.workspace.catalogs.catalog("tenant_t1").isolated
    assert planned[-1].startswith("-- catalog tenant_t1")
    assert planned[0] == "CREATE CATALOG IF NOT EXISTS `tenant_t1` COMMENT 'Tenant t1.'"
    grants = lookalike.workspace.catalogs.grants
    assert grants.on("tenant_t1.bronze._stage") == {"loader-t1": {"READ VOLUME", "WRITE VOLUME"}}
    assert grants.on("tenant_t1.bronze")["reader-t1"] == {"USE SCHEMA", "SELECT"}
    assert "reader-t1" not in grants.on("tenant_t1._ops")


def test_loader_and_reader_do_their_part_and_no_more(
    lookalike: Lookalike, settings: dict[str, Any], tmp_path: Path
) -> None:
    import pyarrow as pa

    from servicetsunami.sdk import QueryLimits
    from servicetsunami.sdk.sql import guard_databricks

    for name in ("loader-t2", "reader-t2"):
        lookalike.add_service_principal(name, f"{name}-secret")
    names = {"loader_principal": "loader-{tenant}", "reader_principal": "reader-{tenant}"}
    admin = opened(settings, tmp_path, "t2", **names)
    admin.provision()
    admin.close()
    signing = {"client_id": "loader-t2", "client_secret": "loader-t2-secret", "auto_create": False, "token": None}
    reading = {"reader_client_id": "reader-t2", "reader_client_secret": "reader-t2-secret"}
    sink = opened(settings, tmp_path, "t2", **signing, **reading)
    table = TableName("bronze", "things")
    rows = pa.RecordBatch.from_pydict({"id": [1, 2]})
    for mode, key in (("append", ()), ("merge", ("id",))):
        transaction = sink.begin(Load(table, rows.schema, app=mode, mode=mode, key=key))  # type: ignore[arg-type]
        transaction.stage(rows)
        transaction.commit(1, {})
        transaction.abort()
    query = guard_databricks("select count(*) as n from bronze.things", catalog="tenant_t2", layers=("bronze",))
    count = sink.query(query, QueryLimits(1)).read_all().to_pylist()
    with pytest.raises(PermissionDenied):
        sink._reader.rows("DELETE FROM `tenant_t2`.`bronze`.`things`", doing="trying")
    with pytest.raises(PermissionDenied):
        sink._reader.rows("SELECT * FROM `tenant_t2`.`_ops`.`commits`", doing="trying")
    sink.close()

    assert count == [{"n": 2}]


def test_a_tenant_that_is_not_set_up_is_said_where_it_may_not_be_made(settings: dict[str, Any], tmp_path: Path) -> None:
    import pyarrow as pa

    sink = opened(settings, tmp_path, "nobody", auto_create=False)
    with pytest.raises(TsunamiError) as refused:
        sink.begin(Load(TableName("bronze", "t"), pa.schema([("id", pa.int64())]), app="a"))

    assert (refused.value.code, "tenants create" in str(refused.value.fix)) == ("tenant_not_set_up", True)
    assert sink.tables() == ()
    sink.close()
