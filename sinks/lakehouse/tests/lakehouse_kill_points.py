"""Stops one commit at every call it makes to the file system, by strace, and looks at what is left.

    python sinks/lakehouse/tests/lakehouse_kill_points.py [--mode append merge apply soft replace] [--fault kill full]
                                                          [--every 1] [--offset 0]

`kill` ends the process with SIGKILL on entering the call, `full` lets calls that write fail with ENOSPC. After each the
table must be as before or as after the commit, an error must name a full disk, and the same commit made again must end
right. Prints one JSON object: for each mode and fault the points, and how many were not so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import Load, NotFound, QueryLimits, TableName, TsunamiError
from servicetsunami.sdk.sql import guard_databricks
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink

TABLE = TableName("bronze", "orders")
BEFORE = [(number, f"old {number}") for number in range(1, 11)]
CHANGES = [(2, "new", "u"), (2, "newer", "u"), (5, None, "d"), (11, "eleven", "c"), (12, "brief", "c"), (12, None, "d")]
# Of the mode, as a load; then what the table holds after it.
MODES: dict[str, tuple[dict[str, Any], list[tuple[int, str | None]]]] = {
    "append": ({}, [*BEFORE, (11, "eleven"), (12, "twelve")]),
    "merge": (
        {"mode": "merge", "key": ("id",)},
        [(11, "eleven"), (12, "twelve"), *BEFORE[:1], (2, "new"), *BEFORE[2:]],
    ),
    "apply": ({"mode": "apply", "key": ("id",)}, []),
    "soft": ({"mode": "apply", "key": ("id",), "deletes": "soft"}, []),
    "replace": ({"generation": "g"}, [(2, "new"), (11, "eleven"), (12, "twelve")]),
}
# What the sink imports at first use; a forked child should not begin with it.
_LATE = ["duckdb", "deltalake", "pyarrow.parquet", "pyarrow.compute", "servicetsunami_sink_lakehouse.engine"]
_WRITES = (
    "write pwrite64 writev pwritev fsync fdatasync link linkat rename renameat renameat2 mkdir ftruncate fallocate"
)
_CALLS = (
    f"{_WRITES} openat unlink unlinkat rmdir utimensat close lseek read pread64 newfstatat statx getdents64".split()
)
_TRACED = re.compile(r"^(?:(\d+)\s+)?(\w+)\(")
# A tenth version is summed up in a checkpoint, which is part of the commit's work.
_SEQ = len(BEFORE) + 1


@dataclass(frozen=True)
class Seen:
    """What a reader finds: the last commit's number, the rows, and files that the table does not name."""

    seq: int
    rows: list[list[Any]]
    stray: int


def expected(mode: str) -> list[list[Any]]:
    """Return the rows after the commit."""
    if mode in ("apply", "soft"):
        kept = {**dict(BEFORE), 2: "newer", 11: "eleven", **({12: "brief"} if mode == "soft" else {})}
        if mode == "apply":
            del kept[5]
        return [list(row) for row in sorted(kept.items())]
    return [list(row) for row in sorted(MODES[mode][1])]


def load_of(mode: str, **more: Any) -> Load:
    """Describe the load under test."""
    ops = [("_op", pa.string())] if mode in ("apply", "soft") else []
    schema = pa.schema([("id", pa.int64()), ("name", pa.string()), *ops])
    return Load(TABLE, schema, app="app", **{**MODES[mode][0], **more})


def prepare(data: Path, mode: str) -> None:
    """Make the table of ten versions, and the generation if one is to replace it."""
    sink = open_sink(data)
    plain = load_of("append")
    for seq, row in enumerate(BEFORE, 1):
        write(sink, plain, [row], seq)
    if mode == "replace":
        write(sink, load_of(mode), [(2, "new"), (11, "eleven"), (12, "twelve")], 1)


def run(data: Path, mode: str) -> None:
    """Make the commit under test."""
    sink, load = open_sink(data), load_of(mode)
    if mode == "replace":
        sink.replace(load, _SEQ, {"at": _SEQ})
    elif "_op" in load.schema.names:
        write(sink, load, CHANGES, _SEQ)
    else:
        merged = [(2, "new")] if mode == "merge" else []
        write(sink, load, [*merged, (11, "eleven"), (12, "twelve")], _SEQ)


def write(sink: LakehouseSink, load: Load, rows: list[Any], seq: int) -> None:
    """Stage and commit some rows."""
    names = load.schema.names
    transaction = sink.begin(load)
    transaction.stage(pa.RecordBatch.from_pylist([dict(zip(names, row, strict=True)) for row in rows], load.schema))
    transaction.commit(seq, {"at": seq})
    transaction.abort()


def open_sink(data: Path) -> LakehouseSink:
    """Open the lakehouse in a folder."""
    return LakehouseSink(LakehouseConfig(), LocalContext(data_dir=data, tenant="acme"))


def look(data: Path) -> Seen:
    """Read the table as a reader does."""
    sink = open_sink(data)
    query = guard_databricks("SELECT id, name FROM bronze.orders ORDER BY id", catalog="tenant_acme", layers=["bronze"])
    try:
        found = sink.query(query, QueryLimits(1_000)).read_all()
    except NotFound:
        return Seen(0, [], 0)
    rows = [list(row.values()) for row in found.to_pylist()]
    return Seen(sink.committed(load_of("append")).seq, rows, len(strays(data)))


