"""A part of the fault matrix that is the same every time; `full.py` tries all of it.

What a fault needs and this machine lacks is tried by its stand-in, never left out in silence.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest
from fault_kinds import Cancel, FailPoint, Signal, WorkerKilled
from fault_kinds_calls import CallFault, calls_of, strace_problem
from fault_kinds_two import TwoServers, Zombie
from fault_kinds_world import Clock, Cut, DiskFull, small_disk, wrong_clocks
from fault_lab import Fault, Lab, Stage, Verdict, attempt
from fault_lake import Difference, compare
from fault_source import SHAPES, Mode

Tell = Callable[[str], None]
MODES: tuple[Mode, ...] = tuple(SHAPES)
LAST_STEP: dict[Mode, str] = {"full": "replace", "append": "commit", "merge": "commit", "changes": "commit"}
"""What makes the rows of a mode visible."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("faults")).opened() as opened:
        yield opened


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Say something that is seen although the test passes."""

    def say(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return say


def all_of(stage: Stage, faults: Sequence[Fault]) -> list[Verdict]:
    """Try faults one after the other; returns those whose outcome was not exact, or that were not met."""
    verdicts = [attempt(stage, fault) for fault in faults]
    return [verdict for verdict in verdicts if not (verdict.good and verdict.reached)]


@pytest.mark.parametrize("mode", MODES)
def test_a_sync_that_dies_around_its_commit_is_exact_after_the_next(lab: Lab, mode: Mode) -> None:
    step = LAST_STEP[mode]
    places = (f"before_{step}", f"after_{step}", "after_record")
    faults = [FailPoint(place, "kill") for place in places]

    assert all_of(lab.stage(mode), faults) == []


def test_a_first_sync_by_changes_that_dies_goes_on_from_its_position(lab: Lab) -> None:
    faults = [FailPoint("after_position", "kill"), FailPoint("before_ack", "kill")]

    assert all_of(lab.stage("changes", first=True), faults) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_source_that_is_cut_off_is_read_again_or_an_error(lab: Lab, mode: Mode) -> None:
    faults = [Cut("rst", 0.5, lasting=False), Cut("fin", 1.0, lasting=True), Cut("terminate", 0.9, lasting=False)]

    assert all_of(lab.stage(mode), faults) == []


def test_a_source_that_falls_silent_is_given_up(lab: Lab) -> None:
    assert all_of(lab.stage("merge"), [Cut("stall", 0.5, lasting=False)]) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_full_disk_is_an_error_until_there_is_room(lab: Lab, mode: Mode, tell: Tell) -> None:
    with small_disk(lab.work) as disk:
        if isinstance(disk, str):
            tell(f"no disk of limited size: {disk}")
            faults: list[Fault] = [FailPoint("after_stage", "enospc")]
        else:
            faults = [DiskFull(16, disk)]

        assert all_of(lab.stage(mode), faults) == []


def test_a_wrong_clock_changes_nothing(lab: Lab, tell: Tell) -> None:
    with wrong_clocks(lab) as clocks:
        if isinstance(clocks, str):
            tell(f"no wrong clock: {clocks}")
            faults: list[Fault] = [FailPoint("before_verify", "kill")]
        else:
            faults = [Clock("-3600", *clocks, "after_commit=kill"), Clock("+10y", *clocks)]

        assert all_of(lab.stage("merge"), faults) == []


@pytest.mark.parametrize("mode", ["merge", "full"])
def test_two_servers_at_once_write_every_row_once(lab: Lab, mode: Mode) -> None:
    assert all_of(lab.stage(mode), [TwoServers(1)]) == []


def test_a_server_that_wakes_up_too_late_writes_nothing(lab: Lab) -> None:
    verdict = attempt(lab.stage("append"), Zombie("before_commit"))

    assert verdict.good, verdict


@pytest.mark.parametrize("fault", [Cancel(1), Signal(signal.SIGTERM, 1), Signal(signal.SIGINT, 2), WorkerKilled(3)])
def test_a_sync_that_is_stopped_at_any_moment_is_exact_after_the_next(lab: Lab, fault: Fault) -> None:
    verdict = attempt(lab.stage("append"), fault)

    assert verdict.good, verdict


def test_a_kill_at_any_call_of_a_commit_leaves_all_or_nothing(lab: Lab, tell: Tell) -> None:
    stage = lab.stage("merge")
    if problem := strace_problem():
        tell(f"no strace: {problem}")
        faults: Sequence[Fault] = [FailPoint("before_stage", "kill"), FailPoint("before_verify", "kill")]
    else:
        last: dict[str, CallFault] = {found.call: found for found in calls_of(stage, "data")}
        faults = [last[call] for call in sorted(last)][:4]

    verdicts = [attempt(stage, fault) for fault in faults]

    assert [verdict for verdict in verdicts if not verdict.good] == []


def test_rows_that_are_lost_doubled_or_strange_are_told_apart(lab: Lab) -> None:
    right = lab.stage("append").after
    row, stranger = next(iter(right)), (-1, -1, "", "")

    found = [compare(right - Counter([row]), right), compare(right + Counter([row, stranger]), right)]

    assert found == [Difference(lost=1), Difference(doubled=1, changed=1)]
