"""The contract of a warehouse's queries: they stop where they are told to."""

from __future__ import annotations

from typing import Any

import pytest

from servicetsunami.sdk import Cancelled, Load, PermanentError, QueryLimits, Sink, Warehouse
from servicetsunami.sdk.sql import GuardedQuery, guard_databricks, quote_path
from servicetsunami.sdk.testing.context import LocalContext
from servicetsunami.sdk.testing.probe import SinkProbe
from servicetsunami.sdk.testing.sinkaccess import SinkAccess

_MANY = 10_000
_ALL = "SELECT id, name FROM {table}"
_LONG = "SELECT sum(a.id * b.id + c.id) AS total FROM {table} a CROSS JOIN {table} b CROSS JOIN {table} c"


class SinkLimits(SinkAccess):
    """Checks of `QueryLimits`, for a sink that is a `Warehouse`."""

    def test_a_query_stops_at_its_rows(self, probe: SinkProbe) -> None:
        """No row beyond the limit comes, and up to it all do."""
        load = probe.load()
        with probe.open() as sink:
            warehouse = self._filled(probe, sink, load)
            query = self._query(sink, load, _ALL)
            got = [warehouse.query(query, QueryLimits(rows=most)).read_all().num_rows for most in (0, 7, _MANY + 1)]

        assert got == [0, 7, _MANY]

    def test_a_query_stops_at_its_size(self, probe: SinkProbe) -> None:
        """An answer that grows beyond the size is cut, not refused and not sent whole."""
        load = probe.load()
        with probe.open() as sink:
            warehouse = self._filled(probe, sink, load)
            limits = QueryLimits(rows=_MANY, size_bytes=1_000)
            got = warehouse.query(self._query(sink, load, _ALL), limits).read_all()

        assert 0 < got.num_rows < _MANY

    def test_a_query_stops_when_its_time_is_up(self, probe: SinkProbe) -> None:
        """The error says so by its code; a part of the answer is no answer."""
        load = probe.load()
        with probe.open() as sink:
            warehouse = self._filled(probe, sink, load)
            with pytest.raises(PermanentError) as stopped:
                warehouse.query(self._query(sink, load, _LONG), QueryLimits(1, timeout_seconds=0.2)).read_all()

        assert stopped.value.code == "query_timeout"

    def test_a_query_stops_when_it_is_cancelled(self, probe: SinkProbe) -> None:
        """Whoever asked and went away keeps nothing running."""
        load = probe.load()
        with probe.open() as sink:
            warehouse = self._filled(probe, sink, load)
            assert isinstance(sink.ctx, LocalContext)
            sink.ctx.cancel()
            with pytest.raises(Cancelled):
                warehouse.query(self._query(sink, load, _LONG), QueryLimits(1, timeout_seconds=10)).read_all()

    @staticmethod
    def _filled(probe: SinkProbe, sink: Sink[Any], load: Load) -> Warehouse:
        if not isinstance(sink, Warehouse):
            pytest.skip("the sink is no Warehouse")
        probe.write(sink, load, *((number, f"name {number}") for number in range(_MANY)))
        return sink

    @staticmethod
    def _query(sink: Sink[Any], load: Load, sql: str) -> GuardedQuery:
        name = quote_path(sink.catalog(), load.table.layer, load.table.name, dialect="databricks")
        return guard_databricks(sql.format(table=name), catalog=sink.catalog(), layers=[load.table.layer])
