"""Whatever a connector does, its read ends with a typed error and the host goes on."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from servicetsunami.runtime import AddressPolicy, Redactor
from servicetsunami.sdk import Cancelled, PermanentError, Read, Source, TransientError, TsunamiError
from servicetsunami.sync import reading
from servicetsunami.sync.workers import Limits, Spec, WorkerPool, launching, open_in_worker
from servicetsunami.sync.workers.output import Output

SECRET = "correct horse battery"
TELLS_AND_ENDS = """import os, socket, struct
control = socket.socket(fileno=os.dup(0))
control.send(struct.pack("<q", 0))
control.recv(64)
os.write(2, b"a row of another tenant\\n")
"""
"""A process that says it is ready and ends when it is asked for a worker."""
Open = Callable[..., Source[Any]]


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "worker_plugins"))


@pytest.fixture(scope="module")
def patient() -> Iterator[WorkerPool]:
    """Return workers that may give nothing for long: whatever ends their reads, it is no limit."""
    pool = WorkerPool(Limits(memory_mb=512, silence_seconds=60.0, grace_seconds=2.0), Redactor([SECRET]))
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def hasty() -> Iterator[WorkerPool]:
    """Return workers that must give something soon."""
    pool = WorkerPool(Limits(silence_seconds=2.0, grace_seconds=2.0), Redactor([SECRET]))
    yield pool
    pool.close()


@pytest.fixture
def open_odd(patient: WorkerPool, tmp_path: Path) -> Open:
    def opened(
        mode: str = "well",
        cls: str = "Odd",
        *,
        pool: WorkerPool = patient,
        cancel: threading.Event | None = None,
        **more: Any,
    ) -> Source[Any]:
        plugin = getattr(importlib.import_module("odd_connectors"), cls)
        config = {"mode": mode, "password": SECRET, **more}
        spec = Spec(plugin, config, "default", "conn_1", tmp_path / "data", AddressPolicy(), (SECRET,))
        return open_in_worker(pool, spec, plugin.config_type(**config), cancel or threading.Event())

    return opened


def read_all(source: Source[Any]) -> list[Any]:
    """Read the only stream to its end, and close."""
    try:
        (stream,) = source.streams()
        return list(source.read(Read(stream)))
    finally:
        source.close()


@pytest.mark.parametrize(
    ("mode", "error", "code"),
    [
        ("exit", PermanentError, "plugin_crashed"),
        ("leave_well", PermanentError, "plugin_crashed"),
        ("leave_badly", PermanentError, "plugin_crashed"),
        ("crash", TransientError, "worker_died"),
        ("kill_itself", TransientError, "worker_died"),
        ("raise_strangely", PermanentError, "plugin_crashed"),
        ("interrupt", PermanentError, "plugin_crashed"),
        ("fail", PermanentError, "plugin_crashed"),
        ("eat", PermanentError, "worker_memory"),
        ("eat_arrow", PermanentError, "worker_memory"),
        ("close_files", PermanentError, "plugin_crashed"),
        ("write_garbage", PermanentError, "worker_bad_frame"),
        ("write_half_a_frame", PermanentError, "plugin_crashed"),
        ("write_no_arrow", PermanentError, "worker_bad_frame"),
        ("write_another_kind", PermanentError, "worker_bad_frame"),
        ("claim_too_much", PermanentError, "worker_bad_frame"),
        ("add_a_frame", PermanentError, "worker_bad_trailer"),
        ("end_too_early", PermanentError, "worker_bad_trailer"),
    ],
)
def test_a_misbehaving_read_is_a_typed_error_and_the_next_one_works(
    open_odd: Open, mode: str, error: type[TsunamiError], code: str
) -> None:
    source = open_odd(mode)

    with pytest.raises(error) as raised:
        read_all(source)

    assert (type(raised.value), raised.value.code) == (error, code)
    assert SECRET not in str(raised.value.problem())
    assert len(read_all(open_odd())) == 7


@pytest.mark.parametrize("mode", ["hang", "spin", "only_log"])
def test_a_read_that_hangs_is_ended_and_can_be_tried_again(open_odd: Open, hasty: WorkerPool, mode: str) -> None:
    source = open_odd(mode, pool=hasty)

    with pytest.raises(TransientError) as raised:
        read_all(source)

    assert (raised.value.code, raised.value.retryable) == ("source_stalled", True)
    assert len(read_all(open_odd(pool=hasty))) == 7


@pytest.mark.parametrize("at", ["init", "check", "streams"])
def test_a_hang_elsewhere_is_ended_too(open_odd: Open, hasty: WorkerPool, at: str) -> None:
    def use() -> None:
        source = open_odd("spin", pool=hasty, at=at)
        source.check()
        list(source.streams())

    with pytest.raises(TransientError) as raised:
        use()

    assert raised.value.code == "source_stalled"


def parents_of_workers() -> set[int]:
    """Return the processes of ours that workers are forked from."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"workers.zygote" in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
        except FileNotFoundError:
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_a_worker_that_died_with_its_parent_can_be_tried_again_once_there_is_another_parent(open_odd: Open) -> None:
    others = parents_of_workers()
    with closing(WorkerPool(Limits(), Redactor([SECRET]))) as pool:
        source = open_odd(pool=pool)
        (parent,) = parents_of_workers() - others
        os.kill(parent, signal.SIGKILL)
        os.waitid(os.P_PID, parent, os.WEXITED | os.WNOWAIT)
        open_odd(pool=pool, rows=5).close()

        with closing(source), pytest.raises(TransientError) as raised:
            source.check()

    assert raised.value.code == "worker_died"


