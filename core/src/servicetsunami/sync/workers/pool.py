"""Workers that wait for more work: a process is used again only for what could see the same secrets anyway."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Literal

from servicetsunami.runtime.redaction import Redactor
from servicetsunami.sync.workers.launching import Forking, Launcher, Spawning
from servicetsunami.sync.workers.limits import Limits
from servicetsunami.sync.workers.opening import Spec
from servicetsunami.sync.workers.output import Output
from servicetsunami.sync.workers.sandbox import Sandbox, find_bubblewrap, wrapper
from servicetsunami.sync.workers.worker import Worker

Start = Literal["fork", "spawn"]
_IDLE_SECONDS = 60.0
_MOST_IDLE = 8
_MOST_IDLE_OF_ONE = 2


@dataclass(frozen=True)
class _Idle:
    key: str
    worker: Worker
    since: float


class WorkerPool:
    """Hands out workers; threads may share it."""

    def __init__(
        self, limits: Limits, redactor: Redactor, *, start: Start | None = None, sandbox: Sandbox = "none"
    ) -> None:
        """`start` is by default `fork` where the system can do that safely, which is Linux, else `spawn`.

        In a sandbox every worker is started anew. Raises `ConfigError` where there is none to be had.
        """
        self.limits = limits
        self.redactor = redactor
        self._output = Output(redactor)
        self._launcher = _launcher(self._output, start or ("fork" if sys.platform == "linux" else "spawn"), sandbox)
        self._lock = threading.Lock()
        self._idle: list[_Idle] = []
        self._busy: set[Worker] = set()
        self._sweeper: threading.Timer | None = None
        self._closed = False

    def take(self, spec: Spec) -> Worker:
        """Return a worker that waits, or a new one; it has no open source."""
        key = _key(spec)
        with self._lock:
            found = next((idle for idle in reversed(self._idle) if idle.key == key), None)
            if found is not None:
                self._idle.remove(found)
                self._busy.add(found.worker)
                return found.worker
        worker = Worker(self._launcher.launch(spec.data_dir), self.limits, self.redactor)
        try:
            worker.await_start()
        except BaseException:
            worker.end()
            raise
        with self._lock:
            self._busy.add(worker)
        return worker

    def open(self, spec: Spec, cancel: threading.Event) -> Worker:
        """Return a worker in which the plugin is open; `cancel` ends its calls."""
        worker = self.take(spec)
        try:
            worker.open(spec, cancel)
        except BaseException:
            worker.end()
            self.give_back(spec, worker)
            raise
        return worker

    def give_back(self, spec: Spec, worker: Worker) -> None:
        """Take back a worker whose source is closed; beyond what is kept, those that waited longest are ended."""
        with self._lock:
            self._busy.discard(worker)
            if not worker.usable or self._closed:
                surplus = [worker]
            else:
                self._idle.append(_Idle(_key(spec), worker, time.monotonic()))
                self._sweep_later()
                surplus = self._surplus(self._idle[-1].key)
        for one in surplus:
            one.end()

    @property
    def is_idle(self) -> bool:
        """True while nobody uses a worker."""
        with self._lock:
            return not self._busy

    def close(self) -> None:
        """End every worker, and what they are started from."""
        with self._lock:
            self._closed = True
            busy, idle = [*self._busy], [*self._idle]
            self._idle.clear()
            if self._sweeper is not None:
                self._sweeper.cancel()
        for worker in busy:  # whoever uses it is told, and gives it back
            worker.abandon()
        for waiting in idle:
            waiting.worker.end()
        self._launcher.close()

    def _surplus(self, key: str) -> list[Worker]:
        """Take out the workers beyond what is kept of `key` and of all."""
        same = [idle for idle in self._idle if idle.key == key]
        surplus = same[:-_MOST_IDLE_OF_ONE]
        surplus += [idle for idle in self._idle if idle not in surplus][:-_MOST_IDLE]
        self._idle = [idle for idle in self._idle if idle not in surplus]
        return [idle.worker for idle in surplus]

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            self._sweeper = threading.Timer(_IDLE_SECONDS, self._sweep)
            self._sweeper.daemon = True
            self._sweeper.start()

    def _sweep(self) -> None:
        """End workers that have waited for long."""
        before = time.monotonic() - _IDLE_SECONDS
        with self._lock:
            self._sweeper = None
            old = [idle for idle in self._idle if idle.since <= before]
            self._idle = [idle for idle in self._idle if idle.since > before]
            if self._idle and not self._closed:
                self._sweep_later()
        for idle in old:
            idle.worker.end()


def _launcher(output: Output, start: Start, sandbox: Sandbox) -> Launcher:
    if sandbox == "bubblewrap":
        return Spawning(output, partial(wrapper, find_bubblewrap()))
    return Forking(output) if start == "fork" else Spawning(output)


def _key(spec: Spec) -> str:
    told = json.dumps(spec.encode(0, 0), sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()
