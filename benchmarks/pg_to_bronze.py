"""Full sync of a lineitem-like table from PostgreSQL into bronze, against the fastest way to get the rows out at all.

    uv run --all-packages --all-extras python benchmarks/pg_to_bronze.py [--rows 6001215] [--rounds 3]

The floor is one `COPY lineitem TO STDOUT (FORMAT binary)` by psql into nothing. Floor and sync alternate; the ratio is
the median of the rounds' own ratios. The sync is the command `tsunami sync`, start-up included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from lineitem import fill
from process_tree import Measured, measure

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres

_COPY = "copy lineitem to stdout (format binary)"


def main() -> None:
    """Print one JSON document with the ratios and the peaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=6_001_215)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    report = []
    with throwaway_postgres(settings={"shared_buffers": "256MB", "max_wal_size": "4GB"}) as server:
        for rows in (wanted.rows // 6, wanted.rows // 2, wanted.rows):
            asyncio.run(fill(server, rows))
            report.append(_compare(server, rows, wanted.rounds))
            print(json.dumps(report[-1]), file=sys.stderr)
    print(json.dumps(report, indent=2))


def _compare(server: ThrowawayServer, rows: int, rounds: int) -> dict[str, object]:
    pairs = [(_floor(server), _sync(server)) for _ in range(rounds)]
    return {
        "rows": rows,
        "rounds": rounds,
        "floor_seconds": round(statistics.median(floor.wall_seconds for floor, _ in pairs), 2),
        "sync_seconds": round(statistics.median(sync.wall_seconds for _, sync in pairs), 2),
        "ratio": round(statistics.median(sync.wall_seconds / floor.wall_seconds for floor, sync in pairs), 2),
        "peak_mib": round(max(sync.peak_mib for _, sync in pairs)),
    }


def _floor(server: ThrowawayServer) -> Measured:
    psql = shutil.which("psql") or sys.exit("psql is needed for the floor")
    where = ["-h", server.host, "-p", str(server.port), "-U", server.user, "-d", server.database]
    return measure([psql, "-q", *where, "-c", _COPY], {**os.environ, "PGPASSWORD": server.password})


def _sync(server: ThrowawayServer) -> Measured:
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "TSUNAMI_HOME": home, "BENCHMARK_PASSWORD": server.password}
        # An installed program has its byte code; without it the first figure would measure the compiler.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        _tsunami(
            environ,
            *("connect", "postgres", "--name", "bench", "--secret-env", "password=BENCHMARK_PASSWORD"),
            *("--set", f"host={server.host}", "--set", f"port={server.port}"),
            *("--set", f"database={server.database}", "--set", f"user={server.user}"),
        )
        command = [*_command(), "sync", "bench", "lineitem", "--mode", "full"]
        return measure(command, environ)


def _tsunami(environ: dict[str, str], *arguments: str) -> None:
    subprocess.run([*_command(), *arguments], env=environ, check=True, stdout=subprocess.DEVNULL)


def _command() -> list[str]:
    return [str(Path(sys.executable).with_name("tsunami"))]


if __name__ == "__main__":
    main()
