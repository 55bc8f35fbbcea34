"""Changes applied to a table of the lakehouse, beside a merge of as many rows into the same table.

    uv run --all-packages --all-extras python benchmarks/apply_changes.py [--rows 6000000] [--changes 600000]

Of the changes 80 % are updates (one in ten of them without its note), 10 % new rows, 10 % deletes, spread over the
whole table, so that every file is written anew. Each arm is a process that streams its rows from a Parquet file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from process_tree import measure

from servicetsunami.sdk import Load, TableName
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink

_TABLE = TableName("bronze", "orders")
_ARMS: dict[str, dict[str, Any]] = {
    "merge": {"mode": "merge", "key": ("id",)},
    "apply": {"mode": "apply", "key": ("id",)},
    "apply_soft": {"mode": "apply", "key": ("id",), "deletes": "soft"},
}
_ROW = """
id, h % 200000 AS customer, ((h % 10000000) / 100)::DECIMAL(15,2) AS price, h % 50 + 0.5 AS weight,
['new', 'paid', 'sent', 'done'][h % 4 + 1] AS status, DATE '2024-01-01' + (h % 700)::INT AS day,
'order ' || id || ' of customer ' || h % 200000 AS name, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS _synced_at,
"""
_BASE = """
SELECT {row} repeat('note ' || id || '; ', 4) AS note
FROM (SELECT range::BIGINT AS id, (hash(range) >> 1)::BIGINT AS h FROM range({rows}))
"""
_CHANGES = """
SELECT {row} CASE WHEN op = 'u' AND n % 10 = 0 THEN NULL ELSE repeat('new note ' || id || '; ', 4) END AS note,
       op AS _op, CASE WHEN op = 'u' AND n % 10 = 0 THEN ['note'] ELSE []::VARCHAR[] END AS _unchanged
FROM (SELECT n, h, CASE WHEN n % 100 < 80 THEN 'u' WHEN n % 100 < 90 THEN 'c' ELSE 'd' END AS op,
             CASE WHEN n % 100 BETWEEN 80 AND 89 THEN {rows} + n ELSE h % {rows} END::BIGINT AS id
      FROM (SELECT range AS n, (hash(range) >> 1)::BIGINT AS h FROM range({changes})))
"""


def main() -> None:
    """Print one JSON document with seconds and peaks; as a child, run one arm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=6_000_000)
    parser.add_argument("--changes", type=int, default=600_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arm", choices=list(_ARMS))
    parser.add_argument("--home", type=Path)
    wanted = parser.parse_args()
    if wanted.arm:
        _run_arm(wanted.arm, wanted.home)
    else:
        print(json.dumps(_compare(wanted.rows, wanted.changes, wanted.rounds), indent=2))


def _compare(rows: int, changes: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        base = Path(home)
        with duckdb.connect() as database:
            # One thread keeps the table in the order of its keys, as a first load from a source does.
            database.execute("SET threads = 1; SET memory_limit = '1GB'")
            table = database.sql(_BASE.format(row=_ROW, rows=rows)).to_arrow_reader(65_536)
            _load(base / "base", table, table.schema, seq=1)
            wanted = _CHANGES.format(row=_ROW, rows=rows, changes=changes)
            database.sql(wanted).write_parquet(str(base / "changes.parquet"))
        taken = [{arm: _measured(arm, base) for arm in _ARMS} for _ in range(rounds)]
    seconds = {arm: [one[arm][0] for one in taken] for arm in _ARMS}
    return {
        "rows": rows,
        "changes": changes,
        "seconds": {arm: round(statistics.median(found), 2) for arm, found in seconds.items()},
        "ratio_to_merge": round(statistics.median(one["apply"][0] / one["merge"][0] for one in taken), 2),
        "peak_mib": {arm: round(max(one[arm][1] for one in taken)) for arm in _ARMS},
    }


def _measured(arm: str, base: Path) -> tuple[float, float]:
    """Return seconds of staging and commit, and the peak of the whole process in MiB."""
    home = base / arm
    # Nothing of the table is ever written in place, so that its files may be shared.
    shutil.copytree(base / "base", home / "data", copy_function=os.link)
    cost = measure([sys.executable, __file__, "--arm", arm, "--home", str(home)], os.environ)
    seconds = float((home / "seconds").read_text(encoding="ascii"))
    shutil.rmtree(home)
    return seconds, cost.peak_mib


def _run_arm(arm: str, home: Path) -> None:
    changes = pq.ParquetFile(home.parent / "changes.parquet")
    columns = [name for name in changes.schema_arrow.names if arm != "merge" or name not in ("_op", "_unchanged")]
    schema = pa.schema([changes.schema_arrow.field(name) for name in columns])
    began = time.perf_counter()
    _load(home / "data", changes.iter_batches(65_536, columns=columns), schema, seq=2, **_ARMS[arm])
    (home / "seconds").write_text(str(time.perf_counter() - began), encoding="ascii")


def _load(data: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema, *, seq: int, **options: Any) -> None:
    sink = LakehouseSink(LakehouseConfig(), LocalContext(data_dir=data, tenant="bench"))
    transaction = sink.begin(Load(_TABLE, schema, app="bench", **options))
    for batch in batches:
        transaction.stage(batch)
    transaction.commit(seq, {})


if __name__ == "__main__":
    main()
