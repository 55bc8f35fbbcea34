"""Appends to one table as one app; run twice at once by the concurrency test."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from servicetsunami.sdk import Load, TableName
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink


def append(data_dir: Path, app: str, commits: int, *, merge: bool) -> None:
    """Commit one row after the other; a merge writes the same key each time."""
    sink = LakehouseSink(LakehouseConfig(), LocalContext(data_dir=data_dir, tenant="acme"))
    schema = pa.schema([("app", pa.string()), ("n", pa.int64())])
    load = Load(TableName("bronze", "orders"), schema, app=app)
    transaction = sink.begin(replace(load, mode="merge", key=("app",)) if merge else load)
    for seq in range(1, commits + 1):
        transaction.stage(pa.record_batch([[app], [seq]], schema=schema))
        transaction.commit(seq, {"n": seq})


if __name__ == "__main__":
    append(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), merge=sys.argv[4] == "merge")
