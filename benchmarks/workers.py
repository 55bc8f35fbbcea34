"""What worker processes cost: throughput against the same source in this process, starting, and ending one that hangs.

    uv run --all-packages --all-extras python benchmarks/workers.py [--rows 6001215] [--rounds 5]

Both arms of a comparison alternate, and a ratio is the median of the rounds' own ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from lineitem import fill
from synthetic import Synthetic

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.runtime import AddressPolicy, HostContext, Redactor
from servicetsunami.sdk import Read, Source, TransientError
from servicetsunami.sync.workers import Limits, Spec, WorkerPool, open_in_worker
from servicetsunami_postgres import connectors

Consume = Callable[[Source[Any], Path], int]
_HANG_SECONDS = 1.0


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=6_001_215)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), wanted.rounds)
        synthetic = Arms(Synthetic, {"rows": wanted.rows}, wanted.rows)
        report = {
            "start": bench.start(),
            "hang": bench.hang(),
            "ready batches, read only": bench.compare(synthetic, read),
            "ready batches, into Parquet": bench.compare(synthetic, write),
        }
        with throwaway_postgres(settings={"shared_buffers": "256MB", "max_wal_size": "4GB"}) as server:
            rows = wanted.rows // 6
            asyncio.run(fill(server, rows))
            arms = Arms(connectors()[0], _config(server), rows)
            report["PostgreSQL, read only"] = bench.compare(arms, read)
            report["PostgreSQL, sandboxed"] = bench.sandboxed(arms, read)
        bench.pool.close()
    print(json.dumps(report, indent=2))


class Arms:
    """One source, opened here or in a worker."""

    def __init__(self, plugin: type[Source[Any]], config: dict[str, Any], rows: int) -> None:
        self.plugin = plugin
        self.config = config
        self.rows = rows

    def here(self, folder: Path) -> Source[Any]:
        """Open it in this process."""
        context = HostContext("default", self.plugin.name, folder, AddressPolicy(), None, Redactor())
        return self.plugin(self.plugin.config_type(**self.config), context)

    def in_worker(self, pool: WorkerPool, folder: Path) -> Source[Any]:
        """Open it in a worker."""
        spec = Spec(self.plugin, self.config, "default", "bench", folder, AddressPolicy())
        return open_in_worker(pool, spec, self.plugin.config_type(**self.config), threading.Event())


class Bench:
    """Measures in one run, with one pool."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self._folder = folder
        self._rounds = rounds
        self.pool = WorkerPool(Limits(silence_seconds=_HANG_SECONDS * 60), Redactor())

    def compare(self, arms: Arms, consume: Consume) -> dict[str, Any]:
        """Alternate both arms, the first round unmeasured."""
        pairs = []
        for _ in range(self._rounds + 1):
            here = self._timed(arms.here(self._folder), consume, arms.rows)
            worker = self._timed(arms.in_worker(self.pool, self._folder), consume, arms.rows)
            pairs.append((here, worker))
        del pairs[0]
        return {
            "rows": arms.rows,
            "here_rows_per_second": round(arms.rows / statistics.median(here for here, _ in pairs)),
            "worker_rows_per_second": round(arms.rows / statistics.median(worker for _, worker in pairs)),
            "throughput_ratio": round(statistics.median(here / worker for here, worker in pairs), 3),
        }

    def sandboxed(self, arms: Arms, consume: Consume) -> dict[str, Any]:
        """Alternate a worker and one in bubblewrap, the first round unmeasured."""
        if shutil.which("bwrap") is None:
            return {"skipped": "bubblewrap is not installed"}
        pool, pairs = WorkerPool(self.pool.limits, Redactor(), sandbox="bubblewrap"), []
        began = time.perf_counter()
        arms.in_worker(pool, self._folder).close()
        first = time.perf_counter() - began
        for _ in range(self._rounds + 1):
            worker = self._timed(arms.in_worker(self.pool, self._folder), consume, arms.rows)
            sandbox = self._timed(arms.in_worker(pool, self._folder), consume, arms.rows)
            pairs.append((worker, sandbox))
        pool.close()
        del pairs[0]
        return {
            "rows": arms.rows,
            "first_ms": _ms(first),
            "worker_rows_per_second": round(arms.rows / statistics.median(worker for worker, _ in pairs)),
            "sandboxed_rows_per_second": round(arms.rows / statistics.median(sandbox for _, sandbox in pairs)),
            "throughput_ratio": round(statistics.median(worker / sandbox for worker, sandbox in pairs), 3),
        }

    def start(self) -> dict[str, float]:
        """Measure opening a source: the first ever, in a process that waited, and in one that is forked anew."""
        arms, times = Arms(Synthetic, {"rows": 1}, 1), []
        for _ in range(41):
            began = time.perf_counter()
            source = arms.in_worker(self.pool, self._folder)
            times.append(time.perf_counter() - began)
            source.close()
        forked = []
        for number in range(20):
            arms = Arms(Synthetic, {"rows": 2 + number}, 1)
            began = time.perf_counter()
            source = arms.in_worker(self.pool, self._folder)
            forked.append(time.perf_counter() - began)
            source.close()
        return {
            "first_ms": _ms(times[0]),
            "warm_median_ms": _ms(statistics.median(times[1:])),
            "forked_median_ms": _ms(statistics.median(forked)),
        }

    def hang(self) -> dict[str, float]:
        """Measure how long after its limit a read that hangs is ended, with its process."""
        over = []
        pool = WorkerPool(Limits(silence_seconds=_HANG_SECONDS), Redactor())
        for _ in range(self._rounds):
            source = Arms(Synthetic, {"rows": 1, "hangs": True}, 1).in_worker(pool, self._folder)
            items = source.read(Read(next(iter(source.streams()))))
            next(items)
            began = time.perf_counter()
            try:
                next(items)
            except TransientError:
                over.append(time.perf_counter() - began - _HANG_SECONDS)
            source.close()
        pool.close()
        return {
            "limit_ms": _ms(_HANG_SECONDS),
            "over_median_ms": _ms(statistics.median(over)),
            "over_max_ms": _ms(max(over)),
        }

    def _timed(self, source: Source[Any], consume: Consume, rows: int) -> float:
        with closing(source):
            began = time.perf_counter()
            found = consume(source, self._folder)
            if found != rows:
                raise SystemExit(f"{found} rows instead of {rows}")
            return time.perf_counter() - began


def read(source: Source[Any], _folder: Path) -> int:
    """Count the rows."""
    (stream,) = source.streams()
    return sum(item.num_rows for item in source.read(Read(stream)) if isinstance(item, pa.RecordBatch))


def write(source: Source[Any], folder: Path) -> int:
    """Write the rows into one Parquet file, which is the least that any sink does with them."""
    (stream,) = source.streams()
    rows = 0
    with pq.ParquetWriter(folder / "rows.parquet", stream.schema, compression="zstd") as writer:
        for item in source.read(Read(stream)):
            if isinstance(item, pa.RecordBatch):
                writer.write_batch(item)
                rows += item.num_rows
    return rows


def _config(server: ThrowawayServer) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "database": server.database,
        "user": server.user,
        "password": server.password,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


if __name__ == "__main__":
    main()