def test_what_a_worker_printed_is_told_to_nobody_whose_worker_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "interpreter", lambda _: [sys.executable, "-I", "-c", TELLS_AND_ENDS])
    with closing(launching.Forking(Output(Redactor()))) as forking, pytest.raises(TransientError) as raised:
        forking.launch(Path())

    assert (raised.value.code, raised.value.why) == ("worker_not_started", None)


@pytest.mark.parametrize("at", ["init", "check", "streams"])
@pytest.mark.parametrize(("mode", "code"), [("leave_well", "plugin_crashed"), ("crash", "worker_died")])
def test_every_other_call_is_guarded_as_reads_are(open_odd: Open, at: str, mode: str, code: str) -> None:
    def use() -> None:
        source = open_odd(mode, at=at)
        source.check()
        list(source.streams())

    with pytest.raises(TsunamiError) as raised:
        use()

    assert raised.value.code == code


@pytest.mark.parametrize("mode", ["spin", "leave_well", "crash", "fail"])
def test_a_plugin_that_cannot_close_does_not_undo_the_work(open_odd: Open, mode: str) -> None:
    items = read_all(open_odd(mode, at="close"))

    assert len(items) == 7


def test_what_a_plugin_prints_reaches_neither_the_protocol_nor_our_output(
    open_odd: Open, capfd: pytest.CaptureFixture[str]
) -> None:
    items = read_all(open_odd("print"))

    assert len(items) == 7
    assert capfd.readouterr() == ("", "")


def test_a_read_that_stops_at_half_is_never_complete(open_odd: Open) -> None:
    source = open_odd("leave_well")
    (stream,) = source.streams()
    items = source.read(Read(stream))
    seen = [next(items) for _ in range(6)]

    with pytest.raises(PermanentError):
        next(items)

    assert len(seen) == 6
    source.close()


def test_a_reader_that_pauses_is_no_source_that_hangs(open_odd: Open, hasty: WorkerPool) -> None:
    endless = open_odd(cls="Endless", pool=hasty)
    (stream,) = endless.streams()
    items: Iterator[Any] = endless.read(Read(stream))
    next(items)

    with pytest.raises(TransientError):  # by then the other read has paused for as long as this one hung
        read_all(open_odd("hang", pool=hasty))

    assert next(items).num_rows == 131_072
    endless.close()


def test_a_cancel_ends_a_read_that_gives_nothing(open_odd: Open) -> None:
    cancel = threading.Event()
    source = open_odd("spin", cancel=cancel)
    (stream,) = source.streams()
    items = source.read(Read(stream))
    seen = [next(items) for _ in range(6)]
    cancel.set()

    with pytest.raises(Cancelled):
        next(items)

    assert len(seen) == 6
    source.close()


def test_a_reader_that_is_not_wanted_any_more_ends_a_source_that_gives_nothing(
    open_odd: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_GRACE_SECONDS", 0.2)
    source = open_odd("spin")
    (stream,) = source.streams()
    outbox: reading.Outbox = Queue()
    reader = reading.Reader(lambda: source, Read(stream), outbox)
    for _ in range(6):  # all that it gives
        outbox.get(timeout=60)

    reader.stop()
    reader.join()

    with pytest.raises(PermanentError) as raised:
        source.check()
    assert raised.value.code == "worker_ended"


def test_a_cancelled_read_is_never_complete(open_odd: Open) -> None:
    cancel = threading.Event()
    source = open_odd(cls="Endless", cancel=cancel)
    (stream,) = source.streams()
    items = source.read(Read(stream))
    next(items)
    cancel.set()

    with pytest.raises(Cancelled):
        list(items)

    source.close()
