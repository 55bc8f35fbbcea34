"""What the host relies on in a feed's states: going on, acknowledging and releasing; part of `FeedContract`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from servicetsunami.sdk import TsunamiError
from servicetsunami.sdk.testing.changelog import FeedProbe, Log
from servicetsunami.sdk.testing.feedsuite import WITHOUT_END, FeedSuite
from servicetsunami.sdk.testing.probe import Caught


class StateChecks(FeedSuite):
    """The checks of positions, checkpoints, acknowledgements and releases."""

    def test_states_are_json(self, probe: FeedProbe) -> None:
        """The position and every checkpoint survive being stored."""
        with self._changed(probe) as start:
            states = [start, *(state for _, state in probe.follow(start, most=WITHOUT_END).checkpoints)]

        assert [state for state in states if not _survives_json(state)] == [], "a state must be a dict of plain JSON"

    def test_the_last_item_is_a_checkpoint(self, probe: FeedProbe) -> None:
        """Every change is covered by a checkpoint when the feed ends."""
        with self._changed(probe) as start:
            log = probe.sound(start)

        assert log.kinds[-1:] == ["Checkpoint"], "changes after the last checkpoint would come again for ever"

    def test_no_checkpoint_lies_within_a_transaction(self, probe: FeedProbe) -> None:
        """What was written together becomes visible together."""
        with self._begun(probe) as start:
            log, inner = self._large(probe, start)

        within = [covered for covered, _ in log.checkpoints if covered in inner]
        assert within == [], "there are checkpoints within a transaction, after so many changes"

    def test_a_large_transaction_comes_in_several_batches(self, probe: FeedProbe) -> None:
        """A transaction larger than memory can be read."""
        with self._begun(probe) as start:
            log, _ = self._large(probe, start)

        assert max(log.batches) < self.large, f"one batch holds a transaction of {self.large} rows"

    def test_the_same_state_gives_the_same_changes(self, probe: FeedProbe) -> None:
        """Reading does not consume: until they are acknowledged, changes come again."""
        with self._changed(probe) as start:
            first, second = probe.sound(start), probe.follow(start)

        assert second.texts() == first.texts(), "a second reading from the same state gives other changes"

    def test_resume_from_every_checkpoint_gives_the_rest(self, probe: FeedProbe) -> None:
        """A feed that goes on from a checkpoint gives the changes after it, each once."""
        with self._changed(probe) as start:
            log = probe.repeatable(start)
            for covered, state in log.checkpoints:
                if not _survives_json(state):
                    continue  # test_states_are_json tells
                rest = probe.follow(json.loads(json.dumps(state)))

                assert rest.texts() == log.texts(covered), f"going on after {covered} changes gives other ones"

    def test_a_late_commit_comes_after_the_checkpoint(self, probe: FeedProbe) -> None:
        """A transaction that was open when a checkpoint was given comes after it, however early it began."""
        key = self.fresh_key()
        with probe.started() as start:
            with self.open_insert(probe.settings, key):
                self._insert(probe, "overtaking")
                states = [state for _, state in probe.sound(start).checkpoints] or [start]
            rest = probe.follow(states[-1])

        assert rest.of(probe.key(key)), "a row whose transaction began before the checkpoint was passed over"

    def test_ack_keeps_what_is_later(self, probe: FeedProbe) -> None:
        """Acknowledging a state takes away nothing that came after it."""
        with self._changed(probe) as start:
            covered, state = _middle(probe.repeatable(start))
            self._insert(probe, "later")
            before = probe.repeatable(state)
            probe.ack(state)
            after = probe.follow(state)

        assert after.texts() == before.texts(), f"after the ack of {covered} changes the later ones are others"

    def test_ack_of_an_older_state_is_harmless(self, probe: FeedProbe) -> None:
        """Acknowledgements may come late, and twice."""
        with self._changed(probe) as start:
            states = [state for _, state in probe.repeatable(start).checkpoints]
            self._insert(probe, "after")
            probe.ack(states[-1])
            before = probe.repeatable(states[-1])
            with Caught() as caught:
                for state in (states[0], start, states[-1]):
                    probe.ack(state)
            after = probe.follow(states[-1])

        assert caught.error is None, f"an old ack raises {type(caught.error).__name__}"
        assert after.texts() == before.texts(), "after an old ack the later changes are others"

    def test_position_finds_what_a_first_one_left(self, probe: FeedProbe) -> None:
        """A position can be taken again by an instance that knows nothing of the first one."""
        with probe.started(), Caught() as caught:
            again = probe.position()
            self._insert(probe, "first")
            key = self._insert(probe, "after both")
            log = probe.sound(again)

        assert caught.error is None, f"a second position raises {type(caught.error).__name__}"
        assert log.of(probe.key(key)), "a change after the second position did not come"

    def test_an_interrupted_feed_can_be_followed_again(self, probe: FeedProbe) -> None:
        """A reading that is given up leaves the instance and the source usable."""
        with self._changed(probe) as start:
            whole = probe.repeatable(start)
            with Caught() as caught, probe.feed() as feed:
                probe.told(feed, start, most=1)
                same = probe.told(feed, start)
            other = probe.follow(start)

        assert caught.error is None, f"after a reading was given up the next raises {type(caught.error).__name__}"
        assert same.texts() == whole.texts(), "the instance gives other changes after a reading was given up"
        assert other.texts() == whole.texts(), "the source gives other changes after a reading was given up"

    def test_release_may_come_twice_or_alone(self, probe: FeedProbe) -> None:
        """Releasing what was released, or never made, does nothing."""
        stream = probe.stream()
        with Caught() as caught, probe.feed() as feed:
            feed.release([stream])
            feed.position([stream])
            feed.release([stream])
            feed.release([stream])

        assert caught.error is None, f"a release too many raises {type(caught.error).__name__}"

    def test_release_leaves_nothing(self, probe: FeedProbe) -> None:
        """A feed that was given up costs the source nothing any more, however often it was begun."""
        with self._changed(probe) as start:
            probe.follow(start, most=WITHOUT_END)
            with Caught():
                probe.position()

        assert not self.left_behind(probe.settings), "the source still holds what position made"

    def test_feeds_of_other_connections_are_left_alone(self, probe: FeedProbe) -> None:
        """Two connections to one source acknowledge and release only what is theirs."""
        other = replace(probe, connection="conn_other")
        with self._changed(probe) as start, Caught() as caught:
            before = probe.repeatable(start)
            with other.started() as state:
                for _, reached in other.sound(state).checkpoints[-1:]:
                    other.ack(reached)
            after = probe.follow(start)

        assert caught.error is None, f"with a second connection the first one gets {type(caught.error).__name__}"
        assert after.texts() == before.texts(), "a second connection took changes from the first one"

    def test_feeds_of_other_streams_are_left_alone(self, probe: FeedProbe) -> None:
        """Two streams of one connection are begun and released apart."""
        other = next((stream for stream in probe.streams() if stream.key and stream.id != probe.followed), None)
        if other is None:
            pytest.skip("the connector offers no other stream with a key")
        with self._changed(probe) as start, Caught() as caught:
            before = probe.repeatable(start)
            with probe.feed() as feed:
                feed.position([other])
                feed.release([other])
            after = probe.follow(start)

        assert caught.error is None, f"with a second stream the first one gets {type(caught.error).__name__}"
        assert after.texts() == before.texts(), "a second stream took changes from the first one"

    def test_a_released_log_is_never_an_empty_one(self, probe: FeedProbe) -> None:
        """A state whose log is gone is an error, or nothing is missing."""
        with probe.started() as start:
            probe.release()
            key = self._insert(probe, "unseen")
            with Caught() as caught:
                log = probe.follow(start, most=WITHOUT_END)

        assert caught.error is None or isinstance(caught.error, TsunamiError), f"untyped: {type(caught.error).__name__}"
        assert caught.error or log.of(probe.key(key)), "changes that the source no longer holds are passed over"

    def test_lag_is_a_number_or_unknown(self, probe: FeedProbe) -> None:
        """The lag is a number of bytes, also where nothing is held."""
        with self._changed(probe), probe.feed() as feed:
            lags = [feed.lag_bytes([probe.stream()])]
            feed.release([probe.stream()])
            lags.append(feed.lag_bytes([probe.stream()]))

        assert all(lag is None or (type(lag) is int and lag >= 0) for lag in lags), f"the lags are {lags}"


def _middle(log: Log) -> tuple[int, Any]:
    if not log.checkpoints:
        pytest.skip("the feed gives no checkpoint")
    return log.checkpoints[len(log.checkpoints) // 2]


def _survives_json(state: Any) -> bool:
    try:
        return isinstance(state, dict) and json.loads(json.dumps(state, allow_nan=False)) == state
    except (TypeError, ValueError):
        return False
