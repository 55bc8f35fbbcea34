"""Changes: created, updated, deleted, emptied, in order, with values that are not repeated."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Commit, ConfigError, DataError, Load, TableName
from servicetsunami_sink_lakehouse import keyed
from servicetsunami_sink_lakehouse.snapshot import open_snapshot

ORDERS = TableName("bronze", "orders")
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("note", pa.string()),
        ("_synced_at", pa.timestamp("us", tz="UTC")),
        ("_op", pa.string()),
        ("_unchanged", pa.list_(pa.string())),
    ]
)
SMALL = pa.schema([("id", pa.int16()), ("name", pa.string()), ("_op", pa.string())])


def change(op: str, key: int | None = None, name: Any = None, note: Any = None, **more: Any) -> dict[str, Any]:
    return {"id": key, "name": name, "note": note, "_synced_at": NOON, "_op": op, **more}


def apply(lakehouse: Any, seq: int, *changes: dict[str, Any], **load: Any) -> None:
    rows = pa.Table.from_pylist(list(changes), schema=load.pop("schema", SCHEMA))
    lakehouse.load(rows, seq, {"seq": seq}, **{"mode": "apply", "key": ("id",), **load})


def shown(lakehouse: Any, columns: str = "id, name, note") -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = lakehouse.rows(f"SELECT {columns} FROM bronze.orders ORDER BY id")
    return found


def test_changes_are_carried_out_in_order_and_their_marks_do_not_land(lakehouse: Any) -> None:
    apply(lakehouse, 1, change("c", 1, "a"), change("c", 2, "b"), change("c", 3, "c"))

    apply(lakehouse, 2, change("u", 1, "x"), change("d", 1), change("u", 1, "y"), change("d", 2), change("u", 4, "new"))

    assert shown(lakehouse) == [(1, "y", None), (3, "c", None), (4, "new", None)]
    assert [column.name for column in lakehouse.sink.describe(ORDERS).columns] == ["id", "name", "note", "_synced_at"]


def test_a_value_that_is_not_repeated_is_that_of_the_last_change_that_brought_it(lakehouse: Any) -> None:
    apply(lakehouse, 1, *(change("c", key, "old", "old") for key in (1, 2, 3)))

    apply(
        lakehouse,
        2,
        change("u", 1, "one", _unchanged=["NOTE"]),
        change("u", 2, "two", "two"),
        change("u", 2, None, "three", _unchanged=["name", "gone", "id"]),
        change("u", 2, "four", None, _unchanged=["note"]),
        change("d", 3),
        change("u", 3, "five", _unchanged=["note"]),
        change("u", 4, "six", _unchanged=["note"]),
        change("u", 5, "seven", "kept", _unchanged=["elsewhere"]),
    )

    assert shown(lakehouse) == [
        (1, "one", "old"),
        (2, "four", "three"),
        (3, "five", None),
        (4, "six", None),
        (5, "seven", "kept"),
    ]


def test_a_value_is_looked_up_once_where_the_table_holds_a_key_twice(lakehouse: Any) -> None:
    twice = pa.table({"id": pa.array([1, 1], pa.int64()), "name": ["a", "a"], "note": ["n", "n"]})
    lakehouse.load(twice, 1)

    apply(lakehouse, 2, change("u", 1, "b", _unchanged=["note"]))

    assert shown(lakehouse) == [(1, "b", "n")]


def test_an_emptied_table_keeps_only_what_came_afterwards(lakehouse: Any) -> None:
    apply(lakehouse, 1, change("c", 1, "a", "n"), change("c", 2, "b"))

    apply(lakehouse, 2, change("c", 3, "c"), change("t"), change("u", 1, "z", _unchanged=["note"]))
    after = shown(lakehouse)
    apply(lakehouse, 3, {"_op": "t"}, schema=pa.schema([("id", pa.int64()), ("_op", pa.string())]))

    assert after == [(1, "z", None)]
    assert shown(lakehouse) == []


def test_a_soft_delete_marks_the_row_until_it_comes_again(lakehouse: Any) -> None:
    later = NOON + timedelta(hours=1)
    apply(lakehouse, 1, change("c", 1, "a"), change("c", 2, "b"), change("c", 3, "c"), deletes="soft")

    apply(lakehouse, 2, change("d", 1, _synced_at=later), change("d", 9), change("d", 2), deletes="soft")
    marked = shown(lakehouse, "id, name, _deleted_at")
    apply(lakehouse, 3, change("u", 1, "again"), change("d", 2, _synced_at=later), deletes="soft")
    apply(lakehouse, 4, change("u", 3, "last"), change("d", 3, _synced_at=later), deletes="soft")

    assert marked == [(1, "a", later), (2, "b", NOON), (3, "c", None)]
    assert shown(lakehouse, "id, name, _deleted_at") == [(1, "again", None), (2, "b", later), (3, "last", later)]


def test_an_emptied_table_is_marked_where_deletes_are_soft(lakehouse: Any) -> None:
    later = NOON + timedelta(hours=1)
    apply(lakehouse, 1, change("c", 1, "a"), change("c", 2, "b"), deletes="soft")
    apply(lakehouse, 2, change("d", 1), deletes="soft")

    apply(
        lakehouse,
        3,
        change("u", 2, "lost"),
        change("c", 4, "lost"),
        change("t", _synced_at=later),
        change("c", 3, "c"),
        deletes="soft",
    )

    assert shown(lakehouse, "id, name, _deleted_at") == [(1, "a", NOON), (2, "b", later), (3, "c", None)]


def test_a_delete_without_a_time_is_marked_with_the_present(lakehouse: Any) -> None:
    schema = pa.schema([("id", pa.int64()), ("_op", pa.string())])
    apply(lakehouse, 1, {"id": 1, "_op": "c"}, schema=schema, deletes="soft")
    before = datetime.now(UTC)

    apply(lakehouse, 2, {"id": 1, "_op": "d"}, schema=schema, deletes="soft")

    ((_, moment),) = shown(lakehouse, "id, _deleted_at")
    assert before <= moment <= datetime.now(UTC)


def test_a_commit_that_was_made_is_not_applied_again(lakehouse: Any) -> None:
    apply(lakehouse, 2, change("c", 1, "a"))

    apply(lakehouse, 2, change("d", 1))
    apply(lakehouse, 1, change("t"))

    assert shown(lakehouse) == [(1, "a", None)]
    assert lakehouse.sink.committed(Load(ORDERS, SCHEMA, app="app")) == Commit(2, {"seq": 2})
    assert len(list((lakehouse.ctx.data_dir / "tenant_acme/bronze/orders").glob("*.parquet"))) == 1


def test_changes_go_to_a_generation_too(lakehouse: Any) -> None:
    apply(lakehouse, 1, change("c", 1, "old"))
    load = Load(ORDERS, SCHEMA, app="app", generation="g", mode="apply", key=("id",))

    apply(lakehouse, 1, change("c", 2, "a"), change("c", 3, "b"), generation="g")
    apply(lakehouse, 2, change("d", 2), generation="g")
    lakehouse.sink.replace(load, 2, {})

    assert shown(lakehouse) == [(3, "b", None)]


def test_an_empty_generation_of_changes_has_the_columns_of_its_rows(lakehouse: Any) -> None:
    load = Load(ORDERS, SCHEMA, app="app", generation="g", mode="apply", key=("id",), deletes="soft")

    lakehouse.sink.replace(load, 1, {})

    names = [column.name for column in lakehouse.sink.describe(ORDERS).columns]
    assert names == ["id", "name", "note", "_synced_at", "_deleted_at"]


@pytest.mark.parametrize("deletes", ["hard", "soft"])
def test_a_frozen_table_takes_changes_and_merges_in_turn(lakehouse: Any, deletes: str) -> None:
    lakehouse.load(pa.table({"id": pa.array([1, 2], pa.int64()), "name": ["a", "b"]}), 1, evolve="freeze")
    schema = pa.schema([("ID", pa.int64()), ("name", pa.string()), ("_op", pa.string())])

    apply(lakehouse, 2, {"ID": 1, "_op": "d"}, schema=schema, evolve="freeze", deletes=deletes)
    merged = pa.table({"id": pa.array([1, 3], pa.int64()), "name": ["again", "c"]})
    lakehouse.load(merged, 3, mode="merge", key=("Id",), evolve="freeze")

    assert shown(lakehouse, "id, name") == [(1, "again"), (2, "b"), (3, "c")]


def test_columns_of_changes_are_added_and_widened(lakehouse: Any) -> None:
    apply(lakehouse, 1, {"id": 1, "name": "a", "_op": "c"}, {"id": 2, "name": "b", "_op": "c"}, schema=SMALL)
    wider = pa.schema([("id", pa.int64()), ("name", pa.string()), ("extra", pa.int32()), ("_op", pa.string())])

    apply(lakehouse, 2, {"id": 2**40, "name": "c", "extra": 7, "_op": "u"}, schema=wider, evolve="widen")
    apply(lakehouse, 3, {"id": 1, "name": "z", "_op": "u"}, schema=SMALL, evolve="widen")

    assert shown(lakehouse, "id, name, extra") == [(1, "z", None), (2, "b", None), (2**40, "c", 7)]


@pytest.mark.parametrize("op", ["x", None])
def test_a_change_of_no_known_kind_is_refused(lakehouse: Any, op: str | None) -> None:
    with pytest.raises(DataError) as refused:
        apply(lakehouse, 1, {**change("c", 1), "_op": op})

    assert (refused.value.code, refused.value.field) == ("bad_change", "_op")


def test_changes_without_a_key_are_refused(lakehouse: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        apply(lakehouse, 1, change("c", 1), key=())

    assert refused.value.code == "key_missing"


@pytest.mark.parametrize("deletes", ["hard", "soft"])
@pytest.mark.parametrize("seed", range(3))
def test_random_changes_leave_what_a_model_of_them_leaves(lakehouse: Any, deletes: str, seed: int) -> None:
    draw = random.Random(seed)
    table: dict[int, dict[str, Any]] = {}

    for seq in range(1, 9):
        changes = [_random_change(draw, seq * 100 + index) for index in range(draw.randrange(1, 30))]
        apply(lakehouse, seq, *changes, deletes=deletes)
        table = _applied(table, changes, soft=deletes == "soft")

        columns = ["id", "name", "note", "_synced_at", *(["_deleted_at"] if deletes == "soft" else [])]
        expected = [tuple(table[key].get(name) for name in columns) for key in sorted(table)]
        assert shown(lakehouse, ", ".join(columns)) == expected


def _random_change(draw: random.Random, at: int) -> dict[str, Any]:
    op = draw.choice("ccuuuuudd" if draw.random() < 0.98 else "t")
    if op in "dt":
        return change(op, None if op == "t" else draw.randrange(8), _synced_at=NOON + timedelta(minutes=at))
    unchanged = [name for name in ("name", "note") if op == "u" and draw.random() < 0.4]
    row = change(op, draw.randrange(8), f"name {at}", f"note {at}", _synced_at=NOON + timedelta(minutes=at))
    return {**row, **dict.fromkeys(unchanged), "_unchanged": unchanged or draw.choice([None, []])}


def _applied(table: dict[int, dict[str, Any]], changes: list[dict[str, Any]], *, soft: bool) -> dict[int, Any]:
    """Apply one change after the other, by the words of the contract."""
    emptied = max((at for at, each in enumerate(changes) if each["_op"] == "t"), default=-1)
    if emptied >= 0:
        gone = changes[emptied]["_synced_at"]
        table = {key: {**row, "_deleted_at": row.get("_deleted_at") or gone} for key, row in table.items() if soft}
    reset = {key for key in table if emptied >= 0}
    rows = dict(table)
    for each in changes[emptied + 1 :]:
        key, op = each["id"], each["_op"]
        if op == "d":
            _delete(rows, key, each["_synced_at"], soft=soft)
            reset.add(key)
            continue
        before = {} if op == "c" or key in reset else rows.get(key, {})
        kept = {name: before.get(name) for name in each.get("_unchanged") or ()}
        rows[key] = {name: each[name] for name in ("id", "name", "note", "_synced_at")} | kept
        reset.discard(key)
    return rows


def _delete(rows: dict[int, Any], key: int, moment: datetime, *, soft: bool) -> None:
    if soft and key in rows:
        rows[key] = {**rows[key], "_deleted_at": moment}
    elif not soft:
        rows.pop(key, None)


@pytest.mark.parametrize("mode", ["merge", "apply"])
def test_many_small_files_are_folded_together(lakehouse: Any, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(keyed, "_MANY_SMALL", 3)

    for seq in range(1, 9):
        row = pa.table({"id": pa.array([seq], pa.int64()), "name": [f"name {seq}"], "_op": ["c"]})
        lakehouse.load(row if mode == "apply" else row.drop_columns("_op"), seq, mode=mode, key=("id",))
        versions = lakehouse.sink.describe(ORDERS).history

    assert len(open_snapshot(lakehouse.ctx.data_dir / "tenant_acme/bronze/orders").files) <= 4
    assert shown(lakehouse, "id, name") == [(seq, f"name {seq}") for seq in range(1, 9)]
    assert {(entry["rows_added"], entry["rows_removed"]) for entry in versions} == {(1, 0)}
