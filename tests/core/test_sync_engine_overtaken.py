"""Whoever else writes, and whatever answer is lost, a commit counts once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sync_lab import KEYLESS, Lab

from servicetsunami.sdk import (
    Commit,
    Load,
    TransientError,
)
from servicetsunami.sync import SyncMode, SyncOutcome
from servicetsunami.sync.failpoints import arm
from servicetsunami_sink_lakehouse import LakehouseSink


@pytest.mark.parametrize("mode", ["full", "incremental"])
@pytest.mark.parametrize("keys", [{}, KEYLESS])
def test_a_sync_that_another_overtook_reads_again_and_doubles_nothing(
    lab: Lab, mode: SyncMode, keys: dict[str, Any]
) -> None:
    lab.sync("full", **keys)
    lab.world.put((10, "ten", 10), (11, "eleven", 11))
    overtaken: list[SyncOutcome] = []
    lab.world.on_read["all"] = lambda: overtaken.append(lab.sync(mode, **keys))

    outcome = lab.sync(mode, **keys)

    assert lab.landed() == lab.source()
    assert outcome.seq >= overtaken[0].seq
    assert lab.aside() == []


def test_a_sync_that_is_overtaken_each_time_fails_and_says_so(lab: Lab) -> None:
    lab.sync("full")

    overtaken = []

    def overtake() -> None:
        overtaken.append(lab.sync("full"))
        lab.world.on_read["all"] = overtake

    lab.world.on_read["all"] = overtake

    with pytest.raises(TransientError) as failure:
        lab.sync("full")

    assert (failure.value.code, len(overtaken)) == ("superseded", 3)


class Startled(LakehouseSink):
    """Lets somebody else commit right after it was first asked for the table's last commit."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def committed(self, load: Load) -> Commit:
        found = super().committed(load)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return found


@pytest.mark.parametrize(("mode", "keys"), [("incremental", {}), ("incremental", KEYLESS), ("changes", {})])
def test_a_sync_that_was_overtaken_before_it_read_doubles_nothing(
    lab: Lab, mode: SyncMode, keys: dict[str, Any]
) -> None:
    lab.sync("changes" if mode == "changes" else "full", **keys)
    lab.world.put((10, "ten", 10), (11, "eleven", 11))
    sink = Startled(lab.sink.config, lab.sink.ctx)
    overtaken: list[SyncOutcome] = []
    sink.meanwhile = lambda: overtaken.append(lab.sync(mode, **keys))

    outcome = lab.sync(mode, sink=sink, **keys)

    assert lab.landed() == lab.source()
    assert outcome.state.get("cursor", {}).get("value") == overtaken[0].state.get("cursor", {}).get("value")


@pytest.mark.parametrize("mode", ["full", "incremental"])
@pytest.mark.parametrize("silent", [0, 1])
@pytest.mark.parametrize("keys", [{}, KEYLESS])
def test_a_commit_whose_answer_is_lost_counts_once(lab: Lab, mode: SyncMode, silent: int, keys: dict[str, Any]) -> None:
    lab.sync("full", **keys)
    lab.world.put((10, "ten", 10))
    lab.sink.lost, lab.sink.silent = 1, silent

    lab.sync(mode, **keys)

    assert lab.landed() == lab.source()


@pytest.mark.parametrize("mode", ["full", "incremental", "changes"])
@pytest.mark.parametrize("place", ["before_verify", "after_commit", "before_commit", "after_replace", "before_replace"])
@pytest.mark.parametrize("time", [1, 2, 3])
def test_a_commit_that_could_not_be_looked_up_at_once_counts_once(
    lab: Lab, mode: SyncMode, place: str, time: int
) -> None:
    lab.sync("changes" if mode == "changes" else "full")
    lab.world.put((10, "ten", 10))
    arm(f"{place}:{time}=transient")

    lab.sync(mode)
    lab.world.put((11, "eleven", 11))
    lab.world.delete(3)
    lab.sync("changes" if mode == "changes" else "full")

    assert lab.landed() == lab.source()
