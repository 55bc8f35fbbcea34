"""Changes are applied, acknowledged and, after a crash, not lost."""

from __future__ import annotations

from typing import cast

import pytest
from sync_lab import KEYLESS, TABLE, Lab

from servicetsunami.sdk import (
    ConfigError,
)
from servicetsunami.sync import SyncMode
from servicetsunami.sync.failpoints import arm


def test_what_changes_during_the_first_read_arrives_with_the_next_sync(lab: Lab) -> None:
    lab.world.on_read["all"] = lambda: lab.world.put((1, "changed while it was read", 90))

    lab.sync("changes")
    lab.world.delete(2)
    lab.sync("changes")

    assert lab.world.asked.index("position") < lab.world.asked.index("all")
    assert lab.landed() == lab.source()


@pytest.mark.parametrize("place", ["before_commit", "before_verify", "after_commit", "before_ack", "after_ack"])
def test_changes_are_acknowledged_after_their_commit_and_healed_by_the_next_run(lab: Lab, place: str) -> None:
    lab.sync("changes")
    lab.world.put((1, "changed", 90), (70, "new", 91))
    lab.world.delete(2)
    lab.world.acked.clear()
    # The position is acknowledged once more before the changes are read.
    arm(f"{place}:2=raise" if place.endswith("ack") else f"{place}=raise")
    try:
        lab.sync("changes")
    except RuntimeError:
        acked_too_early = [at for at in lab.world.acked if at > 10 and lab.landed() != lab.source()]
        assert acked_too_early == []

    lab.sync("changes")

    assert lab.landed() == lab.source()
    assert lab.world.acked[-1] == len(lab.world.log)


@pytest.mark.parametrize("resumable", [False, True])
@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_a_first_load_by_changes_that_died_holds_no_log_once_the_table_is_synced_another_way(
    lab: Lab, mode: SyncMode, resumable: bool
) -> None:
    arm("before_stage=raise")
    with pytest.raises(RuntimeError):
        lab.sync("changes", resumable=resumable)

    lab.sync(mode, resumable=resumable)
    lab.sync(mode, resumable=resumable)

    assert lab.world.asked.count("release") == 1
    assert lab.landed() == lab.source()


def test_a_source_that_cannot_be_told_is_a_note_and_no_failure(lab: Lab) -> None:
    lab.sync("changes")
    lab.world.put((70, "new", 91))
    lab.world.away = True

    outcome = lab.sync("changes")

    assert lab.landed() == lab.source()
    assert "was not told" in " ".join(outcome.notes)


def test_a_table_that_keeps_deleted_rows_has_their_mark_from_its_first_load(lab: Lab) -> None:
    soft = {"deletes": "soft"}

    shown = []
    for mode, key in (("changes", ("id",)), ("changes", ("id",)), ("changes", ("id", "name")), ("full", ("id",))):
        lab.world.put((len(lab.world.rows), "new", 90))
        lab.sync(cast("SyncMode", mode), key=key, settings=soft)
        shown.append("_deleted_at" in [column.name for column in lab.sink.describe(TABLE).columns])

    assert shown == [True, True, True, False]
    assert lab.landed() == lab.source()


def test_deleted_rows_that_a_table_filled_anew_has_no_more_are_told(lab: Lab) -> None:
    soft = {"deletes": "soft"}
    lab.sync("changes", settings=soft)
    lab.world.delete(2)
    kept = lab.sync("changes", settings=soft)
    still = lab.landed()

    anew = lab.sync("changes", key=("id", "name"), settings=soft)

    assert len(still) == len(lab.source()) + 1
    assert lab.landed() == lab.source()
    assert ["_deleted_at" in " ".join(outcome.notes) for outcome in (kept, anew)] == [False, True]


def test_changes_of_a_stream_without_key_are_refused(lab: Lab) -> None:
    with pytest.raises(ConfigError) as refused:
        lab.sync("changes", **KEYLESS)

    assert refused.value.code == "no_key"


def test_a_commit_whose_end_was_not_recorded_counts_and_is_told(lab: Lab) -> None:
    lab.sync("full")

    outcome = lab.sync(recorded_seq=0)

    assert "Run run_1 had committed" in " ".join(outcome.notes)


def test_a_table_older_than_its_record_is_told(lab: Lab) -> None:
    lab.sync("full")

    outcome = lab.sync(recorded_seq=7)

    assert "older than the record" in " ".join(outcome.notes)
