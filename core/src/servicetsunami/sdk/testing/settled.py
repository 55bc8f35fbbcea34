"""What the host relies on while others write to the source: watermarks, parts read later; part of `SourceContract`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Read, Split, Splittable, Stream
from servicetsunami.sdk.testing.probe import Reading, Row, SourceProbe, canonical


class MeanwhileChecks:
    """The checks of watermarks and of resumable streams; where there are none they are skipped."""

    def late_row(self, config: Mapping[str, Any], stream: Stream) -> AbstractContextManager[None]:
        """Write a row whose cursor value is taken on entering, and commit it on leaving; override this.

        A source without transactions inserts the row on leaving. Each call writes one row with a key of its own; a
        second call comes and goes while the first is open.
        """
        del config, stream
        pytest.skip("the suite does not override late_row, which writes a row while a read goes on")

    def test_a_watermark_is_a_value_of_the_cursor(self, probe: SourceProbe) -> None:
        """A watermark is None or what a row could have in the cursor's column."""
        for stream, reading in _settling(probe):
            assert stream.cursor, f"{stream.id} has no cursor, and its read yields a watermark"
            for value in filter(lambda value: value is not None, reading.watermarks):
                assert _fits(value, stream, reading), f"{stream.id}: {value!r} is no value of {stream.cursor}"

    def test_a_read_gives_one_watermark(self, probe: SourceProbe) -> None:
        """A whole read says once how far it is settled, and so does one that begins at a cursor value."""
        for stream, reading in _settling(probe):
            later = probe.read(Read(stream, since=_least(stream, reading)))

            assert len(reading.watermarks) == 1, f"{stream.id}: a read gives more than one watermark"
            assert len(later.watermarks) == 1, f"{stream.id}: a read since a value gives no watermark, or several"

    def test_every_part_gives_a_watermark_or_none_does(self, probe: SourceProbe) -> None:
        """The host takes the least of what the parts say, so that none may be silent where another speaks."""
        if not issubclass(probe.connector, Splittable):
            pytest.skip("the connector is not Splittable")
        for stream, _ in _settling(probe):
            with probe.open() as planner:
                assert isinstance(planner, Splittable)
                parts = planner.splits(Read(stream), 3)
                given = {bool(probe.read(Read(stream, split=part)).watermarks) for part in parts}

            assert len(given) < 2, f"{stream.id}: some parts give a watermark and others do not"

    def test_a_read_since_the_watermark_repeats_its_rows(self, probe: SourceProbe) -> None:
        """A read that begins at the mark the host keeps gives every row at or after it, and those only."""
        for stream, reading in _settling(probe):
            mark = _mark(stream, reading)
            if mark is None:
                continue
            expected = [row for row in reading.rows if _at_or_after(row, stream, mark)]

            got = probe.read(Read(stream, since=mark)).rows

            assert canonical(got) == canonical(expected), f"{stream.id}: since={mark!r} must mean >="

    def test_a_late_row_is_never_below_the_watermark(self, probe: SourceProbe) -> None:
        """A row whose transaction was open during a read comes with that read or with the next."""
        for stream, _ in _settling(probe):
            with self.late_row(probe.settings, stream):
                with self.late_row(probe.settings, stream):
                    pass  # a row that is committed and has a greater cursor value than the one that is open
                before = probe.read(Read(stream))
            after = probe.read(Read(stream, since=_mark(stream, before)))

            found = set(canonical(before.rows)) | set(canonical(after.rows))
            missed = [text for text in canonical(probe.read(Read(stream)).rows) if text not in found]
            assert not missed, f"{stream.id}: {len(missed)} row committed late was passed over by the watermark"

    def test_a_resumable_stream_is_read_on_after_its_planner(self, probe: SourceProbe) -> None:
        """Parts that were planned hold every row once, also when the planner is gone and a row was written since."""
        if not issubclass(probe.connector, Splittable):
            pytest.skip("the connector is not Splittable")
        for stream, reading in _resumable(probe):
            with probe.open() as planner:
                assert isinstance(planner, Splittable)
                parts = planner.splits(Read(stream), 3)
                early = [probe.read(Read(stream, split=part)).rows for part in parts[:1]]
            with self._written(probe, stream):
                pass
            late, since = _read_on(probe, stream, parts) if parts else ([], [])
            got = canonical([row for rows in (*early, *late) for row in rows])

            lost = set(canonical(reading.rows)) - {*got, *canonical(since)} if parts else set()
            assert stream.key, f"{stream.id} is resumable, but rows that changed meanwhile cannot be told without a key"
            assert not lost, f"{stream.id}: {len(lost)} rows are in no part any more"
            assert len(set(got)) == len(got), f"{stream.id}: a row is in two parts"

    def _written(self, probe: SourceProbe, stream: Stream) -> AbstractContextManager[None]:
        """Write a row where the suite can."""
        can = type(self).late_row is not MeanwhileChecks.late_row and stream.cursor
        return self.late_row(probe.settings, stream) if can else nullcontext()


def _read_on(probe: SourceProbe, stream: Stream, parts: Sequence[Split]) -> tuple[list[list[Row]], list[Row]]:
    """Return the rows of each part but the first, read by another instance's plan, and those written since."""
    ids = [part.id for part in parts]
    with probe.open() as planner:
        assert isinstance(planner, Splittable)
        again = planner.replan(Read(stream), [_as_stored(part) for part in parts])
        missing = sorted(set(ids) - {part.id for part in again})
        assert not missing, f"{stream.id}: replan() gives no part {missing}"
        rows = {part.id: probe.read(Read(stream, split=part)).rows for part in again if part.id != ids[0]}
    return [rows.pop(name) for name in ids[1:]], [row for part in rows.values() for row in part]


def _as_stored(part: Split) -> Split:
    return Split(part.id, json.loads(json.dumps(part.params)), part.rows)


def _resumable(probe: SourceProbe) -> Iterator[tuple[Stream, Reading]]:
    found = [(stream, reading) for stream, reading in probe.whole() if stream.resumable and reading.rows]
    if not found:
        pytest.skip("no stream with rows is resumable")
    yield from found


def _settling(probe: SourceProbe) -> Iterator[tuple[Stream, Reading]]:
    count = 0
    for stream, reading in probe.whole():
        if reading.watermarks:
            count += 1
            yield stream, reading
    if not count:
        pytest.skip("no read yields a watermark")


def _values(stream: Stream, reading: Reading) -> list[Any]:
    values = (row.get(stream.cursor or "") for row in reading.rows)
    return [value for value in values if value is not None]


def _least(stream: Stream, reading: Reading) -> Any:
    return min(_values(stream, reading), default=None)


def _mark(stream: Stream, reading: Reading) -> Any:
    """Return where the host goes on: at the least of the greatest value seen and the watermarks; None if unknown."""
    values = _values(stream, reading)
    if not values or not all(value is not None and _fits(value, stream, reading) for value in reading.watermarks):
        return None
    return min([max(values), *reading.watermarks])


def _at_or_after(row: Mapping[str, Any], stream: Stream, mark: Any) -> bool:
    value = row.get(stream.cursor or "")
    return value is not None and bool(value >= mark)


def _fits(value: Any, stream: Stream, reading: Reading) -> bool:
    """Tell whether `value` could stand in the cursor's column."""
    if stream.schema is None or stream.cursor not in stream.schema.names:
        return all(type(value) is type(other) for other in _values(stream, reading))
    try:
        kept = pa.scalar(value, stream.schema.field(stream.cursor).type).as_py()
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return False
    return type(kept) is type(value) and bool(kept == value)
