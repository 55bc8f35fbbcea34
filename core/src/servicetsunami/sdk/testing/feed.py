"""The contract of a change feed, as tests: subclass `FeedContract`, give it a `config` and say how to write a row.

    class TestShopFeed(FeedContract):
        connector = Shop
        followed = "customers"
        column = "name"

        @pytest.fixture
        def config(self, shop):
            return shop.settings

        def insert(self, config, key, value): ...
        def update(self, config, key, value): ...
        def delete(self, config, key): ...

The table has a key of one integer column. Every write is a transaction of its own.
"""

from __future__ import annotations

from functools import partial

import pytest

from servicetsunami.sdk import Capability, Stream, TsunamiError, capabilities
from servicetsunami.sdk.testing.changelog import OPS, FeedProbe, applied, canonical_rows, rescued
from servicetsunami.sdk.testing.feedstates import StateChecks
from servicetsunami.sdk.testing.feedsuite import WITHOUT_END
from servicetsunami.sdk.testing.probe import Caught, overheard


class FeedContract(StateChecks):
    """What the host relies on in a change feed. A check that has nothing to look at is skipped and says why."""

    def test_the_class_declares_its_feed(self, probe: FeedProbe) -> None:
        """The host offers the mode `changes` where the class adds the mixin."""
        assert Capability.CHANGES in capabilities(probe.connector), "add the mixin ChangeFeed"

    def test_an_empty_feed_gives_only_a_checkpoint(self, probe: FeedProbe) -> None:
        """Nothing written before the position comes, and the feed still says how far it is."""
        self.insert(probe.settings, self.fresh_key(), "before the position")
        with probe.started() as start:
            log = probe.sound(start)

        assert log.texts() == [], "a change came that was made before the position"
        assert log.checkpoints, "a feed without changes gives no checkpoint: the source could never forget its log"

    def test_the_first_change_after_the_position_comes(self, probe: FeedProbe) -> None:
        """The position is where the log is, not behind it."""
        with probe.started() as start:
            key = self._insert(probe, "first")
            log = probe.sound(start)

        assert log.of(probe.key(key)), "the first row inserted after the position did not come"

    def test_snapshot_and_changes_make_the_source(self, probe: FeedProbe) -> None:
        """Rows read after the position, and then the changes since the position, are the rows of the source."""
        old = [self._insert(probe, "old") for _ in range(6)]
        with probe.started() as start:
            self._write_each_way(probe, old[:3])
            snapshot = probe.rows()
            self._write_each_way(probe, old[3:])
            log, rows, stream = probe.sound(start), probe.rows(), probe.stream()

        made = applied(snapshot, [change for change in log.changes if change.stream == stream.id], stream.key)
        assert canonical_rows(made, stream) == canonical_rows(rows, stream), "the changes give other rows"

    def test_changes_of_a_key_come_in_order(self, probe: FeedProbe) -> None:
        """What comes of one row comes in the order in which it happened, a second life after a delete included."""
        with self._begun(probe) as start:
            key = self._insert(probe, "one")
            self.update(probe.settings, key, "two")
            self.update(probe.settings, key, "three")
            self.delete(probe.settings, key)
            self.insert(probe.settings, key, "four")
            log = probe.sound(start)

        found = [change.op + str(change.row.get(self.column) or "") for change in log.of(probe.key(key))]
        order = ["cone", "utwo", "uthree", "d", "cfour"]
        places = [order.index(told[:1] if told[:1] == "d" else told) for told in found]
        assert places == sorted(places), f"the changes of one row came as {found}"
        assert found[-1:] == order[-1:], "a row inserted again after its delete is not there"

    def test_operations_are_known(self, probe: FeedProbe) -> None:
        """A change is one of c, u, d and t."""
        with self._changed(probe) as start:
            log = probe.follow(start, most=WITHOUT_END)

        assert {change.op for change in log.changes} <= set(OPS), f"the operations are {', '.join(OPS)}"

    def test_deletes_carry_the_key(self, probe: FeedProbe) -> None:
        """A delete says which row."""
        with self._changed(probe) as start:
            stream, log = probe.stream(), probe.follow(start, most=WITHOUT_END)

        keys = [change.row.get(name) for change in log.changes if change.op == "d" for name in stream.key]
        assert None not in keys, "a delete without its key cannot be carried out"

    def test_changes_fit_the_declared_schema(self, probe: FeedProbe) -> None:
        """Every cell fits its column, and no column comes unannounced."""
        with self._changed(probe) as start:
            stream, log = probe.stream(), probe.follow(start, most=WITHOUT_END)
        if stream.schema is None:
            pytest.skip("the stream declares no schema")

        columns = {name for change in log.changes if change.stream == stream.id for name in change.row}
        assert {name for change in log.changes for name in rescued(change)} == set(), "cells that do not fit"
        assert columns - set(stream.schema.names) == set(), "changes bring columns the schema does not have"

    def test_a_changed_key_is_a_delete_and_a_create(self, probe: FeedProbe) -> None:
        """A row that gets another key leaves nothing under the old one."""
        with self._begun(probe) as start:
            old, new = self._insert(probe, "moving"), self.fresh_key()
            self.change_key(probe.settings, old, new)
            log = probe.sound(start)

        assert [change.op for change in log.of(probe.key(old))][-1:] == ["d"], "the old key must come as d"
        assert [change.op for change in log.of(probe.key(new))] == ["c"], "the new key must come as c"

    def test_a_truncate_is_told(self, probe: FeedProbe) -> None:
        """A table that was emptied at once is empty, but for what came after."""
        with self._begun(probe) as start:
            self._insert(probe, "emptied")
            snapshot = probe.rows()
            self.truncate(probe.settings)
            self._insert(probe, "after")
            log, rows, stream = probe.sound(start), probe.rows(), probe.stream()

        made = applied(snapshot, log.changes, stream.key)
        assert canonical_rows(made, stream) == canonical_rows(rows, stream), "rows stay that were emptied"

    def test_unchanged_columns_are_named(self, probe: FeedProbe) -> None:
        """A column that the log does not repeat is named, so that its null is not taken for its value."""
        with self._begun(probe) as start:
            key = self.fresh_key()
            self.leave_unchanged(probe.settings, key)
            log, rows, stream = probe.sound(start), probe.rows(), probe.stream()

        changes = log.of(probe.key(key))
        wrong = {name for change in changes for name in change.unchanged if name not in change.row}
        made, expected = applied([], changes, stream.key), [row for row in rows if row[stream.key[0]] == key]
        assert wrong == set(), "`unchanged` names columns that are not there"
        assert canonical_rows(made, stream) == canonical_rows(expected, stream), "an unchanged value is lost"

    def test_a_new_column_comes(self, probe: FeedProbe) -> None:
        """A column added while the feed goes on comes with the rows written since."""
        with self._begun(probe) as start:
            before = set(probe.rows()[0])
            self.add_column(probe.settings)
            key = self._insert(probe, "wide")
            log = probe.sound(start)
            row = next(row for row in probe.rows() if row[probe.stream().key[0]] == key)

        (change,) = log.of(probe.key(key))
        new = {name: value for name, value in row.items() if name not in before}
        assert {name: change.row.get(name) for name in new} == new, "the new column does not come with its value"

    def test_changes_of_other_streams_do_not_come(self, probe: FeedProbe) -> None:
        """A feed tells of the streams it was asked for."""
        with probe.started() as start:
            self.write_elsewhere(probe.settings)
            self._insert(probe, "here")
            log = probe.follow(start, most=WITHOUT_END)

        assert {change.stream for change in log.changes} <= {probe.followed}, "changes of other streams came"

    def test_a_feed_gives_changes_and_checkpoints_only(self, probe: FeedProbe) -> None:
        """Rows without an operation have no place in a feed."""
        with self._changed(probe) as start:
            log = probe.follow(start, most=WITHOUT_END)

        assert set(log.kinds) <= {"Changes", "Checkpoint"}, "a feed yields Changes and Checkpoint"

    def test_a_feed_ends_by_itself(self, probe: FeedProbe) -> None:
        """A feed ends at the log's end as of the call, even while somebody writes after every item."""
        with self._changed(probe) as start:
            quiet = probe.follow(start, most=WITHOUT_END)
            busy = probe.follow(start, each=partial(self._insert, probe, "meanwhile"), most=WITHOUT_END)

        assert quiet.ended, f"the feed waits for more, or gives more than {WITHOUT_END} items of a few changes"
        assert busy.ended, f"the feed gave {WITHOUT_END} items while somebody wrote, and did not end"

    def test_an_unknown_stream_is_a_typed_error_of_the_feed(self, probe: FeedProbe) -> None:
        """A stream that vanished is told as such when its feed begins."""
        with Caught() as caught, probe.feed() as feed:
            feed.position([Stream("contract_no_such_stream", key=("id",))])

        assert isinstance(caught.error, TsunamiError), f"position raises {type(caught.error).__name__}, not NotFound"

    def test_the_feed_keeps_its_secrets(self, probe: FeedProbe) -> None:
        """No secret is in a state, a log record, an error or on the terminal while a feed is followed."""
        secrets = probe.secrets()
        if not secrets:
            pytest.skip("the connector has no secret settings, or the suite's config gives none a value")
        with overheard() as heard, self._changed(probe) as start:
            log = probe.follow(start, most=WITHOUT_END)
            with Caught() as caught, probe.feed() as feed:
                feed.position([Stream("contract_no_such_stream", key=("id",))])

        seen = f"{heard.getvalue()}{start}{log.checkpoints}{caught.error!r}{caught.error}"
        assert [secret for secret in secrets if secret in seen] == [], "these secrets came out"
