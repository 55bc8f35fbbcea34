"""Lineage columns are added once and never overwrite the source's own."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from servicetsunami.sdk import DataError
from servicetsunami.sync.lineage import Lineage, count_rescued

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def test_every_row_carries_the_run_and_its_moment() -> None:
    batch = pa.record_batch({"id": [1, 2]})

    rows = Lineage("run_1", NOW).add(batch)

    assert rows.schema.names == ["id", "_synced_at", "_sync_id", "_rescued"]
    assert rows.to_pylist()[1] == {"id": 2, "_synced_at": NOW, "_sync_id": "run_1", "_rescued": None}


def test_cells_the_source_rescued_are_kept_and_counted() -> None:
    batch = pa.record_batch({"_rescued": ['{"id": "NaN"}', None], "id": [None, 2]})

    rows = Lineage("run_1", NOW).add(batch)

    assert rows.column("_rescued").to_pylist() == ['{"id": "NaN"}', None]
    assert count_rescued(rows) == 1


def test_an_empty_batch_keeps_its_schema() -> None:
    batch = pa.record_batch({"id": pa.array([], pa.int32())})

    rows = Lineage("run_1", NOW).add(batch)

    assert rows.num_rows == 0
    assert rows.schema.field("id").type == pa.int32()


def test_a_source_column_named_like_ours_is_refused_with_what_to_do() -> None:
    with pytest.raises(DataError) as refused:
        Lineage.schema(pa.schema([("_synced_at", pa.string())]))

    assert refused.value.code == "reserved_column"
    assert refused.value.fix
