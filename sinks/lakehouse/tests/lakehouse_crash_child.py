"""Loads a table through every kind of commit, and dies at the n-th call to the file system; run by the crash test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import Load, TableName
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink

TABLE = TableName("bronze", "orders")


def rows(*ids: int, name: str) -> pa.RecordBatch:
    """Make orders."""
    return pa.record_batch({"id": pa.array(ids, pa.int64()), "name": [name] * len(ids)})


def load_all(data_dir: Path) -> None:
    """Append, merge and replace; each step has its sequence number, so that it may be run again."""
    sink = LakehouseSink(LakehouseConfig(), LocalContext(data_dir=data_dir, tenant="acme"))
    schema = rows(name="").schema
    steps: list[tuple[int, pa.RecordBatch, dict[str, Any]]] = [
        (1, rows(1, 2, name="a"), {}),
        (2, rows(2, 3, 3, name="b"), {"mode": "merge", "key": ("id",)}),
    ]
    for seq, batch, options in steps:
        transaction = sink.begin(Load(TABLE, schema, app="app", **options))
        transaction.stage(batch)
        transaction.commit(seq, {"seq": seq})
        transaction.abort()
    generation = Load(TABLE, schema, app="app", generation="full")
    if sink.committed(Load(TABLE, schema, app="app")).seq < 3:
        transaction = sink.begin(generation)
        transaction.stage(rows(7, 8, name="c"))
        transaction.commit(1, {})
        transaction.abort()
    sink.replace(generation, 3, {"seq": 3})


def die_at(call: int) -> None:
    """Make the process kill itself just before its n-th call that changes the disk."""
    left = [call]

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return run

    for name in ("fsync", "link", "rename", "unlink", "mkdir", "utime"):
        setattr(os, name, deadly(getattr(os, name)))


if __name__ == "__main__":
    die_at(int(sys.argv[2]))
    load_all(Path(sys.argv[1]))
