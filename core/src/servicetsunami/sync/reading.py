"""Reading one split in a thread of its own, handing its items over through a bounded queue.

This is the seam behind which reads can move into worker processes: the engine knows messages only.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Full, Queue
from typing import Any, TypeAlias

import pyarrow as pa

from servicetsunami.sdk import (
    Changes,
    Checkpoint,
    Json,
    PermanentError,
    Read,
    Source,
    Stream,
    TsunamiError,
    Watermark,
)
from servicetsunami.sdk.rows import to_batches
from servicetsunami.sync.abilities import feed_of
from servicetsunami.sync.changed import change_batches
from servicetsunami.sync.crash import plugin_crashed

OpenSource: TypeAlias = Callable[[], Source[Any]]

log = logging.getLogger(__name__)
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Ended:
    """The read gave all its rows."""


@dataclass(frozen=True)
class Failed:
    """The read gave up; what came before it is not complete."""

    error: TsunamiError


@dataclass(frozen=True)
class FeedRead:
    """One request for the changes of a stream after `state`."""

    stream: Stream
    state: Json


Message: TypeAlias = "pa.RecordBatch | Checkpoint | Watermark | Ended | Failed"
Outbox: TypeAlias = "Queue[tuple[Reader, Message]]"


class Reader:
    """Reads one split into an outbox; the last message is `Ended` or `Failed`, whatever the plugin does."""

    def __init__(self, open_source: OpenSource, read: Read | FeedRead, outbox: Outbox) -> None:
        self._open_source = open_source
        self._read = read
        self._outbox = outbox
        self._stopped = threading.Event()
        self._source: Source[Any] | None = None
        self._thread = threading.Thread(target=self._run, name=f"read {read.stream.id}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the read to end; what it still puts into the outbox is to be ignored."""
        self._stopped.set()

    def join(self) -> None:
        """Wait until the plugin has closed; one that does not let go in time is ended, where it can be."""
        self._thread.join(timeout=_GRACE_SECONDS)
        abandon = getattr(self._source, "abandon", None)
        if self._thread.is_alive() and abandon is not None:
            abandon()
        self._thread.join(timeout=_GRACE_SECONDS)

    def _run(self) -> None:
        try:
            self._pump()
        except TsunamiError as error:
            self._put(Failed(error))
        except BaseException as error:  # a plugin may die of anything, and its thread must still say so
            log.debug("a read crashed", exc_info=True)
            self._put(Failed(plugin_crashed(error)))
        else:
            self._put(Ended())

    def _pump(self) -> None:
        source = self._source = self._open_source()
        try:
            items = _items(source, self._read)
            try:
                for message in self._messages(items):
                    if not self._put(message):
                        return
            finally:
                close_items(items)
        finally:
            source.close()

    def _messages(self, items: Iterator[Any]) -> Iterator[Message]:
        for item in items:
            if isinstance(item, Checkpoint | Watermark):
                yield item
            elif isinstance(item, Changes) != isinstance(self._read, FeedRead):
                raise PermanentError(
                    "the connector gave rows where changes were asked for, or changes for rows",
                    code="plugin_misbehaved",
                )
            elif isinstance(item, Changes):
                yield from change_batches(item, self._read.stream)
            else:
                yield from to_batches(item, self._read.stream.schema)

    def _put(self, message: Message) -> bool:
        while not self._stopped.is_set():
            try:
                self._outbox.put((self, message), timeout=_POLL_SECONDS)
            except Full:
                continue
            return True
        return False


def _items(source: Source[Any], read: Read | FeedRead) -> Iterator[Any]:
    if isinstance(read, Read):
        return source.read(read)
    return feed_of(source).changes([read.stream], read.state)


def close_items(items: object) -> None:
    """Close a generator; other iterators need nothing."""
    close = getattr(items, "close", None)
    if close is not None:
        close()
