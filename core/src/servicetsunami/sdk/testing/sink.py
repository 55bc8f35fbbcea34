"""The contract of a sink, as tests: subclass `SinkContract` and give it a `config` and a way to read back."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from servicetsunami.sdk import Commit, NotFound, TableName, TsunamiError, Warehouse, manifest
from servicetsunami.sdk.testing.probe import SinkProbe
from servicetsunami.sdk.testing.sinkaccess import SinkAccess
from servicetsunami.sdk.testing.sinkchanges import SinkChanges
from servicetsunami.sdk.testing.sinklimits import SinkLimits
from servicetsunami.sdk.testing.sinkschemas import SinkSchemas

_EVERY_TYPE = pa.schema(
    [
        ("id", pa.int64()),
        ("whole", pa.int32()),
        ("text", pa.string()),
        ("real", pa.float64()),
        ("flag", pa.bool_()),
        ("day", pa.date32()),
        ("moment", pa.timestamp("us", tz="UTC")),
        ("price", pa.decimal128(20, 4)),
        ("raw", pa.binary()),
    ]
)


class SinkContract(SinkChanges, SinkSchemas, SinkLimits, SinkAccess):
    """What the host relies on: all of a commit is seen, or nothing of it, and never twice."""

    def test_manifest_needs_no_connection(self, probe: SinkProbe) -> None:
        """The class alone tells name, description and settings."""
        described = manifest(probe.sink)

        assert re.fullmatch(r"[a-z][a-z0-9_]*", described.name), "the name must be a lower-case identifier"
        assert described.description, "the class needs a docstring: its first line is shown to people"
        json.dumps(described.model_dump(mode="json"))

    def test_check_passes(self, probe: SinkProbe) -> None:
        """`check()` accepts settings that work."""
        with probe.open() as sink:
            sink.check()

    def test_catalog_is_named_after_the_tenant(self, probe: SinkProbe) -> None:
        """A tenant's tables lie in a catalog of its own."""
        with probe.open("acme") as sink:
            assert sink.catalog() == "tenant_acme"

    def test_every_type_comes_back_as_written(self, probe: SinkProbe) -> None:
        """Values of every common type come back exactly, null included."""
        load = probe.load(schema=_EVERY_TYPE)
        moment = datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)
        full = (1, -7, "text", 0.1, True, date(1970, 1, 1), moment, Decimal("1234567890.1234"), b"\x00\xff")
        empty = (2, *[None] * (len(full) - 1))

        with probe.open() as sink:
            probe.write(sink, load, full, empty)
            got = [tuple(row[name] for name in _EVERY_TYPE.names) for row in self.rows(sink, load.table)]

        assert got == [full, empty]

    def test_unicode_and_quotes_come_back(self, probe: SinkProbe) -> None:
        """Text is text: emoji, quotes, line ends, NUL-like escapes and the empty string."""
        load = probe.load()
        texts = ["", "naïve 日本語 😀", "a'b\"c`d", "line\nend\ttab\\", "\\N", "NULL", " padded "]

        with probe.open() as sink:
            probe.write(sink, load, *enumerate(texts))
            got = self.pairs(sink, load.table)

        assert got == list(enumerate(texts))

    def test_commit_is_idempotent_by_app_and_seq(self, probe: SinkProbe) -> None:
        """A commit that was made is not made again, nor one before it, nor by another instance."""
        load = probe.load()

        with probe.open() as sink:
            probe.write(sink, load, (1, "a"), seq=1)
            probe.write(sink, load, (2, "b"), seq=2, state={"at": 2})
        with probe.open() as sink:
            probe.write(sink, load, (2, "b"), seq=2, state={"at": "again"})
            probe.write(sink, load, (1, "a"), seq=1, state={"at": 1})
            got = self.pairs(sink, load.table)

            assert got == [(1, "a"), (2, "b")]
            assert sink.committed(load) == Commit(2, {"at": 2})

    def test_apps_count_their_commits_apart(self, probe: SinkProbe) -> None:
        """The sequence of one app says nothing of another's."""
        load = probe.load()
        other = probe.load(load.table, app="other")

        with probe.open() as sink:
            probe.write(sink, load, (1, "a"), seq=5)
            probe.write(sink, other, (2, "b"), seq=1)
            got = self.pairs(sink, load.table)

            assert got == [(1, "a"), (2, "b")]
            assert (sink.committed(load).seq, sink.committed(other).seq) == (5, 1)

    def test_staged_rows_are_invisible(self, probe: SinkProbe) -> None:
        """Nobody sees a row before its commit."""
        load = probe.load()

        with probe.open() as sink:
            probe.write(sink, load, (1, "a"))
            transaction = sink.begin(load)
            transaction.stage(probe.batch(load, (2, "b")))
            before = self.pairs(sink, load.table)
            transaction.commit(2, {})
            after = self.pairs(sink, load.table)
            transaction.abort()

        assert (before, after) == ([(1, "a")], [(1, "a"), (2, "b")])

    def test_abort_leaves_nothing(self, probe: SinkProbe) -> None:
        """What was staged is forgotten, what was committed stays, and a second abort is harmless."""
        load = probe.load()

        with probe.open() as sink:
            probe.write(sink, load, (1, "a"))
            transaction = sink.begin(load)
            transaction.stage(probe.batch(load, (2, "b")))
            transaction.abort()
            transaction.abort()
            probe.write(sink, load, (3, "c"), seq=2)

            assert self.pairs(sink, load.table) == [(1, "a"), (3, "c")]

    def test_state_comes_back(self, probe: SinkProbe) -> None:
        """What recovery believes is what was committed, to another instance too."""
        load = probe.load()
        state = {"cursor": {"value": "2024-01-01", "n": 2**53}, "list": [1, None, "é"], "none": None}

        with probe.open() as sink:
            assert sink.committed(load) == Commit()
            probe.write(sink, load, (1, "a"), seq=3, state=state)
        with probe.open() as sink:
            assert sink.committed(load) == Commit(3, state)

    def test_rows_and_state_become_visible_together(self, probe: SinkProbe) -> None:
        """State never runs ahead of its rows, nor rows ahead of their state."""
        load = probe.load()

        with probe.open() as sink, probe.open() as reader:
            transaction = sink.begin(load)
            transaction.stage(probe.batch(load, (1, "a")))
            before = (reader.committed(load).seq, self.pairs(reader, load.table))
            transaction.commit(1, {"at": 1})
            after = (reader.committed(load).seq, self.pairs(reader, load.table))
            transaction.abort()

        assert before == (0, [])
        assert after == (1, [(1, "a")])

    def test_a_transaction_takes_several_commits(self, probe: SinkProbe) -> None:
        """A transaction stays open after a commit; each commit makes its own rows visible."""
        load = probe.load()

        with probe.open() as sink:
            transaction = sink.begin(load)
            for seq in (1, 2, 3):
                transaction.stage(probe.batch(load, (seq, "x")))
                transaction.commit(seq, {"at": seq})
            transaction.abort()

            assert self.pairs(sink, load.table) == [(1, "x"), (2, "x"), (3, "x")]
            assert sink.committed(load) == Commit(3, {"at": 3})

    def test_append_keeps_what_was_there(self, probe: SinkProbe) -> None:
        """Appending adds rows, equal ones too."""
        load = probe.load()

        with probe.open() as sink:
            probe.write(sink, load, (1, "a"), seq=1)
            probe.write(sink, load, (1, "a"), (2, "b"), seq=2)

            assert self.pairs(sink, load.table) == [(1, "a"), (1, "a"), (2, "b")]

    def test_merge_replaces_by_key_and_the_last_wins(self, probe: SinkProbe) -> None:
        """A row of a known key replaces it; of several rows of one key the last one staged stays."""
        self.need(probe, "merge")
        load = probe.load(mode="merge", key=("id",))

        with probe.open() as sink:
            probe.write(sink, load, (1, "old"), (2, "kept"), seq=1)
            transaction = sink.begin(load)
            transaction.stage(probe.batch(load, (1, "newer"), (3, "first"), (3, "second")))
            transaction.stage(probe.batch(load, (1, "newest")))
            transaction.commit(2, {})
            transaction.abort()

            assert self.pairs(sink, load.table) == [(1, "newest"), (2, "kept"), (3, "second")]

    def test_replace_swaps_the_table(self, probe: SinkProbe) -> None:
        """A generation is loaded unseen and takes the table's place in one step, with its state."""
        load = probe.load()
        aside = probe.load(load.table, generation="g1")

        with probe.open() as sink:
            probe.write(sink, load, (1, "old"), seq=1)
            probe.write(sink, aside, (2, "new"), seq=1)
            before = self.pairs(sink, load.table)
            sink.replace(aside, 2, {"at": 2})
            after = self.pairs(sink, load.table)

            assert (before, after) == ([(1, "old")], [(2, "new")])
            assert sink.committed(load) == Commit(2, {"at": 2})

    def test_replace_is_idempotent(self, probe: SinkProbe) -> None:
        """A swap that was made is not made again, so that rows committed since stay."""
        load = probe.load()
        aside = probe.load(load.table, generation="g1")

        with probe.open() as sink:
            probe.write(sink, aside, (1, "a"), seq=1)
            sink.replace(aside, 1, {"at": 1})
            probe.write(sink, load, (2, "b"), seq=2, state={"at": 2})
            sink.replace(aside, 1, {"at": 1})

            assert self.pairs(sink, load.table) == [(1, "a"), (2, "b")]
            assert sink.committed(load) == Commit(2, {"at": 2})

    def test_an_empty_generation_leaves_an_empty_table(self, probe: SinkProbe) -> None:
        """A full refresh of an empty stream gives a table with columns and no rows."""
        load = probe.load()

        with probe.open() as sink:
            probe.write(sink, load, (1, "old"), seq=1)
            sink.replace(probe.load(load.table, generation="g1"), 2, {})
            got = self.read_back(sink, load.table)

        assert got.num_rows == 0
        assert got.schema.names == ["id", "name"]

    def test_a_discarded_generation_leaves_nothing(self, probe: SinkProbe) -> None:
        """A generation that is not wanted is forgotten; discarding it again is harmless."""
        load = probe.load()
        aside = probe.load(load.table, generation="g1")

        with probe.open() as sink:
            probe.write(sink, load, (1, "kept"), seq=1)
            probe.write(sink, aside, (2, "unwanted"), seq=1)
            sink.discard(load.table, "g1")
            sink.discard(load.table, "g1")

            assert sink.committed(aside) == Commit()
            assert self.pairs(sink, load.table) == [(1, "kept")]

    def test_new_columns_are_added(self, probe: SinkProbe) -> None:
        """A column the table does not have is added; older rows hold null in it."""
        load = probe.load()
        wider = probe.load(load.table, schema=load.schema.append(pa.field("extra", pa.float64())))

        with probe.open() as sink:
            probe.write(sink, load, (1, "a"), seq=1)
            probe.write(sink, wider, (2, "b", 0.5), seq=2)
            probe.write(sink, load, (3, "c"), seq=3)
            got = [(row["id"], row["extra"]) for row in self.rows(sink, load.table)]

        assert got == [(1, None), (2, 0.5), (3, None)]

    def test_freeze_refuses_new_columns(self, probe: SinkProbe) -> None:
        """A frozen table takes no column it does not have, and nothing of the load stays."""
        load = probe.load()
        schema = load.schema.append(pa.field("extra", pa.float64()))
        frozen = probe.load(load.table, schema=schema, evolve="freeze")

        with probe.open() as sink:
            probe.write(sink, load, (1, "a"), seq=1)
            with pytest.raises(TsunamiError):
                probe.write(sink, frozen, (2, "b", 0.5), seq=2)

            assert self.pairs(sink, load.table) == [(1, "a")]
            assert self.read_back(sink, load.table).schema.names == ["id", "name"]

    def test_interleaved_transactions_keep_both(self, probe: SinkProbe) -> None:
        """Two transactions on one table do not lose each other's rows."""
        load = probe.load(app="first")
        other = probe.load(load.table, app="second")

        with probe.open() as sink:
            one, two = sink.begin(load), sink.begin(other)
            one.stage(probe.batch(load, (1, "a")))
            two.stage(probe.batch(load, (2, "b")))
            two.commit(1, {"of": "second"})
            one.commit(1, {"of": "first"})
            one.abort()
            two.abort()

            assert self.pairs(sink, load.table) == [(1, "a"), (2, "b")]
            assert sink.committed(load).state == {"of": "first"}
            assert sink.committed(other).state == {"of": "second"}

    def test_tenants_do_not_see_each_other(self, probe: SinkProbe) -> None:
        """One table name, two tenants, two tables."""
        load = probe.load()

        with probe.open("one") as one, probe.open("two") as two:
            probe.write(one, load, (1, "one"), seq=1)
            unseen = (self.pairs(two, load.table), two.committed(load))
            probe.write(two, load, (2, "two"), seq=1)

            assert unseen == ([], Commit())
            assert self.pairs(one, load.table) == [(1, "one")]
            assert self.pairs(two, load.table) == [(2, "two")]

    def test_warehouse_lists_and_describes(self, probe: SinkProbe) -> None:
        """A table is listed in its layer and described as it was written; a wrong name gets near ones."""
        load = probe.load(comment="The contract's table.")
        with probe.open() as sink:
            if not isinstance(sink, Warehouse):
                pytest.skip("the sink is no Warehouse")
            probe.write(sink, load, (1, "a"), (2, "b"))

            listed = [summary.table for summary in sink.tables("bronze")]
            details = sink.describe(load.table)
            with pytest.raises(NotFound) as missing:
                sink.describe(TableName("bronze", f"{load.table.name}x"))

        assert load.table in listed
        assert [(c.name, c.type.upper()) for c in details.columns] == [("id", "BIGINT"), ("name", "STRING")]
        assert (details.summary.rows, details.summary.comment) == (2, load.comment)
        assert any(load.table.name in name for name in missing.value.did_you_mean)

    def test_close_is_safe(self, probe: SinkProbe) -> None:
        """An instance may be closed unused, and with a transaction open that leaves nothing."""
        load = probe.load()
        with probe.open():
            pass
        with probe.open() as sink:
            sink.begin(load).stage(probe.batch(load, (1, "a")))
        with probe.open() as sink:
            assert self.pairs(sink, load.table) == []
