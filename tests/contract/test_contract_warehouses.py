"""The warehouse contract passes the lakehouse, and each broken one fails the check that names its fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import QueryLimits, TableDetails, TableName, TableSummary
from servicetsunami.sdk.sql import GuardedQuery
from servicetsunami.sdk.testing import SinkProbe, WarehouseContract, failing_checks
from servicetsunami_sink_lakehouse import LakehouseSink
from servicetsunami_sink_lakehouse.folders import Folders


class Unlimited(LakehouseSink):
    def query(self, query: GuardedQuery, limits: QueryLimits) -> pa.RecordBatchReader:
        return super().query(query, replace(limits, rows=1_000_000))


class Shared(LakehouseSink):
    """Looks for every tenant's tables in one place."""

    @property
    def _folders(self) -> Folders:
        return Folders(self.ctx.data_dir.parent / "all", "default")


class Forgetful(LakehouseSink):
    def describe(self, table: TableName) -> TableDetails:
        told = super().describe(table)
        return replace(told, key=(), history=tuple(reversed(told.history)))


class Unsorted(LakehouseSink):
    def tables(self, layer: str | None = None) -> Sequence[TableSummary]:
        del layer
        return list(reversed(super().tables()))


class Materialized(LakehouseSink):
    """Answers a view with what it held when it was made."""

    def drop_view(self, view: TableName) -> None:
        """Leave it."""


def fails(sink: type[Any], folder: Path) -> set[str]:
    suite = type("Suite", (WarehouseContract,), {"sink": sink})()
    return failing_checks(suite, SinkProbe(sink, {}, folder))


def test_the_lakehouse_passes(tmp_path: Path) -> None:
    assert fails(LakehouseSink, tmp_path) == set()


@pytest.mark.parametrize(
    ("mutant", "caught_by"),
    [
        (Unlimited, {"test_an_answer_ends_at_its_limits"}),
        (Shared, {"test_a_query_reaches_its_own_tenant_alone"}),
        (
            Forgetful,
            {
                "test_a_table_tells_its_columns_key_and_comments",
                "test_history_tells_every_commit_the_latest_first",
            },
        ),
        (Unsorted, {"test_a_list_names_the_tables_of_a_layer"}),
        (Materialized, {"test_a_view_is_replaced_and_dropped"}),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_broken_one_is_caught(mutant: type[Any], caught_by: set[str], tmp_path: Path) -> None:
    assert caught_by <= fails(mutant, tmp_path)
