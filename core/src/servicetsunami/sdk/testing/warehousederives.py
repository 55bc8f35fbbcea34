"""The checks of a warehouse that fills tables with what queries give; for sinks that are `Derives`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Commit, Derives, Load, Sink, TableName
from servicetsunami.sdk.testing.probe import SinkProbe
from servicetsunami.sdk.testing.warehouseviews import ViewChecks

_SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])


class DeriveChecks(ViewChecks):
    """A table is filled where its rows are, in commits like any other."""

    @staticmethod
    def deriver(sink: Sink[Any]) -> Derives:
        """Return the sink as one that derives tables, or skip the check."""
        if not isinstance(sink, Derives):
            pytest.skip("the sink derives no tables")
        return sink

    def test_a_table_is_filled_with_what_a_query_gives(self, probe: SinkProbe) -> None:
        """The rows take the place of the table's, with the state; done again, nothing changes."""
        source = probe.load()
        target = _target(source)

        with probe.open() as sink:
            deriver = self.deriver(sink)
            probe.write(sink, source, (1, "a"), (2, "b"))
            query = self.guarded(sink, "select id, upper(name) as name from {t}", source.table)
            first = deriver.derive(target, query, 1, {"at": 1})
            only = self.guarded(sink, "select id, name from {t} where id = 2", source.table)
            deriver.derive(target, only, 2, {"at": 2})
            again = deriver.derive(target, query, 2, {"at": 3})
            told = self.warehouse(sink).describe(target.table)
            last, rows = sink.committed(target), self.pairs(sink, target.table)

        assert (first, again) in ((2, None), (None, None))
        assert (rows, last) == ([(2, "b")], Commit(2, {"at": 2}))
        assert (told.key, told.summary.comment) == (("id",), "Made of another.")

    def test_a_table_is_merged_with_what_a_query_gives(self, probe: SinkProbe) -> None:
        """Rows of the same key are replaced, those whose keys are gone removed, in one commit."""
        source = probe.load()
        target = _target(source)

        with probe.open() as sink:
            deriver = self.deriver(sink)
            probe.write(sink, source, (1, "a"), (2, "b"), (3, "c"), (4, "d"))
            some = self.guarded(sink, "select id, name from {t} where id < 4", source.table)
            deriver.derive(target, some, 1, {})
            changed = self.guarded(sink, "select id, name || '!' as name from {t} where id in (2, 4)", source.table)
            gone = self.guarded(sink, "select id from {t} where id in (1, 9)", source.table)
            deriver.derive(replace(target, mode="merge"), changed, 2, {"at": 2}, gone=gone)
            last, rows = sink.committed(target), self.pairs(sink, target.table)

        assert rows == [(2, "b!"), (3, "c"), (4, "d!")]
        assert last == Commit(2, {"at": 2})


def _target(source: Load) -> Load:
    table = TableName("silver", source.table.name)
    return Load(table, _SCHEMA, app="contract", key=("id",), comment="Made of another.")
