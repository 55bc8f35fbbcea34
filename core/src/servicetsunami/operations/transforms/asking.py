"""Asks the warehouse what transforms need to know, in statements that went through the guard."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servicetsunami.operations.answers.warehouses import LAYERS
from servicetsunami.operations.results import columns_of, rows_of
from servicetsunami.operations.transforms.compiling import FIXED, Compiled
from servicetsunami.operations.transforms.models import CheckCount, RuleCount, Sample
from servicetsunami.sdk import QueryLimits, Sink, Warehouse
from servicetsunami.sdk.sql import guard_databricks

if TYPE_CHECKING:
    from typing import Any

    import pyarrow as pa

ALL_ROWS = 1 << 60


@dataclass(frozen=True)
class Counts:
    """What was counted over one version of the source."""

    source_rows: int
    rescued: int
    rows: int
    """Rows of the result."""
    quarantined: int
    """Rows that are set aside."""
    null_keys: int
    rules: tuple[RuleCount, ...]
    checks: tuple[CheckCount, ...]


@dataclass(frozen=True)
class Asker:
    """A sink and its warehouse."""

    sink: Sink[Any]
    warehouse: Warehouse
    timeout_seconds: float

    def stream(self, sql: str, rows: int = ALL_ROWS) -> pa.RecordBatchReader:
        """Run a statement and stream what it selects; the caller closes it."""
        query = guard_databricks(sql, catalog=self.sink.catalog(), layers=LAYERS)
        return self.warehouse.query(query, QueryLimits(rows, ALL_ROWS, self.timeout_seconds))

    def counts(self, compiled: Compiled) -> Counts:
        """Count what the steps do and what the checks find."""
        with closing(self.stream(compiled.counts(), 1)) as reader:
            ((*values,),) = [tuple(row.values()) for row in reader.read_all().to_pylist()]
        numbers = [int(value or 0) for value in values]
        marks = tuple(
            CheckCount(name=mark.label, action=mark.action, violations=found)
            for mark, found in zip(compiled.marks, numbers[FIXED:], strict=False)
        )
        source_rows, rescued, rows, made, null_keys = numbers[:FIXED]
        rules = _rules(compiled, numbers[FIXED + len(marks) :])
        return Counts(source_rows, rescued, rows, made - rows, null_keys, rules, marks)

    def newest(self, compiled: Compiled) -> str | None:
        """Return the source's latest `_synced_at`, in ISO 8601; None where it has none."""
        sql = compiled.newest()
        if sql is None:
            return None
        with closing(self.stream(sql, 1)) as reader:
            moment = reader.read_all().column(0)[0].as_py()
        return moment.isoformat() if moment is not None else None

    def sample(self, sql: str, most: int) -> Sample:
        """Return some rows."""
        with closing(self.stream(sql, most)) as reader:
            return Sample(columns=columns_of(reader.schema), rows=tuple(rows_of(reader)))


def _rules(compiled: Compiled, numbers: Sequence[int]) -> tuple[RuleCount, ...]:
    left = iter(numbers)
    rules = []
    for one in compiled.counted:
        changed = next(left) if one.changed is not None else None
        failed = next(left) if one.failed is not None else None
        removed = next(left) - next(left) if one.removed is not None else None
        rules.append(
            RuleCount(step=one.step, op=one.op, columns=one.columns, changed=changed, failed=failed, removed=removed)
        )
    return tuple(rules)
