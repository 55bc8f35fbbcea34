"""Loading the parts of a stream: several are read at once, one thread stages and commits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, Queue

from servicetsunami.sdk import Cancelled, Checkpoint, Json, TsunamiError, Watermark
from servicetsunami.sync.job import SyncJob
from servicetsunami.sync.part import PartWriter
from servicetsunami.sync.reading import Ended, Failed, Message, OpenSource, Outbox, Reader

_POLL_SECONDS = 0.2
_BATCHES_IN_FLIGHT = 2
_LONGEST_WAIT_SECONDS = 60.0
"""However long a source asks to wait: the table stays taken and the source's snapshot open meanwhile."""


class Loader:
    """Loads parts until all are committed; on any error nothing uncommitted stays."""

    def __init__(self, job: SyncJob, open_source: OpenSource, cancel: threading.Event) -> None:
        self._job = job
        self._open_source = open_source
        self._cancel = cancel
        self._outbox: Outbox = Queue(job.parallel * _BATCHES_IN_FLIGHT)
        self._active: dict[Reader, PartWriter] = {}
        self._attempts: dict[PartWriter, int] = {}

    def load(self, parts: Sequence[PartWriter], final_state: Json) -> None:
        """Read and commit every part; `final_state` is added to the state of each part's last commit."""
        waiting = deque(parts)
        try:
            while waiting or self._active:
                while waiting and len(self._active) < self._job.parallel:
                    self._start(waiting.popleft())
                self._handle_next(final_state)
        finally:
            self._stop_all()

    def _start(self, part: PartWriter) -> None:
        self._attempts[part] = self._attempts.get(part, 0) + 1
        reader = Reader(self._open_source, part.restart(), self._outbox)
        self._active[reader] = part

    def _handle_next(self, final_state: Json) -> None:
        if self._cancel.is_set():
            raise Cancelled("the sync was cancelled; nothing of it is visible")
        try:
            reader, message = self._outbox.get(timeout=_POLL_SECONDS)
        except Empty:
            return
        part = self._active.get(reader)
        if part is not None:
            self._handle(reader, part, message, final_state)

    def _handle(self, reader: Reader, part: PartWriter, message: Message, final_state: Json) -> None:
        if isinstance(message, Failed):
            del self._active[reader]
            self._try_again(part, message.error)
        elif isinstance(message, Ended):
            del self._active[reader]
            part.finish(final_state)
        elif isinstance(message, Checkpoint):
            part.checkpoint(message.state)
        elif not isinstance(message, Watermark):
            part.stage(message)

    def _try_again(self, part: PartWriter, error: TsunamiError) -> None:
        attempt = self._attempts[part]
        if not error.retryable or attempt >= self._job.attempts:
            raise error
        wait = error.retry_after_seconds or self._job.backoff_seconds * 2 ** (attempt - 1)
        if self._cancel.wait(min(wait, _LONGEST_WAIT_SECONDS)):
            raise Cancelled("the sync was cancelled while it waited to try again; nothing of it is visible")
        self._start(part)

    def _stop_all(self) -> None:
        for reader in self._active:
            reader.stop()
        for reader in self._active:
            reader.join()
        for part in self._attempts:
            with suppress(TsunamiError):  # the error that ends the load is the one to tell
                part.abort()
        self._active.clear()
