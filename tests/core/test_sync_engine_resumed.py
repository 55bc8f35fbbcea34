"""A load that broke off is gone on with where that is exact, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from sync_lab import Lab, fail

from servicetsunami.sdk import (
    PermanentError,
)
from servicetsunami.sync import SyncMode
from servicetsunami.sync.failpoints import arm


def test_a_first_load_reads_only_the_parts_that_a_dead_run_had_not_loaded(lab: Lab) -> None:
    lab.world.parts = 3
    lab.world.on_read["2"] = fail(PermanentError("the source fell"))
    with pytest.raises(PermanentError):
        lab.sync(resumable=True)
    done = {part for part in lab.world.asked if part != "2"}
    lab.world.asked.clear()
    lab.world.put((0, "changed meanwhile", 50), (30, "new meanwhile", 51))

    outcome = lab.sync(resumable=True)

    reread = [part for part in lab.world.asked if part in ("0", "1", "2")]
    assert set(reread) <= {"0", "1", "2"} - (done - set(reread))
    assert "2" in reread
    assert len(reread) < 3
    assert lab.landed() == lab.source()
    assert "had loaded before it ended" in " ".join(outcome.notes)
    assert lab.aside() == []


@pytest.mark.parametrize(
    ("mode", "stream"),
    [("incremental", {}), ("full", {"resumable": True}), ("incremental", {"resumable": True, "cursor": None})],
)
def test_what_cannot_be_gone_on_with_exactly_is_begun_anew(lab: Lab, mode: SyncMode, stream: dict[str, Any]) -> None:
    lab.world.parts = 3
    lab.world.on_read["2"] = fail(PermanentError("the source fell"))
    with pytest.raises(PermanentError):
        lab.sync(mode, **stream)
    left = lab.aside()
    lab.world.asked.clear()

    lab.sync(mode, **stream)

    assert left == []
    assert sorted(lab.world.asked) == ["0", "1", "2"]
    assert lab.landed() == lab.source()


@pytest.mark.parametrize("mode", ["full", "incremental", "changes"])
@pytest.mark.parametrize("resumable", [False, True])
def test_what_a_killed_run_left_aside_is_gone_after_the_next(lab: Lab, mode: SyncMode, resumable: bool) -> None:
    lab.world.parts = 3
    # A process that is killed tidies nothing up.
    lab.sink.tidies = False
    arm("before_replace=raise")
    with pytest.raises(RuntimeError):
        lab.sync(mode, resumable=resumable)
    left = lab.aside()
    lab.sink.tidies = True
    lab.world.put((0, "changed", 60))
    lab.world.delete(1)

    lab.sync(mode, resumable=resumable)

    assert left
    assert lab.aside() == []
    expected = lab.source()
    if mode == "incremental" and resumable:
        expected = sorted([*expected, (1, "name 1", 1)])
    assert lab.landed() == expected


def test_what_a_run_left_that_died_after_its_load_was_in_place_is_gone_after_the_next(lab: Lab) -> None:
    arm("after_replace=raise")
    lab.sink.tidies = False
    lab.sync("full")
    left = lab.aside()
    lab.sink.tidies = True

    lab.sync()

    assert left
    assert lab.aside() == []
    assert lab.landed() == lab.source()


def test_a_generation_that_cannot_be_removed_fails_no_sync(lab: Lab) -> None:
    arm("before_discard=raise")

    outcome = lab.sync("full")

    assert (outcome.seq, lab.landed()) == (1, lab.source())


def test_a_resumed_load_by_changes_holds_no_row_that_was_deleted_meanwhile(lab: Lab) -> None:
    lab.world.parts = 3
    lab.world.on_read["2"] = fail(PermanentError("the source fell"))
    with pytest.raises(PermanentError):
        lab.sync("changes", resumable=True)
    lab.world.delete(0)
    lab.world.put((1, "changed", 99), (40, "new", 1))

    lab.sync("changes", resumable=True)

    assert lab.world.asked.count("position") == 1
    assert lab.landed() == lab.source()
