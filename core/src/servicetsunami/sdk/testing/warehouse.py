"""The contract of a warehouse, as tests: subclass `WarehouseContract` beside `SinkContract`, with the same `config`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import (
    Cancelled,
    ConfigError,
    NotFound,
    PermanentError,
    QueryLimits,
    TableName,
    TsunamiError,
)
from servicetsunami.sdk.testing.context import LocalContext
from servicetsunami.sdk.testing.probe import SinkProbe
from servicetsunami.sdk.testing.sinkaccess import SinkAccess
from servicetsunami.sdk.testing.warehousederives import DeriveChecks

_MANY = 3_000
"""Rows that, paired three times with each other, keep any engine busy for longer than a check waits."""

_ENDLESS = "select count(*) as n from {t} a cross join {t} b cross join {t} c where a.id + b.id < c.id"


class WarehouseContract(DeriveChecks, SinkAccess):
    """What the host relies on when it asks: answers with Databricks' meaning, within limits, of one tenant alone."""

    def test_a_table_tells_its_columns_key_and_comments(self, probe: SinkProbe) -> None:
        """Names, types in Databricks SQL, key, comments and source types come back as they were loaded."""
        schema = pa.schema(
            [
                pa.field("id", pa.int64(), metadata={"comment": "The order's number.", "source_type": "int8"}),
                pa.field("price", pa.decimal128(10, 2)),
                pa.field("tags", pa.list_(pa.string())),
            ]
        )
        load = probe.load(schema=schema, mode="merge", key=("id",), comment="Orders.")

        with probe.open() as sink:
            self.need(probe, "merge")
            probe.write(sink, load, (1, Decimal("1.50"), ["a"]))
            told = self.warehouse(sink).describe(load.table)

        types = [(one.name, one.type.casefold().replace(" ", "")) for one in told.columns]
        assert types == [("id", "bigint"), ("price", "decimal(10,2)"), ("tags", "array<string>")]
        assert (told.key, told.summary.comment) == (("id",), "Orders.")
        assert (told.columns[0].comment, told.columns[0].source_type) == ("The order's number.", "int8")

    def test_history_tells_every_commit_the_latest_first(self, probe: SinkProbe) -> None:
        """Versions grow by one, and each entry says when it was made and what it did."""
        load = probe.load()

        with probe.open() as sink:
            probe.write(sink, load, (1, "a"), (2, "b"), seq=1)
            first = self.warehouse(sink).describe(load.table)
            probe.write(sink, load, (3, "c"), seq=2)
            second = self.warehouse(sink).describe(load.table)

        assert second.version > first.version
        assert second.history[0]["version"] == second.version
        assert second.history[0]["operation"]
        assert datetime.fromisoformat(second.history[0]["timestamp"]).tzinfo is not None
        assert second.history[0]["rows_added"] == 1
        assert second.history[0]["rows_removed"] == 0
        assert second.summary.rows == 3

    def test_a_list_names_the_tables_of_a_layer(self, probe: SinkProbe) -> None:
        """Tables come by name, of one layer if asked, with their rows."""
        bronze = probe.load(TableName("bronze", "contract_listed"))
        silver = probe.load(TableName("silver", "contract_listed"))

        with probe.open() as sink:
            probe.write(sink, bronze, (1, "a"), (2, "b"))
            probe.write(sink, silver, (1, "a"))
            everything = [one.table for one in self.warehouse(sink).tables()]
            found = {one.table: one.rows for one in self.warehouse(sink).tables("silver")}

        assert everything == sorted(everything)
        assert {bronze.table, silver.table} <= set(everything)
        assert {table.layer for table in found} == {"silver"}
        assert found[silver.table] == 1

    def test_answers_have_databricks_types(self, probe: SinkProbe) -> None:
        """Counts are whole numbers, decimals exact, dates dates, and moments in UTC."""
        found = self.one(
            probe,
            "select count(*) as n, sum(id) as s, cast('1.10' as decimal(5,2)) * 2 as d, date '2024-02-29' as day, "
            "timestamp '2024-02-29 10:00:00' as at, 1 / 2 as half, cast(null as string) as nothing from {t}",
        )

        assert found == {
            "n": 2,
            "s": 3,
            "d": Decimal("2.20"),
            "day": date(2024, 2, 29),
            "at": datetime(2024, 2, 29, 10, tzinfo=UTC),
            "half": 0.5,
            "nothing": None,
        }

    def test_answers_mean_what_databricks_means(self, probe: SinkProbe) -> None:
        """Where engines differ, in weekdays, positions, empty groups and order of nulls, the answer is Databricks'."""
        found = self.one(
            probe,
            "select dayofweek(date '2024-03-03') as sunday, substring('abc', 0, 2) as zero, 7 div 2 as whole, "
            "element.at as at, coalesce(sum(case when id > 9 then id end), -1) as none_summed "
            "from {t} cross join (select split_part('a-b', '-', 2) as at) element group by element.at",
        )

        assert found == {"sunday": 1, "zero": "ab", "whole": 3, "at": "b", "none_summed": -1}

    def test_what_databricks_refuses_is_refused(self, probe: SinkProbe) -> None:
        """With ANSI rules a value that cannot be is an error, never null and never another value."""
        load = probe.load()

        with probe.open() as sink:
            probe.write(sink, load, (1, "a"))
            for broken in ("1 / 0", "cast('x' as int)", "cast(300 as tinyint)"):
                with pytest.raises(TsunamiError):
                    self.ask(sink, " ".join(("select", broken, "as x from {t}")), load.table)

    def test_an_empty_table_can_be_asked(self, probe: SinkProbe) -> None:
        """No rows are an answer, with its columns."""
        load = probe.load()

        with probe.open() as sink:
            probe.write(sink, load)
            found = self.ask(sink, "select id, name from {t}", load.table)
            counted = self.ask(sink, "select count(*) as n from {t}", load.table)

        assert (found.num_rows, found.schema.names) == (0, ["id", "name"])
        assert counted.to_pylist() == [{"n": 0}]

    def test_a_name_that_is_not_there_gets_near_ones(self, probe: SinkProbe) -> None:
        """A wrong table is `NotFound`, a wrong column `column_not_found`, both with near names."""
        load = probe.load()

        with probe.open() as sink:
            probe.write(sink, load, (1, "a"))
            with pytest.raises(NotFound) as table:
                self.ask(sink, "select 1 as x from {t}x", load.table)
            with pytest.raises(ConfigError) as column:
                self.ask(sink, "select nam from {t}", load.table)

        assert any(load.table.name in name for name in table.value.did_you_mean)
        assert (column.value.code, list(column.value.did_you_mean)) == ("column_not_found", ["name"])

    def test_an_answer_ends_at_its_limits(self, probe: SinkProbe) -> None:
        """No more rows come than were asked for, and no more bytes than about one batch over."""
        load = probe.load()

        with probe.open() as sink:
            probe.write(sink, load, *((number, "x" * 1_000) for number in range(_MANY)))
            few = self.ask(sink, "select * from {t}", load.table, limits=QueryLimits(7))
            small = self.ask(sink, "select * from {t}", load.table, limits=QueryLimits(_MANY, size_bytes=1))

        assert few.num_rows == 7
        assert 0 < small.num_rows <= _MANY

    def test_a_query_that_takes_too_long_is_ended(self, probe: SinkProbe) -> None:
        """After its time it is stopped with `query_timeout`, and the warehouse answers the next one."""
        load = probe.load()

        with probe.open() as sink:
            probe.write(sink, load, *((number, "x") for number in range(_MANY)))
            with pytest.raises(PermanentError) as stopped:
                self.ask(sink, _ENDLESS, load.table, limits=QueryLimits(1, timeout_seconds=0.5))
            after = self.ask(sink, "select count(*) as n from {t}", load.table)

        assert stopped.value.code == "query_timeout"
        assert after.to_pylist() == [{"n": _MANY}]

    def test_a_query_can_be_cancelled(self, probe: SinkProbe) -> None:
        """`Cancelled` comes soon after the host says so."""
        load = probe.load()

        with probe.open() as sink:
            probe.write(sink, load, *((number, "x") for number in range(_MANY)))
            assert isinstance(sink.ctx, LocalContext)
            sink.ctx.cancel()
            with pytest.raises(Cancelled):
                self.ask(sink, _ENDLESS, load.table)

    def test_a_query_reaches_its_own_tenant_alone(self, probe: SinkProbe) -> None:
        """A table of the same name is the tenant's own, or none."""
        load = probe.load()

        with probe.open("one") as one, probe.open("two") as two:
            probe.write(one, load, (1, "one"))
            with pytest.raises(NotFound):
                self.ask(two, "select * from {t}", load.table)
            listed = [summary.table for summary in self.warehouse(two).tables()]

        assert load.table not in listed

    def one(self, probe: SinkProbe, sql: str) -> dict[str, Any]:
        """Ask about a table with the ids 1 and 2 and return the only row."""
        load = probe.load()
        with probe.open() as sink:
            probe.write(sink, load, (1, "a"), (2, "b"))
            (row,) = self.ask(sink, sql, load.table).to_pylist()
        return dict(row)
