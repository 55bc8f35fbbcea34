"""The messages of a log, collected into batches, with a checkpoint after whole transactions only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from servicetsunami.sdk import Changes, Checkpoint, Item
from servicetsunami_postgres.changing import Asks, Followed, Row, change_batch, rows_of
from servicetsunami_postgres.pgoutput import Begin, Change, Commit, Message, Relation, Truncate

BATCH_ROWS = 4_000
BATCH_BYTES = 4 * 1024 * 1024
_CHECKPOINT_SHARE = 2
"""A transaction that fills less than this part of a batch shares its batch, and its checkpoint, with the next."""


class Collector:
    """Collects the changes behind `reached`.

    `describe` tells how the rows of a relation land, None for one that nobody follows; `checkpoint` writes a state.
    """

    def __init__(
        self,
        reached: int,
        *,
        describe: Callable[[Relation], Followed | None],
        asks: Asks,
        checkpoint: Callable[[int], Checkpoint],
    ) -> None:
        self.reached = reached
        self._describe = describe
        self._asks = asks
        self._checkpoint = checkpoint
        self._skips = False
        self._relations: dict[int, Relation] = {}
        self._followed: dict[int, Followed | None] = {}
        self._current: Followed | None = None
        self._rows: list[Row] = []
        self._size = 0
        self._is_covered = True

    def take(self, message: Message) -> Iterator[Item]:
        """Take a message in and yield what is full."""
        if isinstance(message, Change | Truncate):
            if not self._skips:
                yield from self._add(message)
        elif isinstance(message, Commit):
            yield from self._end(message)
        elif isinstance(message, Begin):
            # The log is read by whole transactions: one whose commit lies behind the mark was never told.
            self._skips = message.lsn < self.reached
        elif self._relations.get(message.oid) != message:
            self._relations[message.oid] = message
            self._followed.pop(message.oid, None)

    def finish(self, upto: int) -> Iterator[Item]:
        """Yield what is left and a checkpoint: the log was read up to `upto`, or to the end of its last transaction."""
        yield from self._flush()
        self.reached = max(self.reached, upto)
        yield self._checkpoint(self.reached)

    def _add(self, message: Change | Truncate) -> Iterator[Item]:
        oids = message.relations if isinstance(message, Truncate) else (message.relation,)
        for oid in oids:
            followed = self._known(oid)
            if followed is None:
                continue
            if followed is not self._current:
                yield from self._flush()
                self._current = followed
            self._is_covered = False
            if isinstance(message, Truncate):
                self._rows.append(Row("t", ()))
            else:
                self._rows += rows_of(message, followed)
                self._size += message.size
            if self._fills(1):
                yield from self._flush()

    def _end(self, message: Commit) -> Iterator[Item]:
        if self._skips:
            return
        # Only what is behind it is skipped from now on; the server tells transactions in the order of their commits.
        self.reached = message.end_lsn
        if not self._is_covered and (not self._rows or self._fills(_CHECKPOINT_SHARE)):
            yield from self._flush()
            yield self._checkpoint(self.reached)
            self._is_covered = True

    def _fills(self, share: int) -> bool:
        return len(self._rows) * share >= BATCH_ROWS or self._size * share >= BATCH_BYTES

    def _flush(self) -> Iterator[Item]:
        if self._rows and self._current is not None:
            yield Changes(self._current.stream, change_batch(self._current, self._rows, self._asks))
        self._rows, self._size = [], 0

    def _known(self, oid: int) -> Followed | None:
        if oid not in self._followed:
            self._followed[oid] = self._describe(self._relations[oid])
        return self._followed[oid]
