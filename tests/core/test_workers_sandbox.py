"""An operator may have workers run in bubblewrap, and is told where that cannot be."""

from __future__ import annotations

import importlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servicetsunami.runtime import AddressPolicy, Redactor
from servicetsunami.sdk import ConfigError, Read, Source, TransientError
from servicetsunami.sync.workers import Limits, Spec, WorkerPool, open_in_worker

needs_bubblewrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool(Limits(), Redactor(), sandbox="bubblewrap")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "worker_plugins"))


def opened(pool: WorkerPool, folder: Path, name: str, **config: Any) -> Source[Any]:
    plugin = getattr(importlib.import_module("odd_connectors"), name)
    spec = Spec(plugin, config, "default", "conn_1", folder, AddressPolicy())
    return open_in_worker(pool, spec, plugin.config_type(**config), threading.Event())


@needs_bubblewrap
def test_a_sandboxed_worker_sees_its_own_folder_and_no_other(pool: WorkerPool, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/private").write_text("not for connectors", encoding="utf-8")
    wanted = ["/etc/passwd", str(tmp_path / "other/private"), str(tmp_path / "own")]

    source = opened(pool, tmp_path / "own", "Looking", wanted=wanted)
    items: Iterator[Any] = source.read(Read(next(iter(source.streams()))))
    (row,) = next(items).to_pylist()
    source.close()

    assert row["seen"] == [str(tmp_path / "own")]
    assert row["processes"] < 5
    assert (tmp_path / "own/written").exists()


@needs_bubblewrap
def test_a_sandboxed_worker_that_crashes_is_told_from_one_that_leaves(pool: WorkerPool, tmp_path: Path) -> None:
    source = opened(pool, tmp_path / "own", "Odd", mode="crash")

    with pytest.raises(TransientError) as raised:
        list(source.read(Read(next(iter(source.streams())))))

    assert raised.value.code == "worker_died"
    assert "SIGSEGV" in raised.value.message
    source.close()


def test_a_sandbox_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigError) as refused:
        WorkerPool(Limits(), Redactor(), sandbox="bubblewrap")

    assert (refused.value.code, refused.value.field) == ("sandbox_unavailable", "sandbox")
