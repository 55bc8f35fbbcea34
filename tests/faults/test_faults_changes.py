"""A table that changes while the syncs that follow it die ends up as it is at the source, and nothing is left there."""

from __future__ import annotations

from changes_workload import follow, is_exact, workshop


def test_a_table_followed_by_syncs_that_die_is_equal_in_the_end() -> None:
    with workshop() as lab:
        report = follow(lab, changes=2000, syncs=5, seed=1)

    assert is_exact(report), report
    assert report["changes"] == 2000
    assert report["syncs_that_died"] > 0
