"""What loads leave in the catalog besides their rows, and what they do when things change on the way."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Cancelled, Load, PermissionDenied, TableName, TransientError
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_lookalike import Fault, Lookalike
from servicetsunami_sink_databricks import DatabricksConfig, DatabricksSink


@pytest.fixture
def table() -> TableName:
    return TableName("bronze", f"t_{uuid.uuid4().hex[:8]}")


def batch(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def staged(lookalike: Lookalike, table: TableName) -> list[str]:
    folder = lookalike.workspace.folder / "volumes" / "tenant_acme" / "bronze" / "_stage" / str(table)
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


def test_columns_that_come_on_the_way_are_in_every_file(catalog: Any, lookalike: Lookalike, table: TableName) -> None:
    for mode, key in (("append", ()), ("merge", ("id",))):
        name = TableName("bronze", f"{table.name}_{mode}")
        catalog.load(
            name,
            batch(id=[1, 2], name=["a", "b"]),
            batch(id=[3], name=["c"], extra=[0.5]),
            batch(id=[4], late=["x"], name=["d"]),
            mode=mode,
            key=key,
        )

        assert catalog.rows(f"select id, name, extra, late from {name} order by id") == [
            {"id": 1, "name": "a", "extra": None, "late": None},
            {"id": 2, "name": "b", "extra": None, "late": None},
            {"id": 3, "name": "c", "extra": 0.5, "late": None},
            {"id": 4, "name": "d", "extra": None, "late": "x"},
        ]
        assert staged(lookalike, name) == []


def test_a_load_of_several_files_is_one_statement(
    settings: dict[str, Any], lookalike: Lookalike, table: TableName, tmp_path: Path
) -> None:
    config = DatabricksConfig.model_validate({**settings, "part_mb": 1})
    sink = DatabricksSink(config, LocalContext(data_dir=tmp_path, tenant="acme"))
    lookalike.faults.clear()
    rows = pa.RecordBatch.from_pydict({"id": list(range(200_000)), "text": [uuid.uuid4().hex for _ in range(200_000)]})
    transaction = sink.begin(Load(table, rows.schema, app="app"))
    for start in range(0, 200_000, 20_000):
        transaction.stage(rows.slice(start, 20_000))
    for _ in range(12):
        transaction.stage(rows)
    transaction.commit(1, {})
    transaction.abort()
    count = sink.describe(table).summary.rows
    sink.close()

    uploads = [label for label in lookalike.faults.seen if label.startswith("PUT /api/2.0/fs/files/")]
    copies = [label for label in lookalike.faults.seen if label.startswith("ExecuteStatement COPY INTO")]
    assert count == 13 * 200_000
    assert (len(uploads) > 3, len(copies)) == (True, 1)
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_table_says_where_it_comes_from(catalog: Any, lookalike: Lookalike, table: TableName) -> None:
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("name", pa.string())])
    rows = pa.RecordBatch.from_pydict({"id": [1], "name": ["a"]}, schema=schema)
    catalog.load(table, rows, mode="merge", key=("id",), comment="What it is.")
    kept = lookalike.workspace.catalogs.table(("tenant_acme", "bronze", table.name))
    told = catalog.sink.describe(table).tags

    assert (kept.comment, kept.clustered_by, kept.primary_key) == ("What it is.", ("id",), ("id",))
    assert (kept.tags, told["servicetsunami_tenant"]) == (told, "acme")
    assert kept.properties["delta.enableTypeWidening"] == "true"


def test_files_of_loads_that_died_go_when_they_are_old(
    settings: dict[str, Any], lookalike: Lookalike, table: TableName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = LocalContext(data_dir=tmp_path, tenant="acme")
    dying = DatabricksSink(DatabricksConfig.model_validate({**settings, "part_mb": 1}), ctx)
    rows = pa.RecordBatch.from_pydict({"text": [uuid.uuid4().hex * 40 for _ in range(40_000)]})
    transaction = dying.begin(Load(table, rows.schema, app="app"))
    monkeypatch.setattr("servicetsunami_sink_databricks.parts._GROUP_BYTES", 1)
    transaction.stage(rows)
    transaction.stage(rows)
    transaction._parts.finish()  # type: ignore[attr-defined]
    young = staged(lookalike, table)
    again = DatabricksSink(DatabricksConfig.model_validate(settings), ctx)
    again.begin(Load(table, rows.schema, app="app")).abort()
    kept = staged(lookalike, table)
    monkeypatch.setattr("servicetsunami_sink_databricks.stage.timedelta", lambda hours: -_days(hours))
    again.begin(Load(table, rows.schema, app="app")).abort()
    again.close()
    dying.close()

    assert young
    assert kept == young
    assert staged(lookalike, table) == []


def _days(hours: float) -> Any:
    from datetime import timedelta

    return timedelta(hours=hours)


def test_what_the_warehouse_refuses_leaves_nothing(catalog: Any, lookalike: Lookalike, table: TableName) -> None:
    catalog.load(table, batch(id=[1]))
    principal = "plain@lookalike.test"
    lookalike.add_user("plain-token", principal)
    for right in ("USE CATALOG ON CATALOG {c}", "USE SCHEMA ON SCHEMA {c}.bronze", "SELECT ON SCHEMA {c}.bronze"):
        _grant(catalog, f"GRANT {right.replace('{c}', 'tenant_acme')} TO `{principal}`")
    for right in ("USE SCHEMA", "SELECT", "MODIFY"):
        _grant(catalog, f"GRANT {right} ON SCHEMA tenant_acme._ops TO `{principal}`")
    _grant(catalog, f"GRANT READ VOLUME, WRITE VOLUME ON VOLUME tenant_acme.bronze._stage TO `{principal}`")
    config = DatabricksConfig.model_validate({**catalog.sink.config.model_dump(), "token": "plain-token"})
    poor = DatabricksSink(config, catalog.ctx)
    transaction = poor.begin(Load(table, batch(id=[2]).schema, app="app"))
    transaction.stage(batch(id=[2]))
    with pytest.raises(PermissionDenied) as refused:
        transaction.commit(2, {"at": 2})
    transaction.abort()
    last = poor.committed(Load(table, batch(id=[2]).schema, app="app"))
    poor.close()

    assert (refused.value.code, "MODIFY" in str(refused.value)) == ("not_granted", True)
    assert (last.seq, staged(lookalike, table)) == (1, [])
    assert catalog.rows(f"select id from {table}") == [{"id": 1}]


def _grant(catalog: Any, statement: str) -> None:
    catalog.sink._loader.rows(statement, doing="granting")


def test_a_cancelled_load_is_whole_or_not_there(catalog: Any, lookalike: Lookalike, table: TableName) -> None:
    catalog.load(table, batch(id=[1]))
    load = Load(table, batch(id=[2]).schema, app="app")
    transaction = catalog.sink.begin(load)
    transaction.stage(batch(id=[2]))
    lookalike.faults.add(Fault("slow", "ExecuteStatement COPY INTO", seconds=60))
    catalog.ctx.cancel()
    with pytest.raises(Cancelled):
        transaction.commit(2, {"at": 2})
    transaction.abort()
    lookalike.faults.clear()
    catalog.ctx.__dict__.pop("_cancelled", None)
    fresh = DatabricksSink(catalog.sink.config, LocalContext(data_dir=catalog.ctx.data_dir, tenant="acme"))
    last, rows = fresh.committed(load), fresh.describe(table).summary.rows
    fresh.close()

    assert (last.seq, rows) == (2, 2)
    assert staged(lookalike, table) == []


def test_a_workspace_that_is_away_is_said_and_nothing_is_lost(
    catalog: Any, lookalike: Lookalike, table: TableName
) -> None:
    catalog.load(table, batch(id=[1]))
    transaction = catalog.sink.begin(Load(table, batch(id=[2]).schema, app="app"))
    transaction.stage(batch(id=[2]))
    lookalike.faults.add(Fault("broken", "ExecuteStatement MERGE"))
    with pytest.raises(TransientError):
        transaction.commit(2, {})
    transaction.abort()

    assert catalog.rows(f"select id from {table}") == [{"id": 1}]
    assert catalog.sink.committed(Load(table, batch(id=[2]).schema, app="app")).seq == 1


def test_a_table_that_may_not_be_tagged_has_its_rows_once(
    catalog: Any, table: TableName, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.load(TableName("bronze", f"{table.name}_first"), batch(id=[1]))
    from sqlglot import exp

    from servicetsunami_lookalike.sql import altering, errors

    def refuse(*_: object) -> None:
        raise errors.denied("somebody", "APPLY TAG", str(table))

    monkeypatch.setitem(altering._ACTIONS, exp.AlterSet, refuse)
    catalog.load(table, batch(id=[1, 2]))

    assert catalog.rows(f"select count(*) as n from {table}") == [{"n": 2}]
    assert catalog.sink.committed(Load(table, batch(id=[2]).schema, app="app")).seq == 1


def test_generations_of_loads_that_died_go_when_they_are_old(
    catalog: Any, lookalike: Lookalike, table: TableName, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.load(table, batch(id=[1]))
    catalog.load(table, batch(id=[2]), generation="gone")
    ops = lookalike.workspace.catalogs.schema("tenant_acme", "_ops").tables
    before = [name for name in ops if name.startswith("aside_")]
    monkeypatch.setattr("servicetsunami_sink_databricks.commits.timedelta", lambda hours: -_days(hours))
    catalog.sink.begin(Load(table, batch(id=[1]).schema, app="app")).abort()

    assert len(before) == 1
    assert [name for name in ops if name.startswith("aside_")] == []
    assert catalog.rows(f"select id from {table}") == [{"id": 1}]
