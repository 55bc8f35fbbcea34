"""Which module reads which format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from servicetsunami.sdk import Context
from servicetsunami_files.batches import Parsed
from servicetsunami_files.config import FilesConfig
from servicetsunami_files.places import FileSet, Place

if TYPE_CHECKING:
    import pyarrow as pa


def expand(ctx: Context, one: FileSet, config: FilesConfig) -> Iterator[FileSet]:
    """Yield a stream for every sheet of workbooks; other file sets are one stream."""
    del ctx, config
    yield one


def schema_of(ctx: Context, place: Place, config: FilesConfig, sheet: str | None) -> pa.Schema:
    """Return the columns of a file, of type null where they show no value."""
    del sheet
    from servicetsunami_files.csvread import csv_schema

    return csv_schema(ctx, place, config)


def records_of(
    ctx: Context, place: Place, config: FilesConfig, schema: pa.Schema, sheet: str | None
) -> Iterator[Parsed]:
    """Yield the records of a file in order."""
    del sheet
    from servicetsunami_files.csvread import read_csv

    return read_csv(ctx, place, config, schema)
