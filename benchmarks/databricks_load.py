"""Load rows into the look-alike of a Databricks workspace, beside writing the same rows to a Parquet file on disk.

    uv run --all-packages --all-extras python benchmarks/databricks_load.py [--rows 6001215] [--rounds 3]

The look-alike runs in a process of its own, which does more than a workspace's front does: it also loads the files into
a table, on the same two cores. Arms of one round follow one another: a Parquet file with the sink's compression, an
append, and a merge by key of rows with the same keys into that table. A ratio is the median of the ratios of the
rounds to the first arm. `requests` counts what one append sent; `peak_mib` is the most that the loading process held.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from synthetic import Synthetic, SyntheticConfig

from servicetsunami.sdk import Load, Read, TableName
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_sink_databricks import DatabricksConfig, DatabricksSink


def main() -> None:
    """Print one JSON document with the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=6_001_215)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,))
    server.start()
    try:
        print(json.dumps(_report(here.recv(), asked.rows, asked.rounds), indent=2))
    finally:
        here.send("end")
        server.join(30)


def _serve(pipe: Connection) -> None:
    from servicetsunami_lookalike import Lookalike

    with Lookalike() as server:
        pipe.send({"host": server.host, "token": server.token, "warehouse_id": server.warehouse_id})
        pipe.recv()


def _report(settings: dict[str, Any], rows: int, rounds: int) -> dict[str, Any]:
    counted, requests = _Requests(), 0
    taken: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        ctx = LocalContext(data_dir=Path(folder), tenant="bench")
        sink = DatabricksSink(DatabricksConfig.model_validate(settings), ctx)
        sink.provision()
        for number in range(rounds):
            table = TableName("bronze", f"lineitem_{number}")
            floor = _timed(partial(_parquet, Path(folder) / "rows.parquet", rows))
            before = counted.made
            append = _timed(partial(_load, sink, table, rows, "append"))
            requests = counted.made - before
            taken.append(
                {"parquet": floor, "append": append, "merge": _timed(partial(_load, sink, table, rows, "merge"))}
            )
        sink.close()
    medians = {name: round(statistics.median(one[name] for one in taken), 2) for name in taken[0]}
    ratios = {name: round(statistics.median(one[name] / one["parquet"] for one in taken), 2) for name in taken[0]}
    return {
        "rows": rows,
        "seconds": medians,
        "ratio_to_parquet": ratios,
        "rows_per_second": {name: round(rows / seconds) for name, seconds in medians.items()},
        "requests_per_million_rows": round(requests * 1_000_000 / rows, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


class _Requests:
    """Counts the requests of this process."""

    def __init__(self) -> None:
        self.made = 0
        send = http.client.HTTPConnection.putrequest

        def counted(connection: http.client.HTTPConnection, *args: Any, **options: Any) -> None:
            self.made += 1
            send(connection, *args, **options)

        setattr(http.client.HTTPConnection, "putrequest", counted)  # noqa: B010


def _batches(rows: int) -> Iterator[pa.RecordBatch]:
    source = Synthetic(SyntheticConfig(rows=rows), LocalContext(data_dir=Path("/nowhere")))
    (stream,) = source.streams()
    start = 0
    for batch in source.read(Read(stream)):
        assert isinstance(batch, pa.RecordBatch)
        yield batch.set_column(0, "key_0", pc.add(batch.column(0), start))
        start += len(batch)


def _parquet(path: Path, rows: int) -> None:
    batches = _batches(rows)
    first = next(batches)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        writer.write_batch(first)
        for batch in batches:
            writer.write_batch(batch)


def _load(sink: DatabricksSink, table: TableName, rows: int, mode: Literal["append", "merge"]) -> None:
    batches = _batches(rows)
    first = next(batches)
    transaction = sink.begin(Load(table, first.schema, app=mode, mode=mode, key=("key_0",)))
    transaction.stage(first)
    for batch in batches:
        transaction.stage(batch)
    transaction.commit(1, {})
    transaction.abort()


def _timed(arm: Callable[[], None]) -> float:
    began = time.perf_counter()
    arm()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
