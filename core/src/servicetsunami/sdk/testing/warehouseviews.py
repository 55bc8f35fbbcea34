"""What every check of a warehouse has, and the checks of its views."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from servicetsunami.sdk import ConfigError, NotFound, QueryLimits, Sink, TableName, Views, Warehouse
from servicetsunami.sdk.sql import guard_databricks
from servicetsunami.sdk.testing.probe import SinkProbe
from servicetsunami.sdk.testing.sinkaccess import SinkAccess

if TYPE_CHECKING:
    import pyarrow as pa

    from servicetsunami.sdk.sql import GuardedQuery

_LAYERS = ("bronze", "silver", "gold")
_PLENTY = QueryLimits(10_000)


class ViewChecks(SinkAccess):
    """A kept query is read like a table; for sinks that are `Views`."""

    @staticmethod
    def warehouse(sink: Sink[Any]) -> Warehouse:
        """Return the sink as what it has to be."""
        assert isinstance(sink, Warehouse), "the sink is no Warehouse"
        return sink

    def guarded(self, sink: Sink[Any], sql: str, table: TableName | None = None) -> GuardedQuery:
        """Let a query through the guard; `{t}` in it stands for the table."""
        return guard_databricks(sql.replace("{t}", str(table)), catalog=sink.catalog(), layers=_LAYERS)

    def ask(
        self, sink: Sink[Any], sql: str, table: TableName | None = None, *, limits: QueryLimits = _PLENTY
    ) -> pa.Table:
        """Return the whole answer to a query; `{t}` in it stands for the table."""
        with closing(self.warehouse(sink).query(self.guarded(sink, sql, table), limits)) as reader:
            return reader.read_all()

    @staticmethod
    def views(sink: Sink[Any]) -> Views:
        """Return the sink as one that keeps views, or skip the check."""
        if not isinstance(sink, Views):
            pytest.skip("the sink keeps no views")
        return sink

    def test_a_view_is_read_listed_and_described(self, probe: SinkProbe) -> None:
        """It gives the rows of its tables as they are at that moment, and tells its query."""
        load = probe.load()
        view = TableName("gold", f"{load.table.name}_view")

        with probe.open() as sink:
            views = self.views(sink)
            probe.write(sink, load, (1, "a"), seq=1)
            query = self.guarded(sink, "select name, count(*) as n from {t} group by name", load.table)
            views.create_view(view, query, "Names.")
            probe.write(sink, load, (2, "a"), seq=2)
            rows = self.ask(sink, "select v.n, v.name from {t} v", view).to_pylist()
            (listed,) = [one for one in self.warehouse(sink).tables("gold") if one.table == view]
            told = self.warehouse(sink).describe(view)

        assert rows == [{"n": 2, "name": "a"}]
        assert (listed.kind, listed.comment, told.definition) == ("view", "Names.", query.sql)
        assert [(one.name, one.type.casefold()) for one in told.columns] == [("name", "string"), ("n", "bigint")]

    def test_a_view_is_replaced_and_dropped(self, probe: SinkProbe) -> None:
        """A second one takes the place of the first; a dropped one is not there."""
        view = TableName("gold", f"{probe.load().table.name}_view")

        with probe.open() as sink:
            views = self.views(sink)
            views.create_view(view, self.guarded(sink, "select 1 as x"))
            views.create_view(view, self.guarded(sink, "select 2 as y"))
            rows = self.ask(sink, "select * from {t}", view).to_pylist()
            views.drop_view(view)
            with pytest.raises(NotFound):
                views.drop_view(view)
            with pytest.raises(NotFound):
                self.ask(sink, "select * from {t}", view)

        assert rows == [{"y": 2}]

    def test_a_view_that_cannot_be_is_refused(self, probe: SinkProbe) -> None:
        """One that reads itself, or has the name of a table, or reads what is not there, is not kept."""
        load = probe.load(TableName("gold", f"{probe.load().table.name}_table"))
        view = TableName("gold", f"{load.table.name}_view")

        with probe.open() as sink:
            views = self.views(sink)
            probe.write(sink, load, (1, "a"))
            views.create_view(view, self.guarded(sink, "select * from {t}", load.table))
            with pytest.raises(ConfigError) as cycle:
                views.create_view(view, self.guarded(sink, "select * from {t}", view))
            with pytest.raises(ConfigError) as taken:
                views.create_view(load.table, self.guarded(sink, "select 1 as x"))
            with pytest.raises(NotFound):
                views.create_view(view, self.guarded(sink, "select * from gold.not_there"))
            rows = self.ask(sink, "select * from {t}", view).to_pylist()

        assert (cycle.value.code, taken.value.code) == ("view_cycle", "table_taken")
        assert rows == [{"id": 1, "name": "a"}]
