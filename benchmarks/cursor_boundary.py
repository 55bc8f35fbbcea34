"""What incremental reads lose while many transactions write: with settled marks, and with the greatest value seen.

    uv run --all-packages --all-extras python benchmarks/cursor_boundary.py [--rows 20000] [--writers 16]

Every writer is a connection of its own that waits a random time before its inserts, between them and before its
commit; some transactions last seconds, some are rolled back. Both arms read the same table of the same server at the
same time, merge by key, and read once more when the last writer has ended. `reread` is rows read for each row there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg
import pyarrow as pa
import pyarrow.compute as pc

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.sdk import Read, Stream, Watermark
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_postgres import PostgresConfig, PostgresSource

_TABLE = "CREATE TABLE events (id bigserial PRIMARY KEY, version int NOT NULL, updated_at timestamptz DEFAULT now())"
_INSERT = "INSERT INTO events (version) SELECT 0 FROM generate_series(1, $1::int) RETURNING id"
_UPDATE = "UPDATE events SET version = version + 1, updated_at = now() WHERE id = ANY ($1::bigint[])"


@dataclass
class Arm:
    """One way to move the mark, and what it has read."""

    cursor: str
    settled: bool
    mark: Any = None
    read: int = 0
    held_back: int = 0
    versions: dict[int, int] = field(default_factory=dict)

    def sync(self, source: PostgresSource, stream: Stream) -> None:
        """Read once from the mark and move it."""
        greatest, watermark = self.mark, None
        for item in source.read(Read(replace(stream, cursor=self.cursor), since=self.mark)):
            if isinstance(item, Watermark):
                watermark = item.value
                continue
            assert isinstance(item, pa.RecordBatch)
            self.read += item.num_rows
            self.versions.update(zip(item["id"].to_pylist(), item["version"].to_pylist(), strict=True))
            seen = pc.max(item[self.cursor]).as_py()
            greatest = seen if greatest is None or (seen is not None and seen > greatest) else greatest
        self.mark = self._moved(greatest, watermark)

    def _moved(self, greatest: Any, watermark: Any) -> Any:
        if not self.settled or greatest is None:
            return greatest
        if watermark is None:
            self.held_back += 1
            return self.mark
        reached = min(greatest, watermark)
        return reached if self.mark is None else max(self.mark, reached)

    def lost(self, truth: dict[int, int]) -> int:
        """Count the rows that are not there, or not as they are now; a number tells of new rows only."""
        if self.cursor == "id":
            return len(truth.keys() - self.versions.keys())
        return sum(self.versions.get(key) != version for key, version in truth.items())


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--writers", type=int, default=16)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, throwaway_postgres() as server:
        print(json.dumps(measure(server, Path(folder), arguments.rows, arguments.writers), indent=2))


def measure(server: ThrowawayServer, folder: Path, rows: int, writers: int) -> dict[str, Any]:
    """Write and read at once; return what each arm lost."""
    asyncio.run(_run(server, _TABLE))
    writing = threading.Thread(target=lambda: asyncio.run(_write_all(server, rows // writers + 1, writers)))
    arms = [Arm(cursor, settled) for cursor in ("updated_at", "id") for settled in (True, False)]
    source = _source(server, folder)
    try:
        (stream,) = source.streams()
        writing.start()
        rounds = 0
        while writing.is_alive():
            rounds += 1
            for arm in arms:
                arm.sync(source, stream)
        writing.join()
        for arm in arms:
            arm.sync(source, stream)
    finally:
        source.close()
    return _report(arms, dict(asyncio.run(_run(server, "SELECT id, version FROM events"))), rounds)


def _report(arms: list[Arm], truth: dict[int, int], rounds: int) -> dict[str, Any]:
    report: dict[str, Any] = {"rows": len(truth), "rounds": rounds}
    for arm in arms:
        report.setdefault(arm.cursor, {})["settled" if arm.settled else "naive"] = {
            "lost": arm.lost(truth),
            "reread": round(arm.read / len(truth), 2),
            "held_back": arm.held_back,
        }
    return report


def _source(server: ThrowawayServer, folder: Path) -> PostgresSource:
    settings = {name: getattr(server, name) for name in ("host", "port", "user", "password", "database")}
    return PostgresSource(PostgresConfig.model_validate(settings), LocalContext(data_dir=folder))


async def _connect(server: ThrowawayServer) -> asyncpg.Connection:
    settings = {name: getattr(server, name) for name in ("host", "port", "user", "password", "database")}
    return await asyncpg.connect(**settings)


async def _run(server: ThrowawayServer, sql: str) -> list[Any]:
    connection = await _connect(server)
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


async def _write_all(server: ThrowawayServer, rows: int, writers: int) -> None:
    await asyncio.gather(*(_write(server, rows, random.Random(seed)) for seed in range(writers)))


async def _write(server: ThrowawayServer, rows: int, dice: random.Random) -> None:
    connection = await _connect(server)
    mine: list[int] = []
    try:
        while len(mine) < rows:
            mine += await _transaction(connection, mine, dice)
    finally:
        await connection.close()


async def _transaction(connection: asyncpg.Connection, mine: list[int], dice: random.Random) -> list[int]:
    transaction = connection.transaction()
    await transaction.start()
    await asyncio.sleep(dice.random() * 0.02)
    found = [row["id"] for row in await connection.fetch(_INSERT, dice.randint(1, 20))]
    if mine and dice.random() < 0.3:
        await connection.execute(_UPDATE, dice.sample(mine, min(3, len(mine))))
    await asyncio.sleep(dice.uniform(1, 3) if dice.random() < 0.01 else dice.random() * 0.1)
    found += [row["id"] for row in await connection.fetch(_INSERT, dice.randint(1, 5))]
    if dice.random() < 0.05:
        await transaction.rollback()
        return []
    await transaction.commit()
    return found


if __name__ == "__main__":
    main()
