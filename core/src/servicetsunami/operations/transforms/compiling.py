"""Compiles transformations and checks to statements in Databricks SQL, all over the same layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlglot import exp

from servicetsunami.operations.transforms import vocabulary as words
from servicetsunami.operations.transforms.checks import apply_checks
from servicetsunami.operations.transforms.pipeline import Pipeline, Tally
from servicetsunami.operations.transforms.sqltree import aliased, cast, column, sql
from servicetsunami.operations.transforms.steps import SYNCED_AT, Counted, Mark, Work, apply_steps
from servicetsunami.sdk import TableName
from servicetsunami.sdk.sql.databricks_dialect import GuardedDatabricks

RESCUED = "_rescued"
REASON = "_reason"
OP = "_op"
FIXED = 5
"""How many numbers `Compiled.counts` selects in any case."""
_MARK = "__mark_"


@dataclass(frozen=True)
class Definition:
    """What is to become of which table."""

    source: TableName
    columns: Mapping[str, str]
    """The source's columns and their types."""
    key: tuple[str, ...]
    """What identifies a row of the source; () where nothing does."""
    steps: tuple[words.Step, ...]
    checks: tuple[words.Check, ...]

    @cached_property
    def removes_rows(self) -> bool:
        """Tell whether a row of the source may have none in the result."""
        return any(isinstance(step, words.Filter) for step in self.steps)

    @cached_property
    def needs_all_rows(self) -> bool:
        """Tell whether the result can only be made of all rows: some are set aside, or compared with each other."""
        return any(isinstance(check, words.Unique | words.RowCount) for check in self.checks) or any(
            getattr(one, "on_failure", None) == "quarantine" or getattr(one, "action", None) == "quarantine"
            for one in (*self.steps, *self.checks)
        )

    @cached_property
    def merges_rows(self) -> bool:
        """Tell whether several rows of the source may have one in the result."""
        return any(isinstance(step, words.Deduplicate) for step in self.steps)


@dataclass(frozen=True)
class Since:
    """A moment up to which a source was looked at."""

    moment: datetime
    is_over: bool
    """False if a sync may still have been under way, whose later rows have the same moment."""


