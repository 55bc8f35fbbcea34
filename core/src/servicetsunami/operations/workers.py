"""The worker processes of an app: made when a source is first opened in one, ended with the app."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from servicetsunami.runtime import Redactor, Settings

if TYPE_CHECKING:
    from servicetsunami.sdk import Config, Source
    from servicetsunami.sync.workers import Spec, WorkerPool, WorkerWarehouse


class Workers:
    """Opens sources in worker processes; threads may share it."""

    def __init__(self, settings: Settings, redactor: Redactor) -> None:
        self._settings = settings
        self._redactor = redactor
        self._lock = threading.Lock()
        self._pool: WorkerPool | None = None
        self._former: list[WorkerPool] = []

    def open(self, spec: Spec, config: Config, cancel: threading.Event) -> Source[Any]:
        """Open a source in a worker; the caller closes it."""
        from servicetsunami.sync.workers import open_in_worker

        return open_in_worker(self._ready(), spec, config, cancel)

    def ask(self, spec: Spec, cancel: threading.Event) -> WorkerWarehouse:
        """Open a warehouse in a worker, to be queried; the caller closes it."""
        from servicetsunami.sync.workers import WorkerWarehouse

        return WorkerWarehouse(self._ready(), spec, cancel)

    def renew(self) -> None:
        """Start the next workers afresh, with what is installed now; those at work finish."""
        with self._lock:
            done = [pool for pool in self._former if pool.is_idle]
            self._former = [pool for pool in self._former if pool not in done]
            if self._pool is not None:
                self._former.append(self._pool)
                self._pool = None
        for pool in done:
            pool.close()

    def close(self) -> None:
        """End every worker."""
        with self._lock:
            for pool in [*self._former, *([self._pool] if self._pool is not None else [])]:
                pool.close()
            self._pool, self._former = None, []

    def _ready(self) -> WorkerPool:
        from servicetsunami.sync.workers import Limits, WorkerPool

        with self._lock:
            if self._pool is None:
                limits = Limits(self._settings.worker_memory_mb, self._settings.worker_silence_seconds)
                self._pool = WorkerPool(limits, self._redactor, sandbox=self._settings.sandbox)
            return self._pool
