"""Fail points do nothing until a test arms them, and then exactly once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servicetsunami.sdk import ConfigError, TransientError
from servicetsunami.sync.failpoints import NAMES, arm, reach


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm("")


def test_a_place_fails_at_the_time_it_is_armed_for_and_never_again() -> None:
    arm("before_commit:2=transient")
    reach("before_commit")

    with pytest.raises(TransientError, match="fail point"):
        reach("before_commit")

    reach("before_commit")


def test_places_that_are_not_armed_do_nothing() -> None:
    arm("before_commit=raise, after_ack=enospc")

    for name in set(NAMES) - {"before_commit", "after_ack"}:
        reach(name)

    with pytest.raises(OSError, match="No space left"):
        reach("after_ack")


def test_a_misspelt_place_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as refused:
        arm("before_comit=kill")

    assert refused.value.problem().did_you_mean[0] == "before_commit"