def strays(data: Path) -> list[Path]:
    """Return the files that neither a version of the table nor a generation has."""
    folder = data / "tenant_acme/bronze/orders"
    log = [
        json.loads(line) for entry in (folder / "_delta_log").glob("*.json") for line in entry.open(encoding="utf-8")
    ]
    named = {action["add"]["path"] for action in log if "add" in action}
    unnamed = [file for file in folder.glob("*.parquet") if file.name not in named and file.stat().st_nlink == 1]
    return [*unnamed, *folder.glob("_delta_log/.*"), *(file for file in folder.rglob("_spill/*") if file.is_file())]


def apart(work: Callable[[], Any]) -> Any:
    """Run in a forked process, so that this one never starts a thread; returns what it returns, as JSON has it."""
    read, out = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(out, json.dumps(work(), default=vars).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(out)
    with os.fdopen(read, "rb") as answer:
        text = answer.read()
    _, code = os.waitpid(child, 0)
    if code:
        raise RuntimeError("the look at the table failed: see above")
    return json.loads(text)


def traced(data: Path, mode: str, fault: str, *options: str) -> tuple[str, str]:
    """Run the commit under strace; returns what became of it and the trace."""
    go_read, go = os.pipe()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(go_read, 1)
        try:
            os.write(tell, outcome(data, mode).encode())
        finally:
            os._exit(0)
    os.close(tell)
    trace = data.with_suffix(".trace")
    # Calls are counted for each thread, and those of the engines' threads go to pipes as well: a full disk is none.
    follow = ["-f"] if fault == "kill" else []
    strace = subprocess.Popen(
        ["strace", *follow, "-y", "-o", trace, "-p", str(child), *options], stderr=subprocess.PIPE, text=True
    )
    assert strace.stderr is not None
    while "attached" not in strace.stderr.readline():
        pass
    os.write(go, b"g")
    for handle in (go, go_read):
        os.close(handle)
    with os.fdopen(told, "rb") as answer:
        in_time, _, _ = select.select([answer], [], [], 60)
        if not in_time:
            os.kill(child, signal.SIGKILL)
        said = answer.read().decode() if in_time else "hung"
    os.waitpid(child, 0)
    strace.communicate()
    return said or "ended", trace.read_text(encoding="utf-8", errors="replace")


def outcome(data: Path, mode: str) -> str:
    """Make the commit and say how it ended."""
    try:
        run(data, mode)
    except TsunamiError as error:
        return error.code or type(error).__name__
    return "done"


def all_points(base: Path, mode: str, fault: str) -> list[tuple[str, int]]:
    """List the calls of a commit to the file system, each with its number among those of its thread."""
    data = copied(base)
    wanted = _WRITES.split() if fault == "full" else _CALLS
    _, trace = traced(data, mode, fault, "-e", f"trace={','.join(wanted)}")
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], None] = {}
    for line in trace.splitlines():
        if call := _TRACED.match(line):
            thread = (call[1] or "", call[2])
            seen[thread] += 1
            if str(data) in line:
                found[call[2], seen[thread]] = None
    return list(found)


def copied(base: Path) -> Path:
    """Return a fresh copy of the table."""
    data = base.with_name("tried")
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(base, data)
    return data


def try_point(base: Path, mode: str, fault: str, point: tuple[str, int]) -> str:
    """Stop a commit at one call; returns what is wrong with what is left, or nothing."""
    call, number = point
    what = "signal=KILL" if fault == "kill" else "error=ENOSPC"
    data = copied(base)
    said, _ = traced(data, mode, fault, "-e", f"trace={call}", "-e", f"inject={call}:{what}:when={number}")
    wrong = judged(apart(lambda: look(data)), said, mode, fault)
    apart(lambda: run(data, mode))
    again = apart(lambda: look(data))
    if not wrong and (again["seq"], again["rows"]) != (_SEQ, expected(mode)):
        wrong = "wrong after a rerun"
    return wrong and f"{mode}, {fault} at {call} {number}: {wrong} ({said})"


def judged(seen: dict[str, Any], said: str, mode: str, fault: str) -> str:
    """Say what is wrong with what a commit that was stopped left, or nothing."""
    states = {len(BEFORE): [list(row) for row in BEFORE], _SEQ: expected(mode)}
    if seen["rows"] != states.get(seen["seq"]):
        return "half visible"
    if fault == "kill":
        return "" if said in ("ended", "done") else "an error instead of an end"
    if said == "done":
        return "" if seen["seq"] == _SEQ else "a commit that was told is lost"
    if said == "commit_unsure":
        return "" if seen["seq"] == _SEQ else "a commit that was thought visible is not"
    if said != "disk_full" or seen["seq"] == _SEQ:
        return "an error that does not say what happened"
    return "files are left" if seen["stray"] else ""


def main() -> None:
    """Print what was found; ends with 1 if anything was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--fault", nargs="+", choices=["kill", "full"], default=["kill", "full"])
    parser.add_argument("--every", type=int, default=1, help="try each n-th point only")
    parser.add_argument("--offset", type=int, default=0, help="begin with this point")
    wanted = parser.parse_args()
    for name in (*_LATE, "servicetsunami_sink_lakehouse.transaction", "servicetsunami_sink_lakehouse.generation"):
        import_module(name)
    report, wrong = {}, []
    with tempfile.TemporaryDirectory(prefix="lakehouse-points-") as home:
        for mode in wanted.mode:
            base = Path(home) / f"{mode}"
            apart(partial(prepare, base, mode))
            for fault in wanted.fault:
                tried = all_points(base, mode, fault)[wanted.offset :: wanted.every]
                found = [text for point in tried if (text := try_point(base, mode, fault, point))]
                report[f"{mode} {fault}"] = {"points": len(tried), "wrong": len(found)}
                wrong += found
    sys.stdout.write(json.dumps({"points": report, "wrong": wrong}, indent=2) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
