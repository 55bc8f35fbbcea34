"""A large CSV file into bronze, against DuckDB's own conversion of it to Parquet.

    uv run --all-packages --all-extras python benchmarks/files_csv.py [--mb 1024] [--rounds 3] [--quoted]

The floor is `COPY (FROM read_csv(...)) TO ... (FORMAT parquet)` in a process of its own. Floor and sync alternate; the
ratio is the median of the rounds' own ratios. The sync is the command `tsunami sync`, start-up included; `read` is the
connector alone, in a process that only counts its rows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from process_tree import Measured, measure
from pyarrow import csv

_ROWS = 100_000
_FLOOR = """
import duckdb, sys
duckdb.sql(f"COPY (FROM read_csv('{sys.argv[1]}')) TO '{sys.argv[2]}' (FORMAT parquet)")
"""
_READ = """
import sys
from pathlib import Path
from servicetsunami_files import FilesConfig, FilesSource
from servicetsunami.sdk import Read
from servicetsunami.sdk.testing import LocalContext
place = Path(sys.argv[1])
source = FilesSource(FilesConfig(location=str(place)), LocalContext(data_dir=place.parent / "data"))
stream = next(iter(source.streams()))
print(sum(batch.num_rows for batch in source.read(Read(stream))))
"""


def main() -> None:
    """Print one JSON document with the ratios and the peaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mb", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quoted", action="store_true", help="quote every text")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.csv"
        rows = _write(path, wanted.mb << 20, quoted=wanted.quoted)
        runs = [(_floor(path), _read(path), _sync(path)) for _ in range(wanted.rounds)]
    print(json.dumps(_report(rows, runs), indent=2))


def _report(rows: int, runs: list[tuple[Measured, Measured, Measured]]) -> dict[str, object]:
    def middle(values: list[float]) -> float:
        return round(statistics.median(values), 2)

    return {
        "rows": rows,
        "rounds": len(runs),
        "duckdb_seconds": middle([floor.wall_seconds for floor, _, _ in runs]),
        "read_seconds": middle([read.wall_seconds for _, read, _ in runs]),
        "sync_seconds": middle([sync.wall_seconds for _, _, sync in runs]),
        "ratio_of_sync": middle([sync.wall_seconds / floor.wall_seconds for floor, _, sync in runs]),
        "peak_mib": {
            "duckdb": round(max(floor.peak_mib for floor, _, _ in runs)),
            "read": round(max(read.peak_mib for _, read, _ in runs)),
            "sync": round(max(sync.peak_mib for _, _, sync in runs)),
        },
    }


def _write(path: Path, size: int, *, quoted: bool) -> int:
    rows, style = 0, "all_valid" if quoted else "needed"
    with path.open("wb") as file:
        while file.tell() < size:
            options = csv.WriteOptions(include_header=rows == 0, quoting_style=style)
            csv.write_csv(_table(rows), file, options)
            rows += _ROWS
    return rows


def _table(first: int) -> pa.Table:
    numbers = range(first, first + _ROWS)
    start = datetime.fromisoformat("2024-01-01T00:00:00")
    columns = {
        "id": pa.array(numbers, pa.int64()),
        **{f"number_{k}": pa.array([n * 7919 % 10 ** (k + 3) for n in numbers], pa.int64()) for k in range(6)},
        **{f"money_{k}": pa.array([Decimal(n * 31 % 10**6) / 100 for n in numbers]) for k in range(3)},
        **{f"day_{k}": pa.array([date(2024, 1, 1 + n % 28) for n in numbers]) for k in range(2)},
        "at": pa.array([start + timedelta(seconds=n) for n in numbers], pa.timestamp("s")),
        "is_new": pa.array([n % 3 == 0 for n in numbers]),
        **{f"word_{k}": pa.array([("red", "green", "blue")[(n + k) % 3] for n in numbers]) for k in range(4)},
        "comment": pa.array([f"order {n} was left at the door" for n in numbers]),
        "code": pa.array([f"c{n % 5000}" for n in numbers]),
    }
    return pa.table(columns)


def _floor(path: Path) -> Measured:
    return measure([sys.executable, "-c", _FLOOR, str(path), str(path.with_suffix(".parquet"))], os.environ)


def _read(path: Path) -> Measured:
    return measure([sys.executable, "-c", _READ, str(path)], os.environ)


def _sync(path: Path) -> Measured:
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "TSUNAMI_HOME": home, "TSUNAMI_FILE_ROOTS": str(path.parent)}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        tsunami = str(Path(sys.executable).with_name("tsunami"))
        connect = [tsunami, "connect", "files", "--name", "bench", "--set", f"location={path}"]
        subprocess.run(connect, env=environ, check=True, stdout=subprocess.DEVNULL)
        return measure([tsunami, "sync", "bench", "events", "--mode", "full"], environ)


if __name__ == "__main__":
    main()
