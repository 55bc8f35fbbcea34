"""Loads: append, merge by key, full refresh, and how schemas change on the way."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from servicetsunami.sdk import Cancelled, Commit, ConfigError, DataError, Load, NotFound, TableName
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink

ORDERS = TableName("bronze", "orders")


def orders(*ids: int, name: str = "a") -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64()), "name": pa.array([name] * len(ids), pa.string())})


def test_rows_and_state_of_a_commit_appear_together(lakehouse: Any) -> None:
    rows = orders(1, 2)
    transaction = lakehouse.sink.begin(Load(ORDERS, rows.schema, app="app"))

    transaction.stage(rows.to_batches()[0])
    with pytest.raises(NotFound):
        lakehouse.sink.describe(ORDERS)
    transaction.commit(1, {"at": 2})

    assert lakehouse.rows() == [(1, "a"), (2, "a")]
    assert lakehouse.sink.committed(Load(ORDERS, rows.schema, app="app")) == Commit(1, {"at": 2})


def test_the_state_survives_checkpoints_and_cleaning_of_the_log(lakehouse: Any) -> None:
    for seq in range(1, 25):
        lakehouse.load(orders(seq), seq, {"seq": seq})

    log = lakehouse.ctx.data_dir / "tenant_acme/bronze/orders/_delta_log"
    for entry in sorted(log.glob("*.json"))[:20]:
        entry.unlink()
    found = lakehouse.sink.committed(Load(ORDERS, orders().schema, app="app"))

    assert list(log.glob("*.checkpoint.parquet"))
    assert found == Commit(24, {"seq": 24})
    assert len(lakehouse.rows()) == 24


def test_a_commit_made_twice_or_late_is_dropped_with_its_rows(lakehouse: Any) -> None:
    lakehouse.load(orders(1), 3, {"first": True})

    lakehouse.load(orders(2), 3, {"again": True})
    lakehouse.load(orders(3), 2, {"late": True})

    folder = lakehouse.ctx.data_dir / "tenant_acme/bronze/orders"
    assert lakehouse.rows() == [(1, "a")]
    assert lakehouse.sink.committed(Load(ORDERS, orders().schema, app="app")).state == {"first": True}
    assert len(list(folder.glob("*.parquet"))) == 1


def test_two_handles_that_read_the_same_version_commit_once(lakehouse: Any) -> None:
    rows = orders(1)
    first, second = (lakehouse.sink.begin(Load(ORDERS, rows.schema, app="app")) for _ in range(2))
    for transaction in (first, second):
        transaction.stage(rows.to_batches()[0])

    first.commit(1, {"by": "first"})
    second.commit(1, {"by": "second"})

    assert lakehouse.rows() == [(1, "a")]
    assert lakehouse.sink.committed(Load(ORDERS, rows.schema, app="app")).state == {"by": "first"}


def test_an_abandoned_load_leaves_nothing_after_abort(lakehouse: Any) -> None:
    lakehouse.load(orders(1), 1)
    rows = orders(2)
    transaction = lakehouse.sink.begin(Load(ORDERS, rows.schema, app="app"))
    transaction.stage(rows.to_batches()[0])

    transaction.abort()
    transaction.abort()

    assert lakehouse.rows() == [(1, "a")]
    assert len(list((lakehouse.ctx.data_dir / "tenant_acme/bronze/orders").glob("*.parquet"))) == 1


def test_merge_replaces_rows_of_a_key_and_the_last_one_wins(lakehouse: Any) -> None:
    lakehouse.load(orders(1, 2, 3), 1)
    changed = pa.concat_tables([orders(2, 4, name="b"), orders(4, name="c")])

    lakehouse.load(changed, 2, mode="merge", key=("id",))

    assert lakehouse.rows() == [(1, "a"), (2, "b"), (3, "a"), (4, "c")]


def test_a_merge_that_is_cancelled_leaves_the_table_as_it_was(lakehouse: Any) -> None:
    lakehouse.load(orders(*range(1000)), 1)
    before = {path.name: path.read_bytes() for path in lakehouse.ctx.data_dir.rglob("*") if path.is_file()}
    transaction = lakehouse.sink.begin(Load(ORDERS, orders(1).schema, app="app", mode="merge", key=("id",)))
    for batch in orders(*range(500, 1500), name="b").to_batches():
        transaction.stage(batch)
    lakehouse.ctx.cancel()

    with pytest.raises(Cancelled):
        transaction.commit(2, {})

    assert {path.name: path.read_bytes() for path in lakehouse.ctx.data_dir.rglob("*") if path.is_file()} == before


def test_merge_compares_keys_of_several_columns_and_nulls(lakehouse: Any) -> None:
    def rows(*values: tuple[Any, Any, str]) -> pa.Table:
        ids, regions, names = zip(*values, strict=True)
        return pa.table(
            {"id": pa.array(ids, pa.int64()), "region": pa.array(regions, pa.string()), "name": pa.array(names)}
        )

    lakehouse.load(rows((1, "x", "a"), (1, None, "a"), (None, "x", "a")), 1)

    lakehouse.load(rows((1, None, "b"), (None, "x", "b"), (None, None, "b")), 2, mode="merge", key=("id", "region"))

    assert lakehouse.rows("SELECT * FROM bronze.orders ORDER BY id, region") == [
        (None, None, "b"),
        (None, "x", "b"),
        (1, None, "b"),
        (1, "x", "a"),
    ]


def test_merge_rewrites_only_the_files_that_hold_a_key(lakehouse: Any) -> None:
    folder = lakehouse.ctx.data_dir / "tenant_acme/bronze/orders"
    lakehouse.load(orders(1, 2), 1)
    untouched = set(folder.glob("*.parquet"))
    lakehouse.load(orders(100, 200), 2)

    lakehouse.load(orders(100, name="b"), 3, mode="merge", key=("id",))

    log = folder / "_delta_log/00000000000000000002.json"
    removed = [
        entry["remove"]["path"] for entry in map(json.loads, log.read_text("utf-8").splitlines()) if "remove" in entry
    ]
    assert len(removed) == 1
    assert removed[0] not in {file.name for file in untouched}
    assert lakehouse.rows() == [(1, "a"), (2, "a"), (100, "b"), (200, "a")]


def test_a_merge_without_its_key_is_refused(lakehouse: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        lakehouse.load(orders(1), 1, mode="merge", key=("number",))

    assert refused.value.code == "key_missing"
    assert "'number'" in str(refused.value)


def test_a_generation_is_invisible_until_it_replaces_the_table(lakehouse: Any) -> None:
    lakehouse.load(orders(1), 1)
    load = Load(ORDERS, orders().schema, app="app", generation="g 1/..")

    lakehouse.load(orders(7, 8, name="new"), 1, {"part": 1}, generation="g 1/..")
    seen, aside = lakehouse.rows(), lakehouse.sink.committed(load)
    lakehouse.sink.replace(load, 2, {"done": True})
    lakehouse.sink.replace(load, 2, {"twice": True})

    assert seen == [(1, "a")]
    assert aside == Commit(1, {"part": 1})
    assert lakehouse.rows() == [(7, "new"), (8, "new")]
    assert lakehouse.sink.committed(Load(ORDERS, orders().schema, app="app")) == Commit(2, {"done": True})
    assert [table.table for table in lakehouse.sink.tables()] == [ORDERS]


def test_an_empty_generation_leaves_an_empty_table_with_its_columns(lakehouse: Any) -> None:
    lakehouse.load(orders(1), 1)

    lakehouse.sink.replace(Load(ORDERS, orders().schema, app="app", generation="empty"), 2, {})

    assert lakehouse.rows() == []
    assert [column.name for column in lakehouse.sink.describe(ORDERS).columns] == ["id", "name"]


def test_a_full_refresh_may_change_a_type(lakehouse: Any) -> None:
    lakehouse.load(orders(1), 1)
    texts = pa.table({"id": ["x"], "name": ["b"]})

    lakehouse.load(texts, 1, generation="g")
    lakehouse.sink.replace(Load(ORDERS, texts.schema, app="app", generation="g"), 2, {})

    assert lakehouse.rows() == [("x", "b")]


def test_a_discarded_generation_is_gone(lakehouse: Any) -> None:
    lakehouse.load(orders(1), 1, generation="g")

    lakehouse.sink.discard(ORDERS, "g")
    lakehouse.sink.discard(ORDERS, "g")

    assert lakehouse.sink.committed(Load(ORDERS, orders().schema, app="app", generation="g")) == Commit()
    assert not list((lakehouse.ctx.data_dir / "tenant_acme").rglob("*.parquet"))


def test_a_new_column_is_added_and_older_rows_have_null(lakehouse: Any) -> None:
    lakehouse.load(orders(1), 1)
    wider = orders(2).append_column("due", pa.array([date(2024, 1, 1)]))

    lakehouse.load(wider, 2)
    lakehouse.load(orders(3), 3)

    assert lakehouse.rows() == [(1, "a", None), (2, "a", date(2024, 1, 1)), (3, "a", None)]


@pytest.mark.parametrize(
    ("narrow", "wide", "value", "described"),
    [
        (pa.int8(), pa.int64(), 2**40, "BIGINT"),
        (pa.int16(), pa.int32(), 2**20, "INT"),
        (pa.float32(), pa.float64(), 0.1, "DOUBLE"),
        (pa.decimal128(5, 2), pa.decimal128(12, 4), Decimal("12345678.1234"), "DECIMAL(12,4)"),
        (pa.int16(), pa.decimal128(5, 2), Decimal("123.25"), "DECIMAL(12,2)"),
        (pa.int64(), pa.decimal128(24, 4), Decimal("12345678901234567890.1234"), "DECIMAL(24,4)"),
        (pa.int32(), pa.float64(), 0.5, "DOUBLE"),
        (pa.date32(), pa.timestamp("us"), datetime(2024, 2, 29, 1, 2, 3, 4), "TIMESTAMP_NTZ"),
    ],
)
@pytest.mark.parametrize("mode", ["append", "merge", "apply"])
def test_a_type_widens_where_that_is_allowed(
    lakehouse: Any, mode: str, narrow: pa.DataType, wide: pa.DataType, value: Any, described: str
) -> None:
    one: Any = date(2024, 1, 2) if pa.types.is_date(narrow) else Decimal(1) if pa.types.is_decimal(narrow) else 1

    def load(seq: int, kind: pa.DataType, held: Any, **more: Any) -> None:
        rows = pa.table({"id": pa.array([seq], pa.int64()), "held": pa.array([held], kind), "_op": ["c"]})
        options = {"key": ("id",), "mode": mode, **more}
        lakehouse.load(rows if mode == "apply" else rows.drop_columns("_op"), seq, **options)

    load(1, narrow, one)
    load(2, wide, value, evolve="widen")
    last = 13 if mode == "append" else 4  # so far that the log is summed up once
    for seq in range(3, last):
        load(seq, narrow, one)

    stored: Any = datetime(2024, 1, 2) if isinstance(one, date) else one
    expected = [(seq, value if seq == 2 else stored) for seq in range(1, last)]
    assert lakehouse.rows("SELECT id, held FROM bronze.orders ORDER BY id") == expected
    assert lakehouse.sink.describe(ORDERS).columns[1].type == described


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [(pa.int64(), pa.float64()), (pa.date32(), pa.timestamp("us", tz="UTC")), (pa.bool_(), pa.int8())],
)
def test_a_type_that_would_lose_or_invent_something_does_not_widen(
    lakehouse: Any, narrow: pa.DataType, wide: pa.DataType
) -> None:
    lakehouse.load(pa.table({"id": pa.nulls(1, narrow)}), 1)

    with pytest.raises(DataError) as conflict:
        lakehouse.load(pa.table({"id": pa.nulls(1, wide)}), 2, evolve="widen")

    assert conflict.value.code == "schema_conflict"


def test_a_wider_type_is_a_conflict_unless_widening_is_allowed(lakehouse: Any) -> None:
    lakehouse.load(pa.table({"id": pa.array([1], pa.int32())}), 1)

    with pytest.raises(DataError) as conflict:
        lakehouse.load(pa.table({"id": pa.array([1], pa.int64())}), 2)

    assert conflict.value.code == "schema_conflict"
    assert str(conflict.value) == "column 'id' is INT in the table, but the source now sends BIGINT"
    assert "full refresh" in (conflict.value.fix or "")


def test_an_incompatible_type_is_a_conflict_even_when_widening(lakehouse: Any) -> None:
    lakehouse.load(orders(1), 1)

    with pytest.raises(DataError) as conflict:
        lakehouse.load(pa.table({"id": ["x"], "name": ["y"]}), 2, evolve="widen")

    assert conflict.value.code == "schema_conflict"
    assert conflict.value.field == "id"
    assert lakehouse.rows() == [(1, "a")]


@pytest.mark.parametrize(
    "changed",
    [
        pa.table({"id": pa.array([1], pa.int64()), "name": ["x"], "more": [1]}),
        pa.table({"id": pa.array([1], pa.int64())}),
        pa.table({"id": ["1"], "name": ["x"]}),
    ],
    ids=["new column", "lost column", "other type"],
)
def test_a_frozen_schema_refuses_every_change(lakehouse: Any, changed: pa.Table) -> None:
    lakehouse.load(orders(1), 1)

    with pytest.raises(ConfigError) as frozen:
        lakehouse.load(changed, 2, evolve="freeze")

    assert frozen.value.code == "schema_frozen"


def test_columns_that_differ_in_case_only_are_refused(lakehouse: Any) -> None:
    with pytest.raises(DataError) as duplicate:
        lakehouse.load(pa.table({"Id": [1], "id": [2]}), 1)

    assert duplicate.value.code == "duplicate_columns"


def test_a_column_that_comes_in_another_case_is_the_same(lakehouse: Any) -> None:
    lakehouse.load(orders(1), 1)

    lakehouse.load(orders(2).rename_columns(["ID", "Name"]), 2)

    assert lakehouse.rows() == [(1, "a"), (2, "a")]


def test_names_that_delta_engines_shun_come_back_as_they_were(lakehouse: Any) -> None:
    names = ["id", "first name", "a,b;c", "{x}(y)", "tab\tnew\nline", "k=v", 'q"uote', "back`tick", "dot.ted", "ünï"]

    lakehouse.load(pa.table({name: pa.array([index], pa.int64()) for index, name in enumerate(names)}), 1)
    lakehouse.load(
        pa.table({name: pa.array([index + 10 * bool(index)], pa.int64()) for index, name in enumerate(names)}),
        2,
        mode="merge",
        key=("id",),
    )

    assert lakehouse.query("SELECT * FROM bronze.orders").column_names == names
    assert lakehouse.rows("SELECT `first name`, `back``tick`, `dot.ted` FROM bronze.orders") == [(11, 17, 18)]


def test_abandoned_files_go_after_the_retention(lakehouse: Any) -> None:
    impatient = type(lakehouse)(LakehouseSink(LakehouseConfig(retention_hours=0), lakehouse.ctx), lakehouse.ctx)
    folder = lakehouse.ctx.data_dir / "tenant_acme/bronze/orders"
    lakehouse.load(orders(1), 1)
    (folder / "dead.parquet").write_bytes(b"of a load that died")

    lakehouse.load(orders(2), 2)
    kept = (folder / "dead.parquet").exists()
    impatient.load(orders(3), 3)

    assert kept
    assert not (folder / "dead.parquet").exists()
    assert lakehouse.rows() == [(1, "a"), (2, "a"), (3, "a")]


def test_a_generation_that_somebody_died_removing_goes_with_the_next_load(lakehouse: Any) -> None:
    half_gone = lakehouse.ctx.data_dir / "tenant_acme/_generations/bronze/orders/.0123.gone/_delta_log"
    half_gone.mkdir(parents=True)

    lakehouse.load(orders(1), 1)

    assert not half_gone.parent.exists()


def test_files_have_statistics_row_groups_and_dictionaries_where_they_pay(lakehouse: Any) -> None:
    count = 400_000
    rows = pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "flag": pa.array(["yes", "no"] * (count // 2)),
            "word": pa.array([f"word {number}" for number in range(count)]),
        }
    )

    lakehouse.load(pa.Table.from_batches(rows.to_batches(max_chunksize=100_000)), 1)

    (file,) = (lakehouse.ctx.data_dir / "tenant_acme/bronze/orders").glob("*.parquet")
    footer = pq.read_metadata(file)
    dictionaries = [footer.row_group(0).column(index).has_dictionary_page for index in range(3)]
    log = (file.parent / "_delta_log/00000000000000000000.json").read_text("utf-8").splitlines()
    stats = json.loads(next(entry["add"]["stats"] for entry in map(json.loads, log) if "add" in entry))
    assert [footer.row_group(group).num_rows for group in range(footer.num_row_groups)] == [262_144, 137_856]
    assert dictionaries == [False, True, False]
    assert stats["numRecords"] == count
    assert (stats["minValues"]["id"], stats["maxValues"]["id"]) == (0, count - 1)
    assert stats["nullCount"] == {"id": 0, "flag": 0, "word": 0}


def test_a_name_that_leads_out_of_the_folder_is_refused(lakehouse: Any) -> None:
    for table in (TableName("..", "x"), TableName("bronze", "../x"), TableName("_generations", "x")):
        with pytest.raises(ConfigError):
            lakehouse.load(orders(1), 1, table=table)
