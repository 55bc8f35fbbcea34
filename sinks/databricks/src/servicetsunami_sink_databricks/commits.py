"""Carries commits out, and those that somebody began and did not finish."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from servicetsunami.sdk import (
    Cancelled,
    Commit,
    PermanentError,
    PermissionDenied,
    TableName,
    TransientError,
    TsunamiError,
)
from servicetsunami.sdk.sql import guard_databricks
from servicetsunami_sink_databricks import loading_sql
from servicetsunami_sink_databricks.failures import StatementError
from servicetsunami_sink_databricks.ledger import Entry, Ledger, pending
from servicetsunami_sink_databricks.places import LAYERS, Place, Places
from servicetsunami_sink_databricks.schemas import Columns, conform, create, read_columns
from servicetsunami_sink_databricks.stage import Stage
from servicetsunami_sink_databricks.statements import Statements
from servicetsunami_sink_databricks.work import Work
from servicetsunami_sink_databricks.writing_sql import pairs, words

logger = logging.getLogger(__name__)
_TRIES = 5
_HISTORY = 20


class Commits:
    """The commits of one tenant."""

    def __init__(self, statements: Statements, places: Places, stage: Stage) -> None:
        self.ledger = Ledger(statements, places)
        self._statements = statements
        self._places = places
        self._stage = stage

    def make(self, place: Place, app: str, commit: Commit, work: Work) -> bool:
        """Make a commit; tells whether it was made: not if the app has committed as much before."""
        for _ in range(_TRIES):
            if self.ledger.prepare(place, app, commit, work):
                self._carry_out(place, app, work)
                return True
            if self.ledger.entry(place, app).last.seq >= commit.seq:
                return False
            self.recover(place.table)
        raise TransientError(f"another writer is committing to {place.table}", code="concurrent_write")

    def recover(self, table: TableName) -> Sequence[Entry]:
        """Carry out what was begun on a table and not finished; return what the ledger says then."""
        entries = self.ledger.of(table)
        begun = list(pending(entries))
        for entry, work in begun:
            self._carry_out(entry.place, entry.app, work)
        return self.ledger.of(table) if begun else entries

    def folder(self, place: Place, load_id: str) -> str:
        """Return where the files of a load lie."""
        return f"{self._places.loads(place)}/{load_id}"

    def discard_old(self, entries: Sequence[Entry], hours: float) -> None:
        """Remove generations that nobody has loaded for so long: whoever did has died."""
        oldest = datetime.now(UTC) - timedelta(hours=hours)
        for place in {entry.place for entry in entries if entry.place.generation and entry.changed_at < oldest}:
            self.discard(place)

    def discard(self, place: Place) -> None:
        """Remove a generation with all that is known of it, and the files of its loads."""
        drop = words("DROP TABLE IF EXISTS", place.quoted)
        self._statements.rows(drop, doing="removing a table that was loaded aside")
        self.ledger.forget(place)
        self._stage.remove_all(self._places.loads(place))

    def _carry_out(self, place: Place, app: str, work: Work) -> None:
        """Do the work, make it the last commit, and clear the stage; withdraw it if it can never be done."""
        try:
            self._do(place, work)
        except (TransientError, Cancelled):
            raise  # it may have been done; the next to come finds out
        except TsunamiError:
            self.ledger.withdraw(place, app, work)
            self._stage.remove_quietly(self.folder(place, work.load_id))
            raise
        self.ledger.finish(place, app, work)
        if work.kind == "replace":
            self.discard(self._places.of(place.table, work.generation))
        self._stage.remove_quietly(self.folder(place, work.load_id))

    def _do(self, place: Place, work: Work) -> None:
        self._statements.tags = {"servicetsunami_load": work.load_id}
        now = read_columns(self._statements, self._places, place)
        if work.kind == "replace":
            self._replace(place, work)
        elif work.kind == "derive":
            self._derive(place, work, now)
        else:
            conform(self._statements, place, now, work.columns, work.key, work.comment)
            self._load(place, work)
        if not now and not place.generation:
            self._tag(place, work)  # after the rows: what it cannot do must not stop them

    def _load(self, place: Place, work: Work) -> None:
        doing, folder = f"loading rows into {place.table}", self.folder(place, work.load_id)
        if not work.rows:
            return
        if work.kind == "append":
            statement = loading_sql.copy_into(place, work, folder)
            self._verify(place, work, self._statements.run(statement, doing=doing).get("num_inserted_rows"))
        else:
            statement = {"merge": loading_sql.merge, "apply": loading_sql.apply}[work.kind](place, work, folder)
            self._statements.run(statement, doing=doing)

    def _verify(self, place: Place, work: Work, inserted: int | None) -> None:
        """Raise unless all rows of the load are in the table: now, or by an earlier try whose answer was lost."""
        if inserted == work.rows or (not inserted and self._was_copied(place, work.rows)):
            return
        raise PermanentError(
            f"{inserted} of {work.rows} rows of a load are in {place.table}",
            code="load_incomplete",
            fix="run a full refresh; the rows are still in the stage",
        )

    def _was_copied(self, place: Place, rows: int) -> bool:
        statement = words("DESCRIBE HISTORY", place.quoted, f"LIMIT {_HISTORY}")
        history = self._statements.rows(statement, doing="reading the history of a table")
        found = (dict(one["operationMetrics"] or ()) for one in history if one["operation"] == "COPY INTO")
        return any(int(metrics.get("numOutputRows", -1)) == rows for metrics in found)

    def _replace(self, place: Place, work: Work) -> None:
        aside = self._places.of(place.table, work.generation)
        doing = f"putting a generation in the place of {place.table}"
        if read_columns(self._statements, self._places, aside):
            clone = words("CREATE OR REPLACE TABLE", place.quoted, "DEEP CLONE", aside.quoted)
            self._statements.run(clone, doing=doing)
        else:
            self._statements.run(create(place, work.columns, work.key, work.comment, how="REPLACE"), doing=doing)

    def _derive(self, place: Place, work: Work, now: Columns) -> None:
        """Fill a table with what a query gives; the query passes the guard once more, for it comes from the ledger."""
        for query in filter(None, (work.query, work.gone)):
            guard_databricks(query, catalog=self._places.catalog, layers=LAYERS)
        doing = f"filling {place.table}"
        if work.whole or not now:
            self._statements.run(loading_sql.derive_whole(place, work), doing=doing)
            return
        conform(self._statements, place, now, work.columns, work.key, work.comment)
        self._statements.run(loading_sql.derive_merged(place, work), doing=doing)

    def _tag(self, place: Place, work: Work) -> None:
        """Tag a new table, if the principal may: the rows are in it, so a refusal is no failure of the commit."""
        tags = pairs({"servicetsunami_tenant": self._places.tenant, "servicetsunami_load": work.load_id})
        statement = words("ALTER TABLE", place.quoted, "SET TAGS", f"({tags})")
        try:
            self._statements.rows(statement, doing=f"tagging the table {place.table}")
        except (PermissionDenied, StatementError) as error:
            logger.warning("a table has no tags: %s", error)
