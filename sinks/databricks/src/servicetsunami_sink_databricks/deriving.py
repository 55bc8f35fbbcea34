"""Describes the commit that fills a table with what a query gives."""

from __future__ import annotations

from dataclasses import replace

from servicetsunami.sdk import Load
from servicetsunami.sdk.delta import evolved, landing
from servicetsunami.sdk.sql import GuardedQuery
from servicetsunami_sink_databricks.schemas import Columns
from servicetsunami_sink_databricks.stage import new_load_id
from servicetsunami_sink_databricks.work import Work


def derived(load: Load, query: GuardedQuery, gone: GuardedQuery | None, now: Columns) -> Work:
    """Return the work: in the place of all rows, or merged by key into a table that is there."""
    arriving = tuple(replace(column, nullable=True) for column in landing(load, load.schema))
    whole = load.mode == "append"
    return Work(
        "derive",
        new_load_id(),
        arriving if whole or not now else evolved(now, arriving, load.evolve),
        tuple(load.schema.names),
        key=load.key,
        comment=load.comment,
        query=query.sql,
        gone=gone.sql if gone is not None else "",
        whole=whole,
    )
