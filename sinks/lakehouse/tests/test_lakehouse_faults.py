"""What a load leaves behind when the process dies, the disk is full, or others write too."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Commit, ConfigError, Load, NotFound, PermanentError, PermissionDenied, TableName
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink
from servicetsunami_sink_lakehouse.failures import on_disk

ORDERS = TableName("bronze", "orders")
HERE = Path(__file__).parent
AFTER = {
    0: [],
    1: [(1, "a"), (2, "a")],
    2: [(1, "a"), (2, "b"), (3, "b")],
    3: [(7, "c"), (8, "c")],
}


def _child_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lakehouse_crash_child", HERE / "lakehouse_crash_child.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _committed(lakehouse: Any) -> Commit:
    found: Commit = lakehouse.sink.committed(Load(ORDERS, pa.schema([]), app="app"))
    return found


def _visible(lakehouse: Any) -> list[tuple[Any, ...]]:
    try:
        rows: list[tuple[Any, ...]] = lakehouse.rows()
    except NotFound:
        return []
    return rows


@pytest.mark.parametrize("first", range(1, 5))
def test_a_kill_at_any_call_to_the_disk_leaves_a_whole_state_and_a_rerun_ends_right(
    lakehouse: Any, tmp_path: Path, first: int
) -> None:
    child = _child_module()
    calls = range(first, 400, 4)

    for call in calls:
        data_dir = tmp_path / str(call)
        run = subprocess.run([sys.executable, HERE / "lakehouse_crash_child.py", data_dir, str(call)], check=False)
        sink = LakehouseSink(LakehouseConfig(), LocalContext(data_dir=data_dir, tenant="acme"))
        reopened = type(lakehouse)(sink, lakehouse.ctx)
        seq = _committed(reopened).seq
        assert _visible(reopened) == AFTER[seq], f"after a kill at call {call}"
        child.load_all(data_dir)
        assert _visible(reopened) == AFTER[3], f"after a rerun that follows a kill at call {call}"
        assert _committed(reopened) == Commit(3, {"seq": 3})
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL

    assert call > first + 4


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_two_processes_that_write_one_table_lose_and_double_nothing(lakehouse: Any, mode: str) -> None:
    commits = 12
    script = HERE / "lakehouse_writer_child.py"

    writers = [
        subprocess.Popen([sys.executable, script, lakehouse.ctx.data_dir, app, str(commits), mode])
        for app in ("left", "right")
    ]
    codes = [writer.wait(120) for writer in writers]

    assert codes == [0, 0]
    rows = lakehouse.rows("SELECT app, count(*), max(n) FROM bronze.orders GROUP BY ALL ORDER BY app")
    count = 1 if mode == "merge" else commits
    assert rows == [("left", count, commits), ("right", count, commits)]
    for app in ("left", "right"):
        assert lakehouse.sink.committed(Load(ORDERS, pa.schema([]), app=app)) == Commit(commits, {"n": commits})


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of two megabytes, outside of pytest's folders, whose cleaning it could stop after a kill."""
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-small-"))
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mount.returncode:
        folder.rmdir()
        pytest.skip(f"no small file system can be mounted here: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


@pytest.mark.parametrize("options", [{}, {"generation": "g"}, {"mode": "merge", "key": ("id",)}])
def test_a_full_disk_is_told_with_a_fix_and_nothing_is_half_visible(
    lakehouse: Any, small_disk: Path, options: dict[str, Any]
) -> None:
    sink = LakehouseSink(LakehouseConfig(path=small_disk), lakehouse.ctx)
    full = type(lakehouse)(sink, lakehouse.ctx)
    full.load(pa.table({"id": pa.array([1], pa.int64()), "noise": [b"x"]}), 1)
    noise = pa.table({"id": pa.array(range(4_000), pa.int64()), "noise": [os.urandom(1_000) for _ in range(4_000)]})

    with pytest.raises(PermanentError) as failed:
        full.load(noise, 2, **options)

    assert failed.value.code == "disk_full"
    assert "free space" in (failed.value.fix or "")
    assert full.rows("SELECT id FROM bronze.orders") == [(1,)]
    assert _committed(full).seq == 1


def test_check_tells_of_a_disk_with_little_room(lakehouse: Any, small_disk: Path) -> None:
    sink = LakehouseSink(LakehouseConfig(path=small_disk), lakehouse.ctx)

    with pytest.raises(PermanentError) as failed:
        sink.check()

    assert failed.value.code == "disk_full"


def test_a_panic_of_the_storage_engine_becomes_an_error_and_an_interrupt_passes() -> None:
    class PanicException(BaseException):
        """What the Rust side raises."""

    with pytest.raises(PermanentError) as failed, on_disk("loading"):
        raise PanicException("a row's value")
    with pytest.raises(KeyboardInterrupt), on_disk("loading"):
        raise KeyboardInterrupt

    assert failed.value.code == "storage_failed"
    assert "value" not in str(failed.value)


def test_a_file_in_the_place_of_the_folder_is_told(lakehouse: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    sink = LakehouseSink(LakehouseConfig(path=tmp_path / "file"), lakehouse.ctx)

    with pytest.raises(ConfigError) as wrong:
        sink.check()

    assert (wrong.value.code, wrong.value.field) == ("bad_path", "path")


@pytest.mark.parametrize("name", ["100%20", "a*", "b?", "[c]"])
def test_a_folder_whose_path_the_engines_misread_is_refused(lakehouse: Any, tmp_path: Path, name: str) -> None:
    sink = LakehouseSink(LakehouseConfig(path=tmp_path / name), lakehouse.ctx)

    with pytest.raises(ConfigError) as wrong:
        sink.check()

    assert wrong.value.code == "bad_path"


@pytest.mark.parametrize("name", ["with space", "ünï", "quote'\"", "#hash;x=1"])
def test_any_other_path_works(lakehouse: Any, tmp_path: Path, name: str) -> None:
    sink = LakehouseSink(LakehouseConfig(path=tmp_path / name), lakehouse.ctx)
    other = type(lakehouse)(sink, lakehouse.ctx)

    other.load(pa.table({"id": pa.array([1], pa.int64())}), 1)
    other.load(pa.table({"id": pa.array([1, 2], pa.int64())}), 2, mode="merge", key=("id",))

    assert other.rows() == [(1,), (2,)]


def test_a_folder_without_the_right_to_write_is_told() -> None:
    with pytest.raises(PermissionDenied) as denied, on_disk("loading"):
        raise PermissionError(13, "Permission denied")

    assert denied.value.code == "folder_not_writable"
