"""What lies at the boundary of two syncs comes once, and what comes late is not missed."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from sync_lab import KEYLESS, Lab


def test_rows_at_the_boundary_of_two_syncs_come_once_without_a_key(lab: Lab) -> None:
    lab.sync("full", **KEYLESS)
    lab.world.put((10, "late, at the same moment", 9), (11, "later", 12))

    lab.sync(**KEYLESS)
    again = lab.sync(**KEYLESS)

    assert lab.landed() == lab.source()
    assert again.rows_written == 0


def test_rows_that_are_equal_are_counted_and_not_taken_for_one(lab: Lab) -> None:
    columns = {"columns": ["name", "at"]}
    lab.world.rows = {1: (1, "same", 5), 2: (2, "same", 5)}
    lab.sync("full", settings=columns, **KEYLESS)
    lab.world.put((3, "same", 5))

    outcome = lab.sync(settings=columns, **KEYLESS)

    assert outcome.rows_written == 1


def test_a_boundary_of_too_many_rows_leads_to_a_full_sync_and_is_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servicetsunami.sync.boundary.Boundary.__init__.__defaults__", (3,))
    lab.world.put(*((number, "crowd", 7) for number in range(20, 30)))
    lab.world.rows = {key: row for key, row in lab.world.rows.items() if row[2] <= 7}

    first = lab.sync("full", **KEYLESS)
    lab.world.asked.clear()
    lab.sync(**KEYLESS)

    assert "too many rows" in " ".join(first.notes)
    assert lab.world.asked == ["all"]
    assert lab.landed() == lab.source()


def test_a_watermark_holds_the_mark_back_and_lets_a_late_row_in(lab: Lab) -> None:
    lab.world.watermark = [5]
    lab.sync("full")
    lab.world.put((50, "committed late", 6))

    lab.sync()

    assert lab.landed() == lab.source()
    assert lab.world.asked[-1] == "since 5"


def test_a_source_that_says_nothing_is_settled_stays_where_it_was(lab: Lab) -> None:
    lab.sync("full")
    lab.world.put((10, "ten", 20))
    lab.world.watermark = [None]

    lab.sync()
    lab.sync()

    assert lab.world.asked[-1] == "since 9"
    assert lab.landed() == lab.source()


@pytest.mark.parametrize("keys", [{}, KEYLESS])
def test_a_lag_reads_again_what_may_have_come_late(lab: Lab, keys: dict[str, Any]) -> None:
    lab.sync("full", settings={"lag": 4}, **keys)
    lab.world.put((50, "committed late", 6))

    lab.sync(settings={"lag": 4}, **keys)

    assert lab.world.asked[-1] == "since 5"
    assert lab.landed() == lab.source()


def test_a_lag_steps_back_from_a_watermark_too(lab: Lab) -> None:
    lab.world.watermark = [8]
    lab.sync("full", settings={"lag": 3})
    lab.world.put((50, "by a clock that is behind", 6))

    lab.sync(settings={"lag": 3})

    assert lab.world.asked[-1] == "since 5"
    assert lab.landed() == lab.source()


def test_a_cursor_of_another_type_begins_anew_and_is_told(lab: Lab) -> None:
    lab.sync("full")
    schema = pa.schema([("id", pa.int64()), ("name", pa.string()), ("at", pa.string())])
    texts: dict[int, Any] = {1: (1, "one", "x")}
    lab.world.rows = texts

    outcome = lab.sync(schema=schema)

    assert lab.world.asked[-1] == "all"
    assert "changed its type" in " ".join(outcome.notes)


def test_a_key_that_was_chosen_since_begins_anew(lab: Lab) -> None:
    lab.sync("full", **KEYLESS)
    lab.world.put((1, "changed", 20))
    lab.sync(**KEYLESS)

    lab.sync()

    assert lab.landed() == lab.source()
