"""What every check of a sink has: settings, a probe that writes, and a way to read back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from servicetsunami.sdk import NotFound, QueryLimits, Sink, TableName, Warehouse, WriteMode
from servicetsunami.sdk.sql import guard_databricks, quote_path
from servicetsunami.sdk.testing.probe import Row, SinkProbe

# This module is imported before those, so that a failed check of theirs shows the values it compared.
for _part in ("sinkchanges", "sinklimits", "sinkschemas", "warehousederives", "warehouseviews"):
    pytest.register_assert_rewrite(f"servicetsunami.sdk.testing.{_part}")


class SinkAccess:
    """Opens the sink under test and reads its tables."""

    sink: ClassVar[type[Sink[Any]]]
    """The class under test."""

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        """Return settings that work, as a person would give them; override this."""
        raise NotImplementedError("define a fixture `config` that returns settings that work")

    @pytest.fixture
    def probe(self, config: Mapping[str, Any], tmp_path: Path) -> SinkProbe:
        """Return what opens the sink and writes to it."""
        return SinkProbe(self.sink, config, tmp_path / "data")

    def read_back(self, sink: Sink[Any], table: TableName) -> pa.Table:
        """Return all rows of the table as a reader sees them; raises `NotFound` if there is no such table.

        The default asks a `Warehouse`; another sink overrides this.
        """
        if not isinstance(sink, Warehouse):
            raise NotImplementedError("override read_back for a sink that is no Warehouse")
        sink.describe(table)
        name = quote_path(sink.catalog(), table.layer, table.name, dialect="databricks")
        query = guard_databricks(" ".join(("SELECT * FROM", name)), catalog=sink.catalog(), layers=[table.layer])
        return sink.query(query, QueryLimits(rows=100_000)).read_all()

    def rows(self, sink: Sink[Any], table: TableName) -> list[Row]:
        """Return the table's rows by `id`, none if it is not there."""
        try:
            found: list[Row] = self.read_back(sink, table).to_pylist()
        except NotFound:
            return []
        return sorted(found, key=lambda row: repr(row.get("id")))

    def pairs(self, sink: Sink[Any], table: TableName) -> list[tuple[Any, Any]]:
        """Return `id` and `name` of the table's rows."""
        return [(row["id"], row["name"]) for row in self.rows(sink, table)]

    @staticmethod
    def need(probe: SinkProbe, mode: WriteMode) -> None:
        """Skip the check of a mode that the sink does not have."""
        if mode not in probe.sink.write_modes:
            pytest.skip(f"the sink does not {mode}")
