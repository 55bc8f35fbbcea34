"""What transforms return."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from servicetsunami.operations.models import Cell, Result, ResultColumn
from servicetsunami.sdk import Problem


class RuleCount(Result):
    """What one step did."""

    step: int = Field(description="Its place in transformations, from 0.")
    op: str
    columns: tuple[str, ...] = ()
    changed: int | None = Field(None, description="Rows with another value; of cast and parse, values that were read.")
    failed: int | None = Field(None, description="Values that could not be read.")
    removed: int | None = Field(None, description="Rows that were removed.")


class CheckCount(Result):
    """What one check, or one step that does not let failures pass, found."""

    name: str = Field(description="Such as not_null email.")
    action: str
    violations: int = Field(description="Rows.")


class Sample(Result):
    """Some rows, as arrays in the order of `columns`."""

    columns: tuple[ResultColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]


class TransformResult(Result):
    """A silver table that was made, is being made, or would be."""

    status: Literal["previewed", "queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
    run_id: str | None = Field(None, description="None for a preview.")
    silver_table: str = Field(description="Full name: catalog.silver.table.")
    source_table: str
    mode: Literal["full", "incremental", "unchanged"] | None = Field(
        None, description="Whether the whole table was made anew, its changed rows, or nothing, since nothing changed."
    )
    rows_read: int | None = Field(None, description="Rows of the source that were looked at.")
    rows: int | None = Field(None, description="Rows written; of a preview, rows that would come out.")
    quarantined: int | None = Field(None, description="Rows set aside in quarantine_table.")
    quarantine_table: str | None = None
    rules: tuple[RuleCount, ...] = ()
    checks: tuple[CheckCount, ...] = ()
    before: Sample | None = Field(None, description="Of a preview: rows as they are.")
    after: Sample | None = Field(None, description="Of a preview: rows as they would be.")
    sql: str | None = Field(None, description="Of a preview: the statement, in Databricks SQL.")
    notes: tuple[str, ...] = ()
    problem: Problem | None = None
