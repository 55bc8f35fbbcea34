"""What goes into a worker and comes out of it is what it was before, and secrets go nowhere else."""

from __future__ import annotations

import importlib
import logging
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.runtime import AddressPolicy, Redactor
from servicetsunami.sdk import (
    AuthError,
    ChangeFeed,
    Changes,
    Checkpoint,
    ConfigError,
    Queryable,
    QueryLimits,
    RateLimited,
    Read,
    Source,
    Split,
    Splittable,
    Stream,
    TsunamiError,
    Watermark,
)
from servicetsunami.sync.workers import Limits, Spec, WorkerPool, open_in_worker, wire

SECRET = "correct horse battery"
PLUGINS = Path(__file__).parent / "worker_plugins"
Open = Callable[..., Any]


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGINS))
    monkeypatch.setenv("ODD_TOKEN", SECRET)


@pytest.fixture(scope="module", params=["fork", "spawn"])
def pool(request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    made = WorkerPool(Limits(memory_mb=512, grace_seconds=2.0), Redactor([SECRET]), start=request.param)
    yield made
    made.close()


@pytest.fixture
def open_odd(pool: WorkerPool, tmp_path: Path) -> Open:
    def opened(cls: str = "Odd", tenant: str = "default", **config: Any) -> Source[Any]:
        plugin = getattr(importlib.import_module("odd_connectors"), cls)
        config = {"password": SECRET, **config}
        folder = tmp_path / "data" / cls
        spec = Spec(plugin, config, tenant, "conn_1", folder, AddressPolicy(), (SECRET,))
        return open_in_worker(pool, spec, plugin.config_type(**config), threading.Event())

    return opened


def stream_of(source: Source[Any]) -> Stream:
    (stream,) = source.streams()
    return stream


def processes() -> set[int]:
    """Return the processes that this one started, and theirs."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


@pytest.mark.parametrize(
    "value",
    [
        2**62,
        -1,
        1.1,
        float("inf"),
        "Zoë",
        Decimal("1.10"),
        date(2026, 2, 28),
        datetime(2026, 1, 1, 1, 2, 3, 4),
        datetime(2026, 1, 1, tzinfo=UTC),
        None,
    ],
)
def test_every_value_of_a_cursor_crosses_exactly(value: Any) -> None:
    crossed = wire.decode_value(wire.encode_value(value))

    assert (crossed, type(crossed)) == (value, type(value))


def test_a_read_crosses_exactly() -> None:
    schema = pa.schema(
        [pa.field("id", pa.int64(), nullable=False, metadata={"a": "b"}), ("d", pa.dictionary(pa.int8(), pa.string()))],
        metadata={"c": "d"},
    )
    stream = Stream("t", namespace="s", schema=schema, key=("id",), cursor="id", cursor_candidates=("id", "d"), rows=7)
    read = Read(
        stream, since=Decimal("1.50"), state={"a": [1, None]}, split=Split("1", {"b": 2}), columns=("id",), limit=9
    )

    crossed = wire.decode_read(wire.encode_read(read))

    assert crossed == read
    assert crossed.stream.schema is not None
    assert crossed.stream.schema.equals(schema, check_metadata=True)


def test_batches_cross_with_dictionaries_and_metadata() -> None:
    batch = pa.record_batch(
        {"d": pa.array(["a", None, "a"]).dictionary_encode(), "l": [[1], [], None], "e": pa.nulls(3)}
    ).replace_schema_metadata({"k": "v"})

    crossed = wire.decode_batch(b"".join(memoryview(part) for part in wire.encode_batch(batch)))

    assert crossed.equals(batch, check_metadata=True)


def test_items_cross_as_the_plugin_gave_them(open_odd: Open) -> None:
    source = open_odd(rows=1)

    stream = stream_of(source)
    rows, checkpoint, watermark = source.read(Read(stream))

    assert (stream.id, stream.key, stream.cursor, stream.rows) == ("t", ("id",), "id", 1)
    assert rows.to_pylist() == [{"id": 0, "name": ""}]
    assert rows.schema.equals(stream.schema, check_metadata=True)
    assert checkpoint == Checkpoint({"next": 1, "big": 2**60, "text": "Zoë"})
    assert watermark == Watermark(Decimal("12.50"))
    source.close()


def test_a_feed_and_a_query_work_from_another_process(open_odd: Open, tmp_path: Path) -> None:
    source = open_odd("Feeding")
    stream = stream_of(source)

    position = source.position([stream])
    source.ack(position)
    deleted, updated, checkpoint = source.changes([stream], position)
    answer = source.query("select 1", QueryLimits(5)).read_all()
    source.release([stream])

    assert (isinstance(source, ChangeFeed), isinstance(source, Queryable)) == (True, True)
    assert (isinstance(source, Splittable), source.dialect, source.name) == (False, "OddSQL", "feeding")
    assert position == {"at": ["t"], "for": "conn_1"}
    assert isinstance(deleted, Changes)
    assert pa.table(deleted.rows).select(["id", "_op"]).to_pylist() == [{"id": 1, "_op": "d"}]
    assert (updated.op, updated.rows.schema.names) == ("what", ["id", "what", "_seq", "same"])
    assert checkpoint == Checkpoint({"after": position, "acked": True})
    assert answer.to_pylist() == [{"sql": "select 1", "rows": 5}] * 2
    assert source.lag_bytes([stream]) == 1
    assert (tmp_path / "data/Feeding/released").read_text() == "t"
    source.close()


def test_a_query_that_is_refused_says_so(open_odd: Open) -> None:
    source = open_odd("Feeding")

    with pytest.raises(ConfigError) as refused:
        source.query("refused", QueryLimits(5))

    assert refused.value.code == "sql_refused"
    source.close()


@pytest.mark.parametrize(
    ("mode", "error", "told"),
    [
        ("refuse", AuthError, {"code": "auth", "field": "password", "step": "login", "fix": "ask"}),
        ("refuse_in_own_words", ConfigError, {"code": "odd_no", "did_you_mean": ("yes", "maybe")}),
        ("slow_down", RateLimited, {"retryable": True, "retry_after_seconds": 1.5}),
    ],
)
def test_errors_cross_with_their_class_and_without_secrets(
    open_odd: Open, mode: str, error: type[TsunamiError], told: dict[str, Any]
) -> None:
    source = open_odd(mode=mode, at="check")

    with pytest.raises(error) as raised:
        source.check()

    problem = raised.value.problem().model_dump()
    assert type(raised.value) is error
    assert {name: problem[name] for name in told} == told
    assert SECRET not in str(problem)
    source.close()


def test_parts_are_read_while_the_instance_that_planned_them_is_open(open_odd: Open) -> None:
    planner = open_odd("Planned", mode="planner")
    stream = stream_of(planner)
    splits = planner.splits(Read(stream), 2)

    readers = [open_odd("Planned") for _ in splits]
    rows = [next(reader.read(Read(stream, split=split))) for reader, split in zip(readers, splits, strict=True)]

    assert splits == (Split("0", {"from": 0, "stream": "t"}, 1), Split("1", {"from": 1, "stream": "t"}, 1))
    assert [batch.to_pylist() for batch in rows] == [[{"id": 0, "name": "True"}], [{"id": 1, "name": "True"}]]
    for source in (*readers, planner):
        source.close()


def test_parts_are_planned_again_by_another_instance(open_odd: Open) -> None:
    source = open_odd("Planned")
    splits = [Split("0", {"from": 0}, 7), Split("1", {"from": 1})]

    again = source.replan(Read(stream_of(source)), splits)

    assert again == (Split("0", {"from": 0, "to": "t"}, 7), Split("1", {"from": 1, "to": "t"}), Split("since"))
    source.close()


def test_a_process_is_used_again_for_the_same_connection_only(open_odd: Open) -> None:
    def process(**spec: Any) -> str:
        source = open_odd(**spec)
        pid = stream_of(source).description
        source.close()
        return pid

    first = process()

    assert process() == first
    assert len({first, process(tenant="other"), process(password="changed"), process(rows=9)}) == 4


def test_a_read_that_is_given_up_ends_the_plugins_and_keeps_the_process(open_odd: Open, tmp_path: Path) -> None:
    source = open_odd(rows=10**9)
    stream = stream_of(source)
    items = source.read(Read(stream))
    next(items)

    items.close()

    assert (tmp_path / "data/Odd/ended").exists()
    assert stream_of(source).description == stream.description
    source.close()
    assert (tmp_path / "data/Odd/closed").exists()


def test_a_worker_sees_its_limits_and_nothing_of_the_host(open_odd: Open, caplog: pytest.LogCaptureFixture) -> None:
    source = open_odd("Nosy")
    stream = stream_of(source)
    (row,) = next(source.read(Read(Stream(stream.name)))).to_pylist()
    source.close()

    assert {name for name in row["environment"] if not name.startswith("LC_")} <= {
        "PATH",
        "LANG",
        "TZ",
        "TMPDIR",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HOME",
        "JE_ARROW_MALLOC_CONF",
    }
    assert (row["core"], row["data"], row["files"], row["dumpable"], row["session"]) == (0, 512 << 20, 1024, 0, True)
    assert (row["tenant"], row["connection"]) == ("default", "conn_1")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "t: the password is ***"
    ]


def test_no_secret_is_in_what_the_system_tells_about_a_worker(open_odd: Open) -> None:
    source = open_odd()
    stream_of(source)

    told = b"".join(
        (Path("/proc") / str(pid) / name).read_bytes() for pid in processes() for name in ("environ", "cmdline")
    )

    assert told
    assert SECRET.encode() not in told
    source.close()


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_nothing_is_left_when_the_pool_is_closed(start: Any, tmp_path: Path) -> None:
    before = processes()
    made = WorkerPool(Limits(), Redactor(), start=start)
    plugin = importlib.import_module("odd_connectors").Odd
    spec = Spec(plugin, {"mode": "spin"}, "default", "", tmp_path, AddressPolicy())
    source = open_in_worker(made, spec, plugin.config_type(), threading.Event())
    items = source.read(Read(stream_of(source)))
    next(items)

    during = processes() - before
    made.close()
    source.close()

    assert len(during) == (2 if start == "fork" else 1)
    assert processes() & during == set()


_HOST = """
import sys, threading
from pathlib import Path
sys.path.append(sys.argv[1])
from odd_connectors import Odd, OddConfig
from servicetsunami.runtime import AddressPolicy, Redactor
from servicetsunami.sdk import Read
from servicetsunami.sync.workers import Limits, Spec, WorkerPool, open_in_worker
pool = WorkerPool(Limits(), Redactor(), start=sys.argv[3])
sources = []
for mode in ("spin", "well"):
    spec = Spec(Odd, {"mode": mode}, "default", "", Path(sys.argv[2]), AddressPolicy())
    sources.append(open_in_worker(pool, spec, OddConfig(), threading.Event()))
streams = [next(iter(source.streams())) for source in sources]
print(*[stream.description for stream in streams], flush=True)
list(sources[0].read(Read(streams[0])))
"""


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_end_with_a_host_that_is_killed(start: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOST, str(PLUGINS), str(tmp_path), start]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        workers = [int(pid) for pid in host.stdout.readline().split()]
        watched = [os.pidfd_open(pid) for pid in workers]

        host.kill()

    for descriptor in watched:
        ended = select.select([descriptor], [], [], 30)[0]
        os.close(descriptor)
        assert ended == [descriptor]
    assert len(workers) == 2