class Compiled:
    """The statements of a definition; with `since`, of the rows that were synced from that moment on."""

    def __init__(self, definition: Definition, since: Since | None = None) -> None:
        self._definition = definition
        self.since = since
        self._work = self._built(None if definition.merges_rows else since)

    @property
    def columns(self) -> tuple[str, ...]:
        """The result's columns."""
        return tuple(name for name in self._work.pipe.columns if not name.startswith(_MARK))

    @property
    def types(self) -> Mapping[str, str]:
        """The types of the result's columns."""
        return {name: self._work.pipe.columns[name].type for name in self.columns}

    @property
    def counted(self) -> Sequence[Counted]:
        """What the steps have counted, in the order of the columns of `counts`."""
        return self._work.counted

    @property
    def marks(self) -> Sequence[Mark]:
        """What rows may have against them."""
        return self._work.marks

    @property
    def sets_aside(self) -> bool:
        """Tell whether rows that are wrong are to be set aside."""
        return bool(self._quarantining)

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies a row of the result: what it was deduplicated by, else the source's key; () if nothing."""
        return self._work.pipe.key

    def rows(self) -> str:
        """Select the result."""
        query = self._good().select(*map(column, self.columns))
        if self.since is not None and self._definition.merges_rows:
            query = self._only_touched(query)
        return _text(self._work.pipe.with_queries(query))

    def gone(self) -> str:
        """Select the keys of rows that were touched since, and are not in the result any more."""
        key, touched = self.key, self._row_local()
        kept = self._good().select(*map(column, key)).subquery("kept")
        query = exp.select(*(_of("touched", name) for name in key)).distinct()
        query = query.from_(exp.alias_(touched.result("touched_"), "touched", table=True))
        query = query.join(kept, on=_same_key("touched", "kept", key), join_type="anti")
        return _text(self._work.pipe.with_queries(touched.with_queries(query, "touched_")))

    def bad(self) -> str:
        """Select the rows to be set aside, each with the reasons in `_reason`."""
        reasons = [
            sql("CASE WHEN :bad THEN :label END", bad=column(mark.name), label=mark.label)
            for mark in self._quarantining
        ]
        reason = sql("concat_ws('; ')")
        reason.set("expressions", [*reason.expressions, *reasons])
        query = exp.select(*map(column, self.columns), aliased(reason, REASON)).from_(self._work.pipe.result())
        return _text(self._work.pipe.with_queries(query.where(exp.or_(*self._excluded))))

    def counts(self) -> str:
        """Count, in one row: rows read, rescued, good, made, without a key; then the marks; then what steps counted."""
        pipe = self._work.pipe
        select = exp.select()
        wanted: dict[int, list[exp.Expr]] = {}
        for place, tally in enumerate(self._tallies()):
            count = sql("count_if(:x)", x=tally.condition) if tally.condition is not None else sql("count(1)")
            wanted.setdefault(tally.layer, []).append(aliased(cast(count, "bigint"), f"n_{place}"))
        for number, (layer, outputs) in enumerate(wanted.items()):
            part = exp.select(*outputs).from_(exp.table_(f"rows_{layer}", quoted=True)).subquery(f"part_{number}")
            select = select.from_(part) if number == 0 else select.join(part, join_type="cross")
        select = select.select(*(column(f"n_{place}") for place in range(len(self._tallies()))))
        return _text(pipe.with_queries(select))

    def newest(self) -> str | None:
        """Select the latest `_synced_at` of the source, as text; None where it has none."""
        if SYNCED_AT not in self._definition.columns:
            return None
        source = exp.table_(self._definition.source.name, db=self._definition.source.layer, quoted=True)
        return _text(exp.select(aliased(sql("max(:x)", x=column(SYNCED_AT)), "newest")).from_(source))

    def sample_after(self, most: int) -> str:
        """Select some rows of the result."""
        return _text(self._work.pipe.with_queries(self._good().select(*map(column, self.columns)).limit(most)))

    def sample_before(self, most: int) -> str:
        """Select some rows of the source."""
        source = exp.table_(self._definition.source.name, db=self._definition.source.layer, quoted=True)
        return _text(exp.select(*map(column, self._definition.columns)).from_(source).limit(most))

    def _tallies(self) -> list[Tally]:
        pipe = self._work.pipe
        missing = [sql(":x IS NULL", x=column(name)) for name in self.key]
        fixed = [
            Tally(0, None),
            Tally(0, sql(":x IS NOT NULL", x=column(RESCUED)) if RESCUED in self._definition.columns else exp.false()),
            Tally(pipe.top, exp.not_(exp.or_(*self._excluded)) if self._excluded else None),
            Tally(pipe.top, None),
            Tally(pipe.top, exp.or_(*missing) if missing else exp.true()),
            *(Tally(pipe.top, column(mark.name)) for mark in self.marks),
        ]
        own = [
            tally
            for one in self.counted
            for tally in (one.changed, one.failed, *(one.removed or ()))
            if tally is not None
        ]
        return [*fixed, *own]

    @cached_property
    def _quarantining(self) -> list[Mark]:
        return [mark for mark in self.marks if mark.action == "quarantine"]

    @property
    def _excluded(self) -> list[exp.Expr]:
        return [column(mark.name) for mark in self._quarantining]

    def _good(self) -> exp.Select:
        query = exp.select().from_(self._work.pipe.result())
        return query.where(exp.not_(exp.or_(*self._excluded))) if self._excluded else query

    def _only_touched(self, query: exp.Select) -> exp.Select:
        key, touched = self.key, self._row_local()
        keys = exp.select(*map(column, key)).from_(touched.result("touched_")).distinct().subquery("touched")
        inner = query.subquery("result")
        whole = exp.select(*(_of("result", name) for name in self.columns)).from_(inner)
        whole = whole.join(keys, on=_same_key("result", "touched", key), join_type="semi")
        return touched.with_queries(whole, "touched_")

    def _row_local(self) -> Pipeline:
        """Build what the touched rows become, as if none of them were removed: it tells their keys."""
        work = self._built(self.since, row_local=True)
        work.pipe.close()
        return work.pipe

    def _built(self, since: Since | None, *, row_local: bool = False) -> Work:
        definition = self._definition
        where = None
        if since is not None:
            moment = cast(exp.Literal.string(since.moment.isoformat(sep=" ", timespec="microseconds")), "timestamp")
            where = sql(":x > :since" if since.is_over else ":x >= :since", x=column(SYNCED_AT), since=moment)
        work = Work(Pipeline.over(definition.source, definition.columns, definition.key, where), row_local=row_local)
        apply_steps(work, definition.steps)
        work.pipe.drop([RESCUED])  # it tells of cells of the source, which were changed since
        if not row_local:
            apply_checks(work, definition.checks)
        work.pipe.close()
        return work


def _of(table: str, name: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(table, quoted=True))


def _same_key(left: str, right: str, key: Sequence[str]) -> exp.Expr:
    return exp.and_(*(exp.EQ(this=_of(left, name), expression=_of(right, name)) for name in key))


def _text(query: exp.Expr) -> str:
    return query.sql(dialect=GuardedDatabricks, identify=True)
