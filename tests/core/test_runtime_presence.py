"""A process's end is seen by the others, and only its end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from servicetsunami.runtime import Presence

CHILD = """
import sys
from pathlib import Path
from servicetsunami.runtime import Presence
presence = Presence(Path(sys.argv[1]))
print(presence.owner, flush=True)
sys.stdin.read()
"""
OLD = 1_000_000_000


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def owner_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def test_a_process_is_gone_once_it_was_killed_and_not_before(tmp_path: Path, child: subprocess.Popen[str]) -> None:
    owner = owner_of(child)

    with closing(Presence(tmp_path)) as presence:
        while_it_lives = presence.is_gone(owner)
        child.kill()
        child.wait()
        after = presence.is_gone(owner)

    assert (while_it_lives, after) == (False, True)


def test_one_that_ended_before_its_work_is_said_to_be_gone(tmp_path: Path) -> None:
    with closing(Presence(tmp_path)) as other:
        other.leave_unfinished()
        while_it_lives = other.is_gone(other.owner)

    with closing(Presence(tmp_path)) as presence:
        after = presence.is_gone(other.owner)

    assert (while_it_lives, after) == (False, True)


def test_one_that_cleared_up_and_one_from_elsewhere_are_not_said_to_be_gone(tmp_path: Path) -> None:
    with closing(Presence(tmp_path)) as other:
        pass

    with closing(Presence(tmp_path)) as presence:
        answers = [presence.is_gone(owner) for owner in (other.owner, presence.owner, "host:1:0", "../host:1", "")]

    assert answers == [False] * 5
    assert list((tmp_path / "processes").iterdir()) == []


def test_old_signs_of_killed_processes_are_swept_and_those_of_living_ones_stay(
    tmp_path: Path, child: subprocess.Popen[str]
) -> None:
    alive = owner_of(child).rpartition(":")[2]
    for token in (alive, "0" * 16, "1" * 16):
        (tmp_path / "processes" / token).touch()
    for token in (alive, "0" * 16):
        os.utime(tmp_path / "processes" / token, (OLD, OLD))

    with closing(Presence(tmp_path)):
        pass

    assert {path.name for path in (tmp_path / "processes").iterdir()} == {alive, "1" * 16}
