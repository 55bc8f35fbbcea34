"""The ledger: for each table and app its last commit, and the one that is under way.

A commit is written down before it is carried out. Whoever finds one that was not finished carries it out (`commits`),
so that rows and state are there together for everyone who asks the ledger first. Every statement may be sent twice:
the clients of Databricks do that when an answer is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from servicetsunami.sdk import Commit, TableName
from servicetsunami_sink_databricks.places import Place, Places
from servicetsunami_sink_databricks.statements import Statements
from servicetsunami_sink_databricks.work import Work
from servicetsunami_sink_databricks.writing_sql import words

DEFINITION = (
    "(table_name STRING NOT NULL, generation STRING NOT NULL, app STRING NOT NULL, seq BIGINT, state STRING, "
    "load STRING, pending_seq BIGINT, pending_state STRING, pending_work STRING, pending_load STRING, "
    "changed_at TIMESTAMP) "
    "COMMENT 'Commits of loads: the last one, and the one under way.'"
)
_READ = "SELECT generation, app, seq, state, load, pending_seq, pending_state, pending_work, changed_at FROM"
_ONE = "table_name = :table AND generation = :generation AND app = :app"
_CLEARED = "pending_seq = NULL, pending_state = NULL, pending_work = NULL, pending_load = NULL"
_NOW = "changed_at = current_timestamp()"


_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """What the ledger says of an app on a table."""

    place: Place
    app: str
    last: Commit
    changed_at: datetime = _NEVER
    load_id: str = ""
    """The load of the last commit, whose files are not needed any more."""
    pending: Commit | None = None
    work: Work | None = None


class Ledger:
    """The ledger of one tenant."""

    def __init__(self, statements: Statements, places: Places) -> None:
        self._statements = statements
        self._places = places

    def check(self) -> None:
        """Read the ledger; raises what stops that."""
        self._statements.rows(words("SELECT count(*) AS n FROM", self._places.ledger), doing="reading the ledger")

    def of(self, table: TableName) -> list[Entry]:
        """Return all that is known of a table and its generations."""
        statement = words(_READ, self._places.ledger, "WHERE table_name = :table ORDER BY changed_at")
        found = self._statements.rows(statement, {"table": str(table)}, doing="reading the ledger")
        return [_entry(self._places, table, row) for row in found]

    def entry(self, place: Place, app: str) -> Entry:
        """Return what is known of one app on a table; an entry of no commit if nothing is."""
        statement = words(_READ, self._places.ledger, "WHERE", _ONE)
        found = self._statements.rows(statement, _key(place, app), doing="reading the ledger")
        return next((_entry(self._places, place.table, row) for row in found), Entry(place, app, Commit()))

    def prepare(self, place: Place, app: str, commit: Commit, work: Work) -> bool:
        """Write down what is going to be committed; tells whether it now is the one under way.

        It is not if the app has committed as much before, or if another commit of it is under way.
        """
        statement = words(
            *("MERGE INTO", self._places.ledger, "AS t USING (SELECT :table AS table_name, :generation AS generation,"),
            "CAST(:app AS STRING) AS app) AS s",
            "ON t.table_name = s.table_name AND t.generation = s.generation AND t.app = s.app",
            "WHEN MATCHED AND t.pending_load IS NULL AND coalesce(t.seq, 0) < :seq THEN UPDATE SET pending_seq = :seq,",
            f"pending_state = :state, pending_work = :work, pending_load = :load, {_NOW}",
            "WHEN NOT MATCHED THEN INSERT (table_name, generation, app, seq, state, pending_seq, pending_state,",
            "pending_work, pending_load, changed_at) VALUES (s.table_name, s.generation, s.app, 0, '{}', :seq, :state,",
            ":work, :load, current_timestamp())",
        )
        described = {"seq": commit.seq, "state": json.dumps(commit.state), "work": work.to_json(), "load": work.load_id}
        values = {**_key(place, app), **described}
        counted = self._statements.rows(statement, values, doing="writing to the ledger")
        if counted and counted[0]["num_affected_rows"]:
            return True
        # Sent twice, it finds what it wrote the first time.
        under_way = self.entry(place, app).work
        return under_way is not None and under_way.load_id == work.load_id

    def finish(self, place: Place, app: str, work: Work) -> None:
        """Make the commit under way the last one."""
        self._update(
            place, app, work, f"seq = pending_seq, state = pending_state, load = pending_load, {_CLEARED}, {_NOW}"
        )

    def withdraw(self, place: Place, app: str, work: Work) -> None:
        """Forget the commit under way: it cannot be carried out."""
        self._update(place, app, work, _CLEARED)

    def forget(self, place: Place) -> None:
        """Drop what is known of a generation."""
        statement = words("DELETE FROM", self._places.ledger, "WHERE table_name = :table AND generation = :generation")
        values = {"table": str(place.table), "generation": place.generation}
        self._statements.rows(statement, values, doing="writing to the ledger")

    def _update(self, place: Place, app: str, work: Work, change: str) -> None:
        statement = words("UPDATE", self._places.ledger, "SET", change, "WHERE", _ONE, "AND pending_load = :load")
        self._statements.rows(statement, {**_key(place, app), "load": work.load_id}, doing="writing to the ledger")


def pending(entries: list[Entry]) -> Iterator[tuple[Entry, Work]]:
    """Yield the commits under way, the oldest first."""
    for entry in entries:
        if entry.work is not None:
            yield entry, entry.work


def _key(place: Place, app: str) -> dict[str, Any]:
    return {"table": str(place.table), "generation": place.generation, "app": app}


def _entry(places: Places, table: TableName, row: dict[str, Any]) -> Entry:
    last = Commit(int(row["seq"] or 0), json.loads(row["state"] or "{}"))
    place = places.of(table, row["generation"])
    if row["pending_seq"] is None:
        return Entry(place, row["app"], last, row["changed_at"], row["load"] or "")
    under_way = Commit(int(row["pending_seq"]), json.loads(row["pending_state"]))
    return Entry(
        place, row["app"], last, row["changed_at"], row["load"] or "", under_way, Work.from_json(row["pending_work"])
    )
