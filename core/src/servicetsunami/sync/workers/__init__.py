"""Worker processes: every connector that a sync uses runs in one, so that none can hang, crash or corrupt the host."""

from servicetsunami.sync.workers.limits import Limits
from servicetsunami.sync.workers.opening import Spec
from servicetsunami.sync.workers.pool import WorkerPool
from servicetsunami.sync.workers.source import WorkerSource, open_in_worker
from servicetsunami.sync.workers.warehouse import WorkerWarehouse

__all__ = ["Limits", "Spec", "WorkerPool", "WorkerSource", "WorkerWarehouse", "open_in_worker"]
