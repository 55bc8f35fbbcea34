"""A commit that is stopped anywhere leaves a whole state; see `lakehouse_kill_points.py`, which tries every point."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Commit, Load, PermanentError, TableName, TransientError, TsunamiError
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink, disk, generation, log, scratch

ORDERS = TableName("bronze", "orders")
SCRIPT = Path(__file__).with_name("lakehouse_kill_points.py")
APPLY: dict[str, Any] = {"mode": "apply", "key": ("id",)}


def orders(count: int, *, begin: int = 0, op: str | None = None) -> pa.Table:
    names = [f"{number:040d}" for number in range(begin, begin + count)]
    ops = {"_op": pa.array([op] * count, pa.string())} if op else {}
    return pa.table({"id": pa.array(range(begin, begin + count), pa.int64()), "name": names, **ops})


@pytest.mark.parametrize(
    ("fault", "every", "modes"),
    [("kill", "181", ["append", "merge", "apply", "replace"]), ("full", "11", ["merge", "apply", "replace"])],
)
def test_a_commit_stopped_by_the_system_is_whole_or_was_not(fault: str, every: str, modes: list[str]) -> None:
    if not shutil.which("strace"):
        pytest.skip("strace, which stops a commit at a chosen call, is not installed")

    run = subprocess.run(
        [sys.executable, SCRIPT, "--fault", fault, "--every", every, "--offset", "2", "--mode", *modes],
        check=False,
        capture_output=True,
        text=True,
    )

    assert run.stdout, run.stderr
    report = json.loads(run.stdout)
    assert report["wrong"] == []
    assert [kind for kind, found in report["points"].items() if not found["points"]] == []


@pytest.fixture
def small_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-filling-"))
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mount.returncode:
        folder.rmdir()
        pytest.skip(f"no small file system can be mounted here: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def _fill(folder: Path, leaving: int) -> Path:
    filler = folder / "filler"
    free = shutil.disk_usage(folder).free
    with filler.open("wb") as opened:
        opened.write(bytes(max(0, free - leaving)))
    return filler


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("options", [{}, {"mode": "merge", "key": ("id",)}, APPLY, {**APPLY, "deletes": "soft"}])
def test_a_disk_that_fills_up_at_any_size_leaves_the_table_as_it_was(
    lakehouse: Any, small_disk: Path, options: dict[str, Any]
) -> None:
    full = type(lakehouse)(LakehouseSink(LakehouseConfig(path=small_disk), lakehouse.ctx), lakehouse.ctx)
    full.load(orders(20_000), 1)
    changes = orders(20_000, begin=10_000, op="u" if "deletes" in options or options.get("mode") == "apply" else None)
    before, codes = _files(small_disk), []

    for kib in (0, 4, 64, 256, 400, 600, 800, 1_000, 1_200, 1_600, 2_000, 3_000, 8_000):
        filler = _fill(small_disk, kib * 1024)
        try:
            full.load(changes, 2, {}, **options)
            break
        except PermanentError as error:
            codes.append(error.code)
        finally:
            filler.unlink()
        assert _files(small_disk) == before, f"{kib} KiB left"
        assert full.rows("SELECT count(*), max(id) FROM bronze.orders") == [(20_000, 19_999)]

    assert len(codes) >= 3
    assert set(codes) == {"disk_full"}
    rows = 40_000 if not options else 30_000
    assert full.rows("SELECT count(*), max(id) FROM bronze.orders") == [(rows, 29_999)]


def test_a_disk_that_is_full_of_what_is_spilled_is_told(
    lakehouse: Any, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "_MEMORY", "SET memory_limit = '64MB'")
    full = type(lakehouse)(LakehouseSink(LakehouseConfig(path=small_disk), lakehouse.ctx), lakehouse.ctx)
    full.load(orders(1), 1)
    before = _files(small_disk)
    count = 1_500_000
    changes = pa.table({"id": pa.array(range(count), pa.int64()), "_op": pa.repeat("u", count)})
    filler = _fill(small_disk, 16 * 1024**2)

    with pytest.raises(PermanentError) as failed:
        full.load(changes, 2, **APPLY)
    filler.unlink()

    assert failed.value.code == "disk_full"
    assert _files(small_disk) == before
    assert full.rows("SELECT id FROM bronze.orders") == [(0,)]


@pytest.mark.parametrize("options", [{}, {"mode": "merge", "key": ("id",)}, APPLY])
def test_a_commit_whose_folder_cannot_be_synced_keeps_its_files(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    def failing(path: Path) -> None:
        if path.name == "_delta_log" and list(path.glob("*1.json")):
            raise OSError(5, "Input/output error")
        disk.sync_folder(path)

    lakehouse.load(orders(1), 1)
    monkeypatch.setattr(log, "sync_folder", failing)

    with pytest.raises(TransientError) as failed:
        lakehouse.load(orders(2, op="u" if options.get("mode") == "apply" else None), 2, {"at": 2}, **options)

    assert failed.value.code == "commit_unsure"
    assert lakehouse.sink.committed(Load(ORDERS, pa.schema([]), app="app")) == Commit(2, {"at": 2})
    assert lakehouse.rows("SELECT count(DISTINCT id) FROM bronze.orders") == [(2,)]


def test_a_log_that_cannot_be_summed_up_does_not_fail_the_commit(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deltalake.DeltaTable.create_checkpoint", full)

    for seq in range(1, 13):
        lakehouse.load(orders(1, begin=seq), seq)

    assert len(lakehouse.rows()) == 12


def test_a_replacement_stands_though_its_folder_cannot_be_removed(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    lakehouse.load(orders(1), 1)
    lakehouse.load(orders(2), 1, generation="g")
    monkeypatch.setattr(generation, "remove_folder", full)

    lakehouse.sink.replace(Load(ORDERS, orders(0).schema, app="app", generation="g"), 2, {})

    assert len(lakehouse.rows()) == 2


def test_files_stay_where_it_cannot_be_told_whether_the_log_names_them(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakehouse.load(orders(1), 1)
    folder = lakehouse.ctx.data_dir / "tenant_acme/bronze/orders"
    transaction = lakehouse.sink.begin(Load(ORDERS, orders(0).schema, app="app"))
    transaction.stage(orders(1).to_batches()[0])

    def unreadable(_: Path) -> Any:
        raise TransientError("the disk is gone", code="disk_error")

    with monkeypatch.context() as broken:
        broken.setattr(log, "open_snapshot", unreadable)
        broken.setattr("servicetsunami_sink_lakehouse.transaction.open_snapshot", unreadable)
        with pytest.raises(TsunamiError):
            transaction.commit(2, {})

    assert len(list(folder.glob("*.parquet"))) == 2
    assert len(lakehouse.rows()) == 1
