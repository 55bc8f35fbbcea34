"""The feed contract passes a good change feed, and each broken one fails exactly the check that names its fault."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from people_feed import PASSWORD, Event, People, PeopleFeed, Row

from servicetsunami.sdk import (
    Checkpoint,
    Item,
    Json,
    PermanentError,
    Stream,
)
from servicetsunami.sdk.testing import FeedContract, FeedProbe, failing_checks


class TestPeopleFeed(PeopleFeed):
    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"database": str(tmp_path), "password": PASSWORD}


class ConsumesWhatItReads(People):
    def first(self, state: Json) -> int:
        return max(super().first({"at": self.db.slots.get(self.slot, 0)}), int(state["at"]))

    def checkpoint(self, number: int, end: int) -> Iterator[Item]:
        self.db.slots[self.slot] = number + 1
        return super().checkpoint(number, end)


class CheckpointWithinATransaction(People):
    def told(self, number: int, events: Sequence[Event]) -> Iterator[Item]:
        for done, item in enumerate(super().told(number, events), 1):
            yield item
            yield Checkpoint({**self.state(number), "row": done * self.batch})


class StateThatIsNotJson(People):
    def checkpoint(self, number: int, end: int) -> Iterator[Item]:
        del end
        yield Checkpoint({**self.state(number + 1), "when": datetime(2024, 1, 1, tzinfo=UTC)})


class PositionThatIsNotJson(People):
    def position(self, streams: Sequence[Stream]) -> Json:
        return {**super().position(streams), "streams": {stream.id for stream in streams}}


class LosesDeletes(People):
    def wanted(self, event: Event, followed: Sequence[str]) -> bool:
        return super().wanted(event, followed) and event.op != "d"


class DeleteWithoutItsKey(People):
    def lines(self, event: Event) -> Iterable[tuple[str, Row]]:
        return [(op, {"id": None} if op == "d" else row) for op, row in super().lines(event)]


class KeyChangeAsUpdate(People):
    def lines(self, event: Event) -> Iterable[tuple[str, Row]]:
        return [("u", event.row)] if event.op == "k" else super().lines(event)


class InTheOrderOfTheValues(People):
    def changes(self, streams: Sequence[Stream], state: Json) -> Iterator[Item]:
        self.slot = state["slot"]
        first, end = self.first(state), len(self.db.log)
        followed = [stream.id for stream in streams]
        events = [event for number in range(first, end) for event in self.db.log[number].events]
        events = [event for event in events if self.wanted(event, followed)]
        keys = list(dict.fromkeys(event.row.get("id") for event in events))
        events.sort(key=lambda event: (keys.index(event.row.get("id")), event.row.get("name", "")))
        yield from self.told(first, events)
        yield from self.last(first, end)


class DoublesAfterResume(People):
    def checkpoint(self, number: int, end: int) -> Iterator[Item]:
        return super().checkpoint(number - 1, end)


class LosesAfterResume(People):
    def checkpoint(self, number: int, end: int) -> Iterator[Item]:
        return super().checkpoint(min(number + 1, end - 1), end)


class PositionBehindTheEnd(People):
    def end(self) -> int:
        return super().end() + 1


class PositionBeforeTheEnd(People):
    def end(self) -> int:
        return max(0, super().end() - 1)


class NeverEnds(People):
    def last(self, first: int, end: int) -> Iterator[Item]:
        while True:
            yield from super().last(first, end)


class FollowsTheLogForEver(People):
    def numbers(self, first: int, end: int) -> Iterable[int]:
        number = min(first, end)
        while number < len(self.db.log):
            yield number
            number += 1


class WaitsForMore(People):
    def last(self, first: int, end: int) -> Iterator[Item]:
        while len(self.db.log) == end:
            self.ctx.sleep(60)
        yield from super().last(first, len(self.db.log))


class OneSlotForAllConnections(People):
    def slot_of(self, streams: Sequence[Stream]) -> str:
        return "_".join(["slot", *(stream.id for stream in streams)])


class OneSlotForAllStreams(People):
    def slot_of(self, streams: Sequence[Stream]) -> str:
        return f"slot_{self.ctx.connection}" if streams else ""


class OperationsOfItsOwn(People):
    def line(self, op: str, row: Row, unchanged: Sequence[str]) -> Row:
        return super().line({"c": "insert", "u": "update", "d": "delete"}.get(op, op), row, unchanged)


class TellsOfOtherStreams(People):
    def wanted(self, event: Event, followed: Sequence[str]) -> bool:
        return bool(followed) and event.stream != ""


class NullForWhatIsUnchanged(People):
    def line(self, op: str, row: Row, unchanged: Sequence[str]) -> Row:
        return {**dict.fromkeys(unchanged), **super().line(op, row, ())}


class ForgetsTruncate(People):
    def wanted(self, event: Event, followed: Sequence[str]) -> bool:
        return super().wanted(event, followed) and event.op != "t"


class BlindToNewColumns(People):
    def line(self, op: str, row: Row, unchanged: Sequence[str]) -> Row:
        return super().line(op, {name: row[name] for name in row if name in ("id", "name", "photo")}, unchanged)


class UnannouncedColumn(People):
    def line(self, op: str, row: Row, unchanged: Sequence[str]) -> Row:
        return {"lsn": "0/16B3748", **super().line(op, row, unchanged)}


class ForgetsToRelease(People):
    def release(self, streams: Sequence[Stream]) -> None:
        pass


class ReleasesOnlyOnce(People):
    def release(self, streams: Sequence[Stream]) -> None:
        del self.db.slots[self.slot_of(streams)]


class SilentWithoutItsLog(People):
    def first(self, state: Json) -> int:
        return super().first(state) if self.slot in self.db.slots else len(self.db.log)


class AckTakesAll(People):
    def first(self, state: Json) -> int:
        return max(super().first({"at": self.db.slots.get(self.slot, 0)}), int(state["at"]))

    def ack(self, state: Json) -> None:
        super().ack({**state, "at": len(self.db.log)})


class RefusesOldAcks(People):
    def ack(self, state: Json) -> None:
        if state["at"] < self.db.slots[state["slot"]]:
            raise PermanentError("the log is already further")
        super().ack(state)


class EndsWithoutACheckpoint(People):
    def checkpoint(self, number: int, end: int) -> Iterator[Item]:
        return super().checkpoint(number, end) if number + 1 < end else iter(())

    def last(self, first: int, end: int) -> Iterator[Item]:
        return super().last(first, end) if first >= end else iter(())


class SaysNothingOfAnEmptyLog(People):
    def last(self, first: int, end: int) -> Iterator[Item]:
        return super().last(first, end) if first < end else iter(())


class OneBatchATransaction(People):
    batch = 1_000_000


class PlainRows(People):
    def told(self, number: int, events: Sequence[Event]) -> Iterator[Item]:
        yield from super().told(number, events)
        yield [{"id": 1}]


class LoggedSecret(People):
    def first(self, state: Json) -> int:
        logging.getLogger("feed").debug("following as %s", self.config.password.get_secret_value())
        return super().first(state)


class SecretInTheState(People):
    def state(self, at: int) -> Json:
        return {**super().state(at), "password": self.config.password.get_secret_value()}


class KeyErrorForAMissingStream(People):
    def position(self, streams: Sequence[Stream]) -> Json:
        known = {stream.name: stream for stream in self.streams()}
        return super().position([known[stream.name] for stream in streams])


class BusyAfterAnInterruption(People):
    busy = False

    def changes(self, streams: Sequence[Stream], state: Json) -> Iterator[Item]:
        if self.busy:
            raise PermanentError("the feed is being read")
        self.busy = True
        yield from super().changes(streams, state)
        self.busy = False


class PositionOnlyOnce(People):
    def position(self, streams: Sequence[Stream]) -> Json:
        if self.slot_of(streams) in self.db.slots:
            raise PermanentError("the slot exists")
        return super().position(streams)


class LagBelowZero(People):
    def lag_bytes(self, streams: Sequence[Stream]) -> int | None:
        return super().lag_bytes(streams) or -1


class InTheOrderOfBeginning(People):
    def numbers(self, first: int, end: int) -> Iterable[int]:
        return [number for number in range(end) if self.db.log[number].begun >= first]

    def last(self, first: int, end: int) -> Iterator[Item]:
        yield Checkpoint(self.state(max([first, *(entry.begun + 1 for entry in self.db.log[:end])])))


MUTANTS: dict[type[People], str] = {
    ConsumesWhatItReads: "test_the_same_state_gives_the_same_changes",
    CheckpointWithinATransaction: "test_no_checkpoint_lies_within_a_transaction",
    StateThatIsNotJson: "test_states_are_json",
    PositionThatIsNotJson: "test_states_are_json",
    LosesDeletes: "test_snapshot_and_changes_make_the_source",
    DeleteWithoutItsKey: "test_deletes_carry_the_key",
    KeyChangeAsUpdate: "test_a_changed_key_is_a_delete_and_a_create",
    InTheOrderOfTheValues: "test_changes_of_a_key_come_in_order",
    DoublesAfterResume: "test_resume_from_every_checkpoint_gives_the_rest",
    LosesAfterResume: "test_resume_from_every_checkpoint_gives_the_rest",
    PositionBehindTheEnd: "test_the_first_change_after_the_position_comes",
    PositionBeforeTheEnd: "test_an_empty_feed_gives_only_a_checkpoint",
    NeverEnds: "test_a_feed_ends_by_itself",
    FollowsTheLogForEver: "test_a_feed_ends_by_itself",
    WaitsForMore: "test_a_feed_ends_by_itself",
    OneSlotForAllConnections: "test_feeds_of_other_connections_are_left_alone",
    OneSlotForAllStreams: "test_feeds_of_other_streams_are_left_alone",
    OperationsOfItsOwn: "test_operations_are_known",
    TellsOfOtherStreams: "test_changes_of_other_streams_do_not_come",
    NullForWhatIsUnchanged: "test_unchanged_columns_are_named",
    ForgetsTruncate: "test_a_truncate_is_told",
    BlindToNewColumns: "test_a_new_column_comes",
    UnannouncedColumn: "test_changes_fit_the_declared_schema",
    ForgetsToRelease: "test_release_leaves_nothing",
    ReleasesOnlyOnce: "test_release_may_come_twice_or_alone",
    SilentWithoutItsLog: "test_a_released_log_is_never_an_empty_one",
    AckTakesAll: "test_ack_keeps_what_is_later",
    RefusesOldAcks: "test_ack_of_an_older_state_is_harmless",
    EndsWithoutACheckpoint: "test_the_last_item_is_a_checkpoint",
    SaysNothingOfAnEmptyLog: "test_an_empty_feed_gives_only_a_checkpoint",
    OneBatchATransaction: "test_a_large_transaction_comes_in_several_batches",
    PlainRows: "test_a_feed_gives_changes_and_checkpoints_only",
    LoggedSecret: "test_the_feed_keeps_its_secrets",
    SecretInTheState: "test_the_feed_keeps_its_secrets",
    KeyErrorForAMissingStream: "test_an_unknown_stream_is_a_typed_error_of_the_feed",
    BusyAfterAnInterruption: "test_an_interrupted_feed_can_be_followed_again",
    PositionOnlyOnce: "test_position_finds_what_a_first_one_left",
    LagBelowZero: "test_lag_is_a_number_or_unknown",
    InTheOrderOfBeginning: "test_a_late_commit_comes_after_the_checkpoint",
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda cls: cls.__name__)
def test_a_broken_feed_fails_exactly_the_check_that_names_its_fault(mutant: type[People], tmp_path: Path) -> None:
    suite = PeopleFeed()
    checks: dict[str, Callable[[FeedProbe], None]] = {
        name: getattr(suite, name) for name in dir(suite) if name.startswith("test_")
    }

    failed = {name for name, check in checks.items() if failing_checks(Only(name, check), of(mutant, tmp_path / name))}

    assert failed == {MUTANTS[mutant]}


def test_every_check_of_the_feed_has_a_mutant_that_only_it_catches() -> None:
    checks = {name for name in dir(FeedContract) if name.startswith("test_")}

    assert checks - set(MUTANTS.values()) == {"test_the_class_declares_its_feed"}


class Only:
    """A suite of one check, so that each runs on a database of its own."""

    def __init__(self, name: str, check: Callable[[FeedProbe], None]) -> None:
        setattr(self, name, check)


def of(mutant: type[People], folder: Path) -> FeedProbe:
    settings = {"database": str(folder), "password": PASSWORD}
    return FeedProbe(mutant, settings, folder, followed="people", max_items=2_000)
