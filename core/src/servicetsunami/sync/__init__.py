"""Move batches from a source to a sink: all or nothing for readers, exact after a crash, bounded in memory.

The engine brings pyarrow, so it is imported from `servicetsunami.sync.engine` when rows are about to flow.
"""

from servicetsunami.sync.job import Progress, SyncJob, SyncMode, SyncOutcome

__all__ = ["Progress", "SyncJob", "SyncMode", "SyncOutcome"]
