"""What a transform would do, without doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from servicetsunami.operations.results import UNTRUSTED
from servicetsunami.operations.transforms.asking import Asker
from servicetsunami.operations.transforms.compiling import Compiled
from servicetsunami.operations.transforms.models import TransformResult
from servicetsunami.operations.transforms.running import TransformJob, define, notes_of

if TYPE_CHECKING:
    from servicetsunami.sdk import Sink, Warehouse

ROWS = 10


def previewed(job: TransformJob, sink: Sink[Any], warehouse: Warehouse, timeout_seconds: float) -> TransformResult:
    """Count over all rows of the source, and show some of them before and after."""
    asker = Asker(sink, warehouse, timeout_seconds)
    compiled = Compiled(define(job, warehouse.describe(job.source)))
    counts = asker.counts(compiled)
    catalog = sink.catalog()
    return TransformResult(
        status="previewed",
        silver_table=f"{catalog}.{job.target}",
        source_table=f"{catalog}.{job.source}",
        rows_read=counts.source_rows,
        rows=counts.rows,
        quarantined=counts.quarantined or None,
        quarantine_table=f"{catalog}.{job.quarantine}" if counts.quarantined else None,
        rules=counts.rules,
        checks=counts.checks,
        before=asker.sample(compiled.sample_before(ROWS), ROWS),
        after=asker.sample(compiled.sample_after(ROWS), ROWS),
        sql=compiled.rows(),
        notes=(*notes_of(counts), UNTRUSTED),
    )
