"""A table under a random workload, followed by its changes while the syncs die again and again.

    uv run --all-packages --all-extras python tests/faults/changes_workload.py [--changes 100000] [--seed N]

Writes `reports/change_capture.json` and ends with 1 if the tables differ or a slot is left. A writer inserts, updates,
deletes, changes keys, truncates, rolls back and commits transactions small and large; meanwhile a sync is run, most of
the time with a fault, and run again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import asyncpg
from fault_lab import IMPATIENT, Lab
from fault_lake import NAME, Difference, Lake, compare
from fault_processes import Ended
from fault_report import versions
from fault_source import Source

TABLE = "busy"
_PLACES = (
    *("after_connect", "after_position", "after_first_batch", "after_stage", "before_commit", "after_commit"),
    *("before_verify", "before_ack", "after_ack", "before_record", "after_record"),
)
_MOST_FAULTS = 0.8
_LARGE = 3000
_STATEMENTS = {
    "insert": "insert into busy (id, payload) values ($1, $2)",
    "update": "update busy set payload = $2, seqno = nextval('steps') where id = $1",
    "touch": "update busy set seqno = nextval('steps') where id = $1",
    "move": "update busy set id = $2 where id = $1",
    "delete": "delete from busy where id = $1",
    "truncate": "truncate busy",
}
_WEIGHTS = {"insert": 40, "update": 25, "touch": 15, "move": 5, "delete": 15}


@dataclass
class Writer:
    """Changes the table at random, and knows which ids it has."""

    source: Source
    changes: int
    seed: int
    burst: int
    """How many changes are made at most for every sync that begins, so that there are syncs enough."""
    done: Counter[str] = field(default_factory=Counter)
    pace: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    transactions: int = 0

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        chance, ids = random.Random(self.seed), list[int]()
        connection = await self.source.connect()
        try:
            next_id, bursts = 1, 1
            while self.done.total() < self.changes:
                next_id = await self._transaction(connection, chance, ids, next_id)
                if self.done.total() > bursts * self.burst:
                    self.pace.acquire()
                    bursts += 1
        finally:
            await connection.close()

    async def _transaction(
        self, connection: asyncpg.Connection, chance: random.Random, ids: list[int], next_id: int
    ) -> int:
        """Carry out one transaction; one that is rolled back counts for nothing."""
        size = _LARGE if chance.random() < 0.004 else chance.randint(1, 40)
        tried, left, transaction = Counter[str](), list(ids), connection.transaction()
        await transaction.start()
        for _ in range(min(size, self.changes - self.done.total())):
            kind, arguments, next_id = _chosen(chance, left, next_id)
            await connection.execute(_STATEMENTS[kind], *arguments)
            tried[kind] += 1
        self.transactions += 1
        if chance.random() < 0.05:
            await transaction.rollback()
            return next_id
        await transaction.commit()
        ids[:] = left
        self.done += tried
        return next_id


def _chosen(chance: random.Random, ids: list[int], next_id: int) -> tuple[str, tuple[Any, ...], int]:
    """Choose a change, and bring `ids` to where they are after it."""
    kind = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    if chance.random() < 0.00005:
        ids.clear()
        return "truncate", (), next_id
    if kind == "insert" or not ids:
        ids.append(next_id)
        return "insert", (next_id, _payload(chance)), next_id + 1
    place = chance.randrange(len(ids))
    key = ids[place]
    if kind == "move":
        ids[place] = next_id
        return kind, (key, next_id), next_id + 1
    if kind == "delete":
        ids[place] = ids[-1]
        ids.pop()
    return kind, ((key, _payload(chance)) if kind == "update" else (key,)), next_id


def _payload(chance: random.Random) -> str:
    """Return a short text, or now and then one that the server keeps out of line and does not send again."""
    return chance.randbytes(1500 if chance.random() < 0.03 else 12).hex()


@dataclass
class Followed:
    """What came of following the table."""

    syncs: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Follower:
    """Syncs the table over and over, and lets the syncs die."""

    def __init__(self, lab: Lab, home: Path, seed: int) -> None:
        self._lab = lab
        self._home = home
        self._chance = random.Random(seed)
        self.result = Followed()

    def step(self) -> None:
        """Run one sync, most of the time with a fault."""
        if self._chance.random() > _MOST_FAULTS:
            self.sync()
        elif self._chance.random() < 0.25:
            self._kill_at_random()
        else:
            place, action = self._chance.choice(_PLACES), self._chance.choice(("kill", "raise", "transient"))
            self._note(self._start(failpoint=f"{place}={action}").wait(), f"{place}={action}")

    def sync(self) -> Ended:
        """Run one sync that must succeed."""
        ended: Ended = self._start().wait()
        self.result.syncs += 1
        if ended.code != 0:
            self.result.failures.append(f"{ended.code}: {ended.errors or ended.output}"[:600])
        return ended

    def _kill_at_random(self) -> None:
        command = self._start()
        command.runs_after(self._chance.uniform(0.1, 2.0))
        command.signal(signal.SIGKILL)
        self._note(command.wait(), "kill -9")

    def _start(self, **options: Any) -> Any:
        arguments = ("sync", NAME, TABLE, "--mode", "changes", "--json")
        return self._lab.launcher.start(self._home, *arguments, tuned=IMPATIENT, **options)

    def _note(self, ended: Ended, fault: str) -> None:
        self.result.syncs += 1
        if ended.code != 0:
            self.result.deaths[fault] += 1


@contextmanager
def workshop() -> Iterator[Lab]:
    """Start a server, a proxy and a launcher."""
    work = Path(mkdtemp(prefix="changes-"))
    try:
        with Lab(work).opened() as lab:
            yield lab
    finally:
        shutil.rmtree(work, ignore_errors=True)


def follow(lab: Lab, changes: int, syncs: int, seed: int) -> dict[str, Any]:
    """Write so many changes during about so many syncs that follow them, and return what there is to report."""
    source, home, began = lab.source, Path(mkdtemp(prefix="home-", dir=lab.work)), time.monotonic()
    source.make("changes", TABLE, 0)
    source.run("alter table busy alter column payload set storage external")
    lake = Lake(home)
    lake.connect(source.settings(lab.proxy.port), {})
    writer, follower = Writer(source, changes, seed, changes // syncs), Follower(lab, home, seed)
    thread = threading.Thread(target=writer.run)
    thread.start()
    while thread.is_alive():
        writer.pace.release()
        follower.step()
    thread.join()
    follower.sync()
    difference = compare(lake.table(TABLE), source.table(TABLE))
    told = _told(writer, follower.result, difference)
    return {
        **told,
        **_released(lab, home),
        "seconds": round(time.monotonic() - began, 1),
        "seed": seed,
        "versions": versions(),
    }


def _told(writer: Writer, followed: Followed, difference: Difference) -> dict[str, Any]:
    return {
        "changes": writer.done.total(),
        "by_kind": dict(writer.done),
        "transactions": writer.transactions,
        "syncs": followed.syncs,
        "syncs_that_died": followed.deaths.total(),
        "deaths": dict(followed.deaths),
        "syncs_that_failed_without_a_fault": followed.failures,
        "rows": writer.source.rows("select count(*) from busy")[0][0],
        "rows_lost": difference.lost,
        "rows_doubled": difference.doubled,
        "rows_changed": difference.changed,
    }


def _released(lab: Lab, home: Path) -> dict[str, Any]:
    """Delete the connection, and tell what is left of it at the source."""
    ended = lab.launcher.run(home, "connections", "delete", NAME, "--yes")
    publications = lab.source.rows("select pubname from pg_publication")
    told = {} if ended.code == 0 else {"deleting_failed": ended.errors[-600:]}
    return {"slots_left": lab.source.slots(), "publications_left": [name for (name,) in publications], **told}


def is_exact(report: dict[str, Any]) -> bool:
    """Tell whether nothing was lost, doubled, changed or left."""
    names = ("rows_lost", "rows_doubled", "rows_changed", "slots_left", "publications_left")
    return not any(report[name] for name in (*names, "syncs_that_failed_without_a_fault"))


def main() -> int:
    """Run the workload and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--syncs", type=int, default=70, help="About how many syncs follow them.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reports", type=Path, default=Path(__file__).parents[2] / "reports")
    wanted = parser.parse_args()
    with workshop() as lab:
        report = follow(lab, wanted.changes, wanted.syncs, wanted.seed)
    wanted.reports.mkdir(exist_ok=True)
    (wanted.reports / "change_capture.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0 if is_exact(report) else 1


if __name__ == "__main__":
    sys.exit(main())
