"""Profile a table of the lakehouse, beside DuckDB's SUMMARIZE over the same files in the same run.

    uv run --all-packages --all-extras python benchmarks/table_profile.py [--rows 6001215] [--rounds 5]

Rows like TPC-H's lineitem, 16 columns. SUMMARIZE gives least, greatest, distinct values, average, deviation, quartiles,
counts and nulls; the profile gives least, greatest, distinct values and nulls of all rows, and of a sample what texts
look like and the frequent values. Both have two threads. A ratio is the median of the ratios of the rounds.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from synthetic import Synthetic, SyntheticConfig

from servicetsunami.assistant.asking import TableAsker
from servicetsunami.assistant.profiling import profile
from servicetsunami.sdk import Load, Read, TableName
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink

TABLE = TableName("bronze", "lineitem")


def main() -> None:
    """Print one JSON document with the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=6_001_215)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sink = LakehouseSink(LakehouseConfig(), LocalContext(data_dir=Path(folder), tenant="bench"))
        _fill(sink, asked.rows)
        print(json.dumps(_report(sink, Path(folder), asked), indent=2))
        sink.close()


def _report(sink: LakehouseSink, folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    columns = sink.describe(TABLE).columns
    asker = TableAsker(sink, sink.catalog(), TABLE, 600.0)
    arms: dict[str, Callable[[], object]] = {
        "summarize": lambda: _summarize(folder),
        "profile": lambda: profile(asker, columns),
    }
    rounds = [{name: _timed(arm) for name, arm in arms.items()} for _ in range(asked.rounds)]
    return {
        "rows": asked.rows,
        "columns": len(columns),
        "seconds": {name: round(statistics.median(one[name] for one in rounds), 2) for name in arms},
        "ratio_to_summarize": round(statistics.median(one["profile"] / one["summarize"] for one in rounds), 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _fill(sink: LakehouseSink, rows: int) -> None:
    source = Synthetic(SyntheticConfig(rows=rows), LocalContext(data_dir=Path("/nowhere")))
    (stream,) = source.streams()
    assert stream.schema is not None
    transaction = sink.begin(Load(TABLE, stream.schema, app="bench"))
    for batch in source.read(Read(stream)):
        assert isinstance(batch, pa.RecordBatch)
        transaction.stage(batch)
    transaction.commit(1, {})
    transaction.abort()


def _summarize(folder: Path) -> list[tuple[Any, ...]]:
    files = [str(file) for file in folder.rglob("*.parquet")]
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        return connection.execute("SUMMARIZE SELECT * FROM read_parquet(?)", [files]).fetchall()


def _timed(arm: Callable[[], object]) -> float:
    began = time.perf_counter()
    arm()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
