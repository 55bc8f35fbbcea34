"""An installation as seen from outside: its tables by their Delta logs, and what its processes left behind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from fault_source import Row, Rows

from servicetsunami.operations.app import local_caller, open_app
from servicetsunami.operations.connections import connect_source
from servicetsunami.runtime import load_settings

NAME = "shop"
_COLUMNS = ["id", "seqno", "payload", "digest"]


@dataclass(frozen=True)
class Difference:
    """How a table differs from what it should hold, in rows."""

    lost: int = 0
    doubled: int = 0
    changed: int = 0
    """Rows that are in the table and nowhere at the source: torn, or of another time."""

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.changed)

    def __str__(self) -> str:
        return f"lost {self.lost}, doubled {self.doubled}, changed {self.changed}"


class Lake:
    """The installation in a folder."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def connect(self, settings: dict[str, Any], streams: dict[str, Any]) -> str:
        """Connect a PostgreSQL; returns the connection's id."""

        async def run() -> str:
            loaded = load_settings({"home": str(self.home)}, environ={}, cwd=self.home)
            async with open_app(loaded) as app:
                caller = local_caller(app)
                made = await connect_source(
                    app, caller, connector="postgres", name=NAME, config=settings, streams=streams
                )
                return made.connection_id

        return asyncio.run(run())

    def folder(self, table: str) -> Path:
        """Return the folder of a table, which may not exist yet."""
        found = sorted(self.home.glob(f"data/*/lakehouse/tenant_*/bronze/{table}/_delta_log"))
        return found[0].parent if found else self.home / "none"

    def table(self, name: str) -> Rows:
        """Return every row that a reader of the table sees at this moment."""
        folder = self.folder(name)
        if not any(folder.glob("_delta_log/*.json")):
            return Counter()
        columns = DeltaTable(folder).to_pyarrow_table(columns=_COLUMNS).to_pydict()
        rows: list[Row] = list(zip(*(columns[column] for column in _COLUMNS), strict=True))
        return Counter(rows)

    def version(self, name: str) -> int:
        """Return the table's version, -1 where there is none."""
        return max((int(path.stem) for path in self.folder(name).glob("_delta_log/*[0-9].json")), default=-1)

    def left_over(self) -> list[str]:
        """Return what a sync must not leave behind it: runs under way, leases, tables loaded aside.

        What was renamed to be removed is no table any more; the next load of the table takes it away.
        """
        with closing(sqlite3.connect(f"file:{self.home / 'records.db'}?mode=ro", uri=True)) as records:
            open_runs = records.execute("select id, status from runs where status in ('queued', 'running')").fetchall()
            leases = records.execute("select name from leases where name like '%table%'").fetchall()
        aside = [
            path.name
            for path in self.home.glob("data/*/lakehouse/tenant_*/_generations/*/*/*")
            if path.suffix != ".gone"
        ]
        return [f"run {run} is {status}" for run, status in open_runs] + [
            *(f"lease {name}" for (name,) in leases),
            *(f"generation {name}" for name in aside),
        ]


def compare(actual: Rows, wanted: Rows) -> Difference:
    """Tell what is missing from, too often in, or strange to `actual`."""
    surplus = actual - wanted
    doubled = sum(count for row, count in surplus.items() if row in wanted)
    return Difference(sum((wanted - actual).values()), doubled, sum(surplus.values()) - doubled)
