"""What the assistant tells."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from servicetsunami.operations.models import Cell, Result
from servicetsunami.operations.results import UNTRUSTED


class TopValue(Result):
    """A value that is frequent in a sample."""

    value: Cell
    count: int


class ColumnEvidence(Result):
    """What is known of a column."""

    name: str
    type: str
    nulls: int | None = Field(None, description="In the rows that were profiled.")
    distinct: int | None = Field(None, description="About so many.")
    minimum: Cell = None
    maximum: Cell = None
    looks_like: tuple[str, ...] = Field((), description="What most of its texts are, such as e-mail.")
    faults: tuple[str, ...] = Field((), description="What some of its texts need cleaned.")
    personal: str = Field("", description="Suspected personal data, such as e-mail; its values are not shown.")
    top: tuple[TopValue, ...] = ()
    comment: str = ""


class JoinHint(Result):
    """A column that seems to lead to another table."""

    column: str
    to_table: str
    to_column: str
    why: str


class SchemaAnalysis(Result):
    """Evidence about one table, for whoever reasons about it."""

    table: str
    rows: int | None = None
    profiled_rows: int = 0
    version: int = 0
    updated_at: datetime | None = None
    key: tuple[str, ...] = ()
    candidate_keys: tuple[str, ...] = Field((), description="Columns without null whose values all differ.")
    columns: tuple[ColumnEvidence, ...] = ()
    joins: tuple[JoinHint, ...] = ()
    notes: tuple[str, ...] = ()
    notice: str = UNTRUSTED


class Advice(Result):
    """One step of a transform, and why."""

    step: dict[str, Any]
    why: str


class TransformAdvice(Result):
    """What would clean a table, ready for transform_to_silver."""

    bronze_table: str
    transformations: tuple[dict[str, Any], ...] = Field(
        (), description="Give them to transform_to_silver, with preview."
    )
    checks: tuple[dict[str, Any], ...] = ()
    reasons: tuple[Advice, ...] = ()
    notes: tuple[str, ...] = ()
    notice: str = UNTRUSTED
