"""Writes staged files anew where a load's columns changed on the way, so that all its files have one schema."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from servicetsunami_sink_databricks.parts import Parts
from servicetsunami_sink_databricks.stage import Stage


def rewritten(folder: str, stage: Stage, local: Path, schema: pa.Schema, target: Parts) -> None:
    """Bring the files of a folder, one by one, into `target` with `schema`; a column they lack is null."""
    local.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in stage.names(folder):
        file = local / f"again-{name}"
        try:
            stage.download(f"{folder}/{name}", file)
            with pq.ParquetFile(file) as found:
                for batch in found.iter_batches():
                    target.write(_in_schema(batch, schema))
        finally:
            file.unlink(missing_ok=True)


def _in_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    known = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns = [
        known[field.name].cast(field.type) if field.name in known else pa.nulls(len(batch), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
