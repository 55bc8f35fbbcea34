"""Loading the parts of a stream: several are read at once, one thread stages and commits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, Queue

from servicetsunami.sdk import Cancelled, Checkpoint, Json, TransientError, TsunamiError, Watermark
from servicetsunami.sync.failpoints import reach
from servicetsunami.sync.part import PartWriter
from servicetsunami.sync.reading import Ended, Failed, Message, Outbox, Reader
from servicetsunami.sync.task import Task

_POLL_SECONDS = 0.2
_BATCHES_IN_FLIGHT = 2
_LONGEST_WAIT_SECONDS = 60.0
"""However long a source asks to wait: the table stays taken and the source's snapshot open meanwhile."""


class Loader:
    """Loads parts until all are committed; on any error nothing uncommitted stays."""

    def __init__(
        self,
        task: Task,
        final: Callable[[PartWriter], Json],
        *,
        commits: Callable[[PartWriter], bool] = lambda _: False,
    ) -> None:
        """Take `final`, the state of a part's last commit, and `commits`, if it is worth one without rows."""
        self._task = task
        self._job = task.job
        self._final = final
        self._commits = commits
        self._outbox: Outbox = Queue(self._job.parallel * _BATCHES_IN_FLIGHT)
        self._active: dict[Reader, PartWriter] = {}
        self._attempts: dict[PartWriter, int] = {}

    def load(self, parts: Sequence[PartWriter]) -> None:
        """Read and commit every part that is not."""
        waiting = deque(part for part in parts if not part.is_done)
        try:
            while waiting or self._active:
                while waiting and len(self._active) < self._job.parallel:
                    self._start(waiting.popleft())
                self._handle_next()
        finally:
            self._stop_all()

    def _start(self, part: PartWriter) -> None:
        self._attempts[part] = self._attempts.get(part, 0) + 1
        read = part.restart()
        if not part.is_done:
            self._active[Reader(self._task.open_source, read, self._outbox)] = part

    def _handle_next(self) -> None:
        self._task.stop_if_cancelled()
        try:
            reader, message = self._outbox.get(timeout=_POLL_SECONDS)
        except Empty:
            return
        part = self._active.get(reader)
        if part is None:
            return
        try:
            self._handle(reader, part, message)
        except TransientError as error:
            self._drop(reader)
            self._try_again(part, error)

    def _handle(self, reader: Reader, part: PartWriter, message: Message) -> None:
        if isinstance(message, Failed):
            raise message.error
        if isinstance(message, Ended):
            part.finish(self._final(part), always=self._commits(part))
            del self._active[reader]
        elif isinstance(message, Checkpoint):
            part.checkpoint(message.state)
        elif isinstance(message, Watermark):
            part.settle(message.value)
        else:
            part.stage(message)
            reach("after_first_batch")

    def _drop(self, reader: Reader) -> None:
        reader.stop()
        reader.join()
        del self._active[reader]

    def _try_again(self, part: PartWriter, error: TransientError) -> None:
        attempt = self._attempts[part]
        if attempt >= self._job.attempts:
            raise error
        wait = error.retry_after_seconds or self._job.backoff_seconds * 2 ** (attempt - 1)
        if self._task.cancel.wait(min(wait, _LONGEST_WAIT_SECONDS)):
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
