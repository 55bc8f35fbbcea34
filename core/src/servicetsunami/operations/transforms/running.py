"""One transform, from bronze to silver: chooses how, and begins again where the source changed meanwhile.

The table's own commit says of which version of the source it is and by which definition, so a second run that would
change nothing changes nothing, and one after more rows came looks at those only, where that gives the same table.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

from servicetsunami.operations.transforms import vocabulary as words
from servicetsunami.operations.transforms.asking import Asker, Counts
from servicetsunami.operations.transforms.checks import label_of
from servicetsunami.operations.transforms.compiling import Compiled, Definition, Since
from servicetsunami.operations.transforms.deriving import Derivation
from servicetsunami.operations.transforms.models import CheckCount
from servicetsunami.operations.transforms.steps import SYNCED_AT
from servicetsunami.operations.transforms.writing import Target, last_commit
from servicetsunami.sdk import (
    Commit,
    ConfigError,
    DataError,
    Derives,
    Json,
    NotFound,
    TableDetails,
    TableName,
    TransientError,
)
from servicetsunami.sync import SyncOutcome

_ATTEMPTS = 3
_MERGED = ("WRITE", "MERGE")
"""What history calls commits that add rows or replace them by key."""
_NO_ROWS = frozenset(
    ("OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "ADD COLUMNS", "UPDATE COLUMN METADATA")
)
"""What it calls commits after which every row is as it was."""
Mode = Literal["full", "incremental", "unchanged"]


@dataclass(frozen=True)
class TransformJob:
    """What is to be made of which table, as a value that any process can execute."""

    run_id: str
    source: TableName
    target: TableName
    steps: tuple[words.Step, ...]
    checks: tuple[words.Check, ...]
    source_deletes: bool = True
    """False if rows vanish from the source in no commit but those that replace all of it."""

    @property
    def quarantine(self) -> TableName:
        """Where rows are set aside."""
        return TableName(self.target.layer, f"{self.target.name}_quarantine")

    def declared(self) -> Json:
        """Return steps and checks as they were given."""
        return {
            "transformations": [step.model_dump(mode="json") for step in self.steps],
            "checks": [check.model_dump(mode="json") for check in self.checks],
        }


@dataclass(frozen=True)
class _Plan:
    """How one attempt goes about it."""

    source: TableDetails
    definition: Definition
    mark: str
    before: Commit
    compiled: Compiled
    counts: Counts
    is_settled: bool
    """True if no sync was writing the source when it was looked at."""

    @property
    def is_whole(self) -> bool:
        return self.compiled.since is None


@dataclass(frozen=True)
class Transform:
    """One execution of a job."""

    job: TransformJob
    asker: Asker
    target: Target
    aside: Target
    is_settled: Callable[[], bool]
    """Tells whether no sync is writing the source at this moment."""

    def run(self) -> SyncOutcome:
        """Bring the table up to date; raises what stopped it, having left the table as it was."""
        for attempt in range(1, _ATTEMPTS + 1):
            self.target.progress.restart()
            try:
                return self._once()
            except TransientError as error:
                if error.code not in ("source_changed", "superseded") or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _once(self) -> SyncOutcome:
        source = self.asker.warehouse.describe(self.job.source)
        definition = define(self.job, source)
        before = self.target.committed()
        self._check_owner(before)
        mark = _mark(definition, self.job)
        if before.state.get("definition") == mark and before.state.get("version") == source.version:
            return _outcome(before, "unchanged", None)
        plan = self._planned(source, definition, mark, before)
        self._stop_if_wrong(plan)
        last = last_commit(before, self._state(plan))
        self._write(plan, last)
        written = self.target.progress.rows_written
        return _outcome(last, "full" if plan.is_whole else "incremental", plan.counts, written)

    def _planned(self, source: TableDetails, definition: Definition, mark: str, before: Commit) -> _Plan:
        since = self._since(source, definition, mark, before)
        compiled = Compiled(definition, since)
        counts = self.asker.counts(compiled)
        if since is not None and counts.null_keys:  # rows without a key cannot be told apart, so they cannot be merged
            compiled = Compiled(definition)
            counts = self.asker.counts(compiled)
        return _Plan(source, definition, mark, before, compiled, counts, self.is_settled())

    def _since(self, source: TableDetails, definition: Definition, mark: str, before: Commit) -> Since | None:
        """Return from when on rows have to be looked at; None where all of them have to."""
        upto, version = before.state.get("upto"), before.state.get("version")
        if before.state.get("definition") != mark or upto is None or version is None:
            return None
        if not Compiled(definition).key or definition.needs_all_rows or SYNCED_AT not in definition.columns:
            return None
        if definition.removes_rows and "apply" not in self.target.sink.write_modes:
            return None
        # A row that left the source, or the rows it was deduplicated with, left a row here that must be found.
        only_added = self.job.source_deletes or definition.merges_rows
        if not _only_grew(source, version, only_added=only_added):
            return None
        return Since(datetime.fromisoformat(upto), bool(before.state.get("settled")))

    def _check_owner(self, before: Commit) -> None:
        """Refuse to overwrite a table that is made of another one, or by something else."""
        owner = before.state.get("source")
        if before.seq and owner != str(self.job.source):
            raise _taken(self.job.target, f"it is made of {owner}")
        if not before.seq and self._rows_before() is not None:
            raise _taken(self.job.target, "it was not made by a transform")

    def _rows_before(self) -> int | None:
        with suppress(NotFound):
            return self.asker.warehouse.describe(self.job.target).summary.rows
        return None

    def _stop_if_wrong(self, plan: _Plan) -> None:
        for found in plan.counts.checks:
            if found.action == "stop" and found.violations:
                raise _failed(self.job.target, found)
        for check in self.job.checks:
            if isinstance(check, words.RowCount) and check.action == "stop" and self._has_drifted(check, plan):
                raise _failed(self.job.target, CheckCount(name=label_of(check), action="stop", violations=0))

    def _has_drifted(self, check: words.RowCount, plan: _Plan) -> bool:
        rows = self._rows_before() if plan.before.seq else None
        return rows is not None and abs(plan.counts.rows - rows) > check.max_change * max(rows, 1)

    def _state(self, plan: _Plan) -> Json:
        return {
            "writer": secrets.token_hex(8),
            "run": self.job.run_id,
            "source": str(self.job.source),
            "version": plan.source.version,
            "upto": self.asker.newest(plan.compiled),
            "settled": plan.is_settled,
            "definition": plan.mark,
            **self.job.declared(),
        }

    def _write(self, plan: _Plan, last: Commit) -> None:
        if plan.compiled.sets_aside:
            self._set_aside(plan)
        verify = self._verifier(plan)
        if isinstance(self.target.sink, Derives):
            self._derive(self.target.sink, plan, verify, last)
            return
        with closing(self.asker.stream(plan.compiled.rows())) as rows:
            if plan.is_whole:
                self.target.replace(rows, plan.compiled.key, verify, last)
                return
            gone = partial(self.asker.stream, plan.compiled.gone()) if plan.definition.removes_rows else None
            self.target.change(rows, plan.compiled.key, gone, verify, last)

    def _derive(self, deriver: Derives, plan: _Plan, verify: Callable[[], None], last: Commit) -> None:
        derivation, compiled = Derivation(deriver, self.target, self.asker), plan.compiled
        if plan.is_whole:
            derivation.replace(compiled.rows(), compiled.key, verify, last)
            return
        gone = compiled.gone() if plan.definition.removes_rows else None
        derivation.change(compiled.rows(), compiled.key, gone, verify, last)

    def _set_aside(self, plan: _Plan) -> None:
        before = self.aside.committed()
        if not before.seq and not plan.counts.quarantined:
            return
        last = last_commit(before, {"writer": secrets.token_hex(8), "run": self.job.run_id, "of": str(self.job.target)})
        if isinstance(self.aside.sink, Derives):
            derivation = Derivation(self.aside.sink, self.aside, self.asker)
            derivation.replace(plan.compiled.bad(), (), self._verifier(plan), last)
            return
        with closing(self.asker.stream(plan.compiled.bad())) as rows:
            self.aside.replace(rows, (), self._verifier(plan), last)

    def _verifier(self, plan: _Plan) -> Callable[[], None]:
        def verify() -> None:
            if self.asker.warehouse.describe(self.job.source).version != plan.source.version:
                raise TransientError(
                    f"{self.job.source} changed while it was read, so nothing of this run is visible",
                    code="source_changed",
                    fix="run it again once the sync that writes the table has ended",
                )

        return verify


def _only_grew(source: TableDetails, version: int, *, only_added: bool) -> bool:
    """Tell whether all that became of a table since a version is rows that were added, or replaced by key."""
    later = [entry for entry in source.history if entry["version"] > version]
    if len(later) != source.version - version:
        return False
    later = [entry for entry in later if entry.get("operation") not in _NO_ROWS]
    if any(entry.get("operation") not in _MERGED for entry in later):
        return False
    return not only_added or all(entry.get("rows_removed") == 0 for entry in later)


def define(job: TransformJob, source: TableDetails) -> Definition:
    """Return the definition of a job over a table as it is now."""
    columns = {column.name: column.type.casefold() for column in source.columns}
    return Definition(job.source, columns, source.key, job.steps, job.checks)


def _mark(definition: Definition, job: TransformJob) -> str:
    """Return what stands for a definition: another one makes another table."""
    what = [job.declared(), dict(definition.columns), list(definition.key)]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def _outcome(last: Commit, mode: Mode, counts: Counts | None, written: int = 0) -> SyncOutcome:
    details: Json = {"mode": mode}
    if counts is None:
        return SyncOutcome(0, 0, last.seq, last.state, details=details)
    details |= {
        "rows_read": counts.source_rows,
        "quarantined": counts.quarantined,
        "rules": [rule.model_dump(mode="json") for rule in counts.rules],
        "checks": [check.model_dump(mode="json") for check in counts.checks],
    }
    return SyncOutcome(written, 0, last.seq, last.state, notes=tuple(notes_of(counts)), details=details)


def notes_of(counts: Counts) -> list[str]:
    """Say what a person should know of what was counted."""
    notes = [
        f"{_told(rule.failed, 'value')} of {', '.join(rule.columns)} could not be read ({rule.op})."
        for rule in counts.rules
        if rule.failed
    ]
    notes += [
        f"The check {one.name} fails in {_told(one.violations, 'row')}." for one in counts.checks if one.violations
    ]
    if counts.rescued:
        notes.append(
            f"{_told(counts.rescued, 'row')} of the source had cells that did not fit; its `_rescued` keeps them."
        )
    return notes


def _told(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _taken(table: TableName, why: str) -> ConfigError:
    return ConfigError(
        f"{table} is not written: {why}",
        code="table_taken",
        field="silver_table",
        fix="give another name as silver_table",
    )


def _failed(table: TableName, found: CheckCount) -> DataError:
    rows = f" in {_told(found.violations, 'row')}" if found.violations else ""
    return DataError(
        f"the check {found.name} fails{rows}, so {table} is left as it was",
        code="quality_check_failed",
        field="checks",
        fix="clean what it found in the transformations, or let the check warn or quarantine",
    )
