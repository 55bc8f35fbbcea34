"""The contract of mode `apply`: changes are carried out in order, once, and whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import DELETED_AT, OP, UNCHANGED, Commit, Load, Sink
from servicetsunami.sdk.testing.probe import SinkProbe
from servicetsunami.sdk.testing.sinkaccess import SinkAccess

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("note", pa.string()),
        ("_synced_at", pa.timestamp("us", tz="UTC")),
        (OP, pa.string()),
        (UNCHANGED, pa.list_(pa.string())),
    ]
)


def _change(op: str, key: int | None = None, name: Any = None, note: Any = None, **more: Any) -> tuple[Any, ...]:
    return key, name, note, more.get("at", NOON), op, more.get("unchanged")


class SinkChanges(SinkAccess):
    """Checks of a sink that applies changes."""

    def test_changes_of_one_key_are_applied_in_order(self, probe: SinkProbe) -> None:
        """Update, delete and update of one row in one batch leave the last; a row made and deleted leaves none."""
        load = self._load(probe)

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "old"), _change("c", 2, "kept"))
            changes = [_change("u", 1, "lost"), _change("d", 1), _change("u", 1, "last")]
            probe.write(sink, load, *changes, _change("c", 3, "brief"), _change("d", 3), seq=2)

            assert self.pairs(sink, load.table) == [(1, "last"), (2, "kept")]

    def test_changes_of_later_batches_come_later(self, probe: SinkProbe) -> None:
        """The order of batches is an order of changes."""
        load = self._load(probe)

        with probe.open() as sink:
            transaction = sink.begin(load)
            for each in (_change("c", 1, "first"), _change("u", 1, "second"), _change("c", 2, "x"), _change("d", 2)):
                transaction.stage(probe.batch(load, each))
            transaction.commit(1, {})
            transaction.abort()

            assert self.pairs(sink, load.table) == [(1, "second")]

    def test_a_changed_key_moves_its_row(self, probe: SinkProbe) -> None:
        """A delete of the old key and a row with the new one are a move; two rows may swap keys."""
        load = self._load(probe)

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "a"), _change("c", 2, "b"), _change("c", 3, "c"))
            probe.write(sink, load, _change("d", 1), _change("c", 9, "a"), seq=2)
            swap = [_change("d", 2), _change("d", 3), _change("c", 3, "b"), _change("c", 2, "c")]
            probe.write(sink, load, *swap, seq=3)

            assert self.pairs(sink, load.table) == [(2, "c"), (3, "b"), (9, "a")]

    def test_an_update_of_an_unknown_key_inserts(self, probe: SinkProbe) -> None:
        """A feed that begins after the row was made still leaves the row."""
        load = self._load(probe)

        with probe.open() as sink:
            probe.write(sink, load, _change("u", 1, "new"))

            assert self.pairs(sink, load.table) == [(1, "new")]

    def test_a_delete_of_an_unknown_key_is_nothing(self, probe: SinkProbe) -> None:
        """Neither a row nor a mark comes of it, and no error."""
        hard, soft = self._load(probe), self._load(probe, deletes="soft")

        with probe.open() as sink:
            for load in (hard, soft):
                probe.write(sink, load, _change("c", 1, "a"), _change("d", 2))
                probe.write(sink, load, _change("d", 3), seq=2)
            got = [self.pairs(sink, load.table) for load in (hard, soft)]

        assert got == [[(1, "a")], [(1, "a")]]

    def test_a_column_left_unchanged_keeps_the_table_s_value(self, probe: SinkProbe) -> None:
        """What an update does not repeat stays; what it sends, null too, does not."""
        load = self._load(probe)

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "a", "note"), _change("c", 2, "b", "note"))
            changes = [_change("u", 1, "z", unchanged=["note"]), _change("u", 2, "y", unchanged=[])]
            probe.write(sink, load, *changes, seq=2)

            assert self._notes(sink, load) == [(1, "z", "note"), (2, "y", None)]

    def test_a_column_left_unchanged_keeps_an_earlier_change_s_value(self, probe: SinkProbe) -> None:
        """Of the changes of one commit, the last that sent a column gives its value."""
        load = self._load(probe)

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "old", "old"))
            changes = [
                _change("u", 1, "a", "sent"),
                _change("u", 1, None, "newer", unchanged=["name"]),
                _change("u", 1, "b", unchanged=["note"]),
            ]
            probe.write(sink, load, *changes, _change("c", 2, "c", "made"), seq=2)
            probe.write(sink, load, _change("u", 2, None, "n", unchanged=["name"]), seq=3)

            assert self._notes(sink, load) == [(1, "b", "newer"), (2, "c", "n")]

    def test_no_value_is_taken_from_before_a_delete(self, probe: SinkProbe) -> None:
        """A row that was deleted and comes again has nothing of the old one."""
        load = self._load(probe)

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "old", "old"))
            changes = [_change("d", 1), _change("u", 1, "new", unchanged=["note"])]
            probe.write(sink, load, *changes, seq=2)

            assert self._notes(sink, load) == [(1, "new", None)]

    def test_an_emptied_table_has_only_what_came_afterwards(self, probe: SinkProbe) -> None:
        """A truncate removes the table's rows and those of changes before it, none after it."""
        load = self._load(probe)

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "old"), _change("c", 2, "old"))
            probe.write(sink, load, _change("c", 3, "lost"), _change("t"), _change("c", 2, "new"), seq=2)
            after = self.pairs(sink, load.table)
            probe.write(sink, load, _change("t"), seq=3)

            assert (after, self.pairs(sink, load.table)) == ([(2, "new")], [])

    def test_a_soft_delete_keeps_the_row_and_says_when(self, probe: SinkProbe) -> None:
        """The row keeps its values, those of the same commit too; its mark is the time of the delete."""
        load = self._load(probe, deletes="soft")

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "a"), _change("c", 2, "b"), _change("c", 3, "c"))
            changes = [_change("d", 1, at=LATER), _change("u", 2, "newer"), _change("d", 2, at=LATER)]
            probe.write(sink, load, *changes, seq=2)

            assert self._marks(sink, load) == [(1, "a", LATER), (2, "newer", LATER), (3, "c", None)]

    def test_a_row_that_comes_again_is_no_longer_marked(self, probe: SinkProbe) -> None:
        """An update or a new row of the same key clears the mark."""
        load = self._load(probe, deletes="soft")

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "a"), _change("c", 2, "b"))
            probe.write(sink, load, _change("d", 1), _change("d", 2), _change("c", 2, "back"), seq=2)
            probe.write(sink, load, _change("u", 1, "again"), seq=3)

            assert self._marks(sink, load) == [(1, "again", None), (2, "back", None)]

    def test_an_emptied_table_is_marked_where_deletes_are_soft(self, probe: SinkProbe) -> None:
        """A truncate keeps the rows that the table had, with the time."""
        load = self._load(probe, deletes="soft")

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "a"), _change("c", 2, "b"))
            probe.write(sink, load, _change("t", at=LATER), _change("c", 2, "new"), seq=2)

            assert self._marks(sink, load) == [(1, "a", LATER), (2, "new", None)]

    def test_the_marks_of_changes_do_not_land(self, probe: SinkProbe) -> None:
        """The table has the columns of the rows, and the mark of deletes only where they are soft."""
        hard, soft = self._load(probe), self._load(probe, deletes="soft")

        with probe.open() as sink:
            for load in (hard, soft):
                probe.write(sink, load, _change("c", 1, "a"))
            names = [self.read_back(sink, load.table).schema.names for load in (hard, soft)]

        assert names == [["id", "name", "note", "_synced_at"], ["id", "name", "note", "_synced_at", DELETED_AT]]

    def test_applied_changes_are_not_applied_again(self, probe: SinkProbe) -> None:
        """A commit that comes again, from another instance too, changes nothing."""
        load = self._load(probe)

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "a"), _change("c", 2, "b"), seq=1)
            probe.write(sink, load, _change("d", 1), seq=2, state={"at": 2})
        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "a"), seq=1)
            probe.write(sink, load, _change("t"), seq=2)

            assert self.pairs(sink, load.table) == [(2, "b")]
            assert sink.committed(load) == Commit(2, {"at": 2})

    def test_staged_changes_leave_nothing_before_their_commit(self, probe: SinkProbe) -> None:
        """A process that ends before the commit has deleted, changed and added nothing."""
        load = self._load(probe)

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "a"), _change("c", 2, "b"))
            sink.begin(load).stage(probe.batch(load, _change("d", 1), _change("u", 2, "lost"), _change("c", 3, "c")))
        with probe.open() as sink:
            before = self.pairs(sink, load.table)
            probe.write(sink, load, _change("d", 2), seq=2)

            assert (before, self.pairs(sink, load.table)) == ([(1, "a"), (2, "b")], [(1, "a")])

    def test_changes_and_merges_share_a_table(self, probe: SinkProbe) -> None:
        """A merge after changes replaces their rows, whole and live; changes after it go on."""
        self.need(probe, "merge")
        load = self._load(probe, deletes="soft")
        merge = probe.load(load.table, mode="merge", key=("id",))

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "a"), _change("c", 2, "b"), _change("d", 1))
            probe.write(sink, merge, (1, "merged"), (3, "merged"), seq=2)
            merged = self._marks(sink, load)
            probe.write(sink, load, _change("d", 3, at=LATER), _change("u", 2, "last"), seq=3)

            assert merged == [(1, "merged", None), (2, "b", None), (3, "merged", None)]
            assert self._marks(sink, load) == [(1, "merged", None), (2, "last", None), (3, "merged", LATER)]

    def test_two_apps_apply_to_one_table(self, probe: SinkProbe) -> None:
        """Each app's changes see the other's rows, and each has its own last commit."""
        load = self._load(probe)
        other = self._load(probe, load.table, app="other")

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "a"), _change("c", 2, "b"), seq=4, state={"of": "contract"})
            probe.write(sink, other, _change("u", 2, "other"), _change("c", 3, "c"), seq=1, state={"of": "other"})
            probe.write(sink, load, _change("d", 3), seq=5, state={"of": "contract"})

            assert self.pairs(sink, load.table) == [(1, "a"), (2, "other")]
            assert sink.committed(load) == Commit(5, {"of": "contract"})
            assert sink.committed(other) == Commit(1, {"of": "other"})

    def test_changes_are_applied_to_a_generation(self, probe: SinkProbe) -> None:
        """A generation takes changes as a table does, unseen until it is in place."""
        load = self._load(probe)
        aside = self._load(probe, load.table, generation="g1")

        with probe.open() as sink:
            probe.write(sink, load, _change("c", 1, "old"))
            probe.write(sink, aside, _change("c", 2, "a"), _change("c", 3, "b"), seq=1)
            probe.write(sink, aside, _change("d", 2), _change("u", 3, "c"), seq=2)
            before = self.pairs(sink, load.table)
            sink.replace(aside, 2, {})

            assert (before, self.pairs(sink, load.table)) == ([(1, "old")], [(3, "c")])

    def _load(self, probe: SinkProbe, *table: Any, **parts: Any) -> Load:
        self.need(probe, "apply")
        return probe.load(*table, **{"schema": _SCHEMA, "mode": "apply", "key": ("id",), **parts})

    def _notes(self, sink: Sink[Any], load: Load) -> list[tuple[Any, ...]]:
        return [(row["id"], row["name"], row["note"]) for row in self.rows(sink, load.table)]

    def _marks(self, sink: Sink[Any], load: Load) -> list[tuple[Any, ...]]:
        return [(row["id"], row["name"], row[DELETED_AT]) for row in self.rows(sink, load.table)]
