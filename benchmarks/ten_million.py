"""Ten million narrow rows from PostgreSQL into bronze, and the memory it takes.

    uv run --all-packages --all-extras python benchmarks/ten_million.py [--rows 10000000]

A full sync by the command `tsunami sync`, start-up included; the peak is the highest sum of the resident sets of the
whole process tree, worker processes included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
from process_tree import measure

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres

_FILL = (
    "create table narrow (id bigint primary key, amount int not null, note text)",
    "insert into narrow select n, n % 1000, 'note ' || n % 100 from generate_series(1, {rows}) as n",
    "vacuum analyze narrow",
)
_TSUNAMI = str(Path(sys.executable).with_name("tsunami"))


def main() -> None:
    """Print one JSON document with the seconds and the peak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=10_000_000)
    wanted = parser.parse_args()
    with throwaway_postgres(settings={"shared_buffers": "256MB", "max_wal_size": "4GB"}) as server:
        asyncio.run(fill(server, wanted.rows))
        print(json.dumps(_sync(server, wanted.rows), indent=2))


async def fill(server: ThrowawayServer, rows: int) -> None:
    """Make a table `narrow` of so many rows."""
    place = {"host": server.host, "port": server.port, "database": server.database}
    connection = await asyncpg.connect(**place, user=server.user, password=server.password)
    try:
        for statement in _FILL:
            await connection.execute(statement.format(rows=rows), timeout=900)
    finally:
        await connection.close()


def _sync(server: ThrowawayServer, rows: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "TSUNAMI_HOME": home, "BENCHMARK_PASSWORD": server.password}
        # An installed program has its byte code; without it the figures would hold the compiler's.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        place = {"host": server.host, "port": server.port, "database": server.database, "user": server.user}
        settings = [part for name, value in place.items() for part in ("--set", f"{name}={value}")]
        connect = ["connect", "postgres", "--name", "bench", "--secret-env", "password=BENCHMARK_PASSWORD", *settings]
        subprocess.run([_TSUNAMI, *connect], env=environ, check=True, stdout=subprocess.DEVNULL)
        measured = measure([_TSUNAMI, "sync", "bench", "narrow", "--mode", "full"], environ)
        landed = _counted(environ)
    if landed != rows:
        raise SystemExit(f"{landed} rows landed of {rows}")
    return {"rows": rows, "seconds": round(measured.wall_seconds, 2), "peak_mib": round(measured.peak_mib)}


def _counted(environ: dict[str, str]) -> int:
    command = [_TSUNAMI, "query", "select count(*) as n from bronze.narrow", "--json"]
    answer = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    return int(json.loads(answer.stdout)["rows"][0][0])


if __name__ == "__main__":
    main()
