"""The tenant's warehouse, open for one piece of work beside the event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, TypeVar

from servicetsunami.operations.threads import in_thread
from servicetsunami.sdk import QueryLimits, Sink, TableDetails, TableName, TableSummary, Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.sdk.sql import GuardedQuery
    from servicetsunami.sync.workers import WorkerWarehouse

LAYERS = ("bronze", "silver", "gold")
T = TypeVar("T")


async def with_warehouse(app: App, caller: Caller, work: Callable[[Sink[Any], Warehouse], T]) -> T:
    """Do a piece of work with the warehouse, as sink and as warehouse, and close it.

    What a model asks runs in a worker process, where it can use up no memory but its own.
    """

    def run(cancel: threading.Event) -> T:
        with ExitStack() as stack:
            sink, warehouse = app.open_warehouse(caller.tenant, cancel)
            stack.callback(sink.close)
            if not caller.by_model:
                return work(sink, warehouse)
            elsewhere = Elsewhere(sink, warehouse, lambda: app.ask_in_worker(caller.tenant, cancel))
            return work(sink, stack.enter_context(closing(elsewhere)))

    return await in_thread(run)


class Elsewhere(Warehouse):
    """Looks at tables here and runs queries in a worker, which is opened for the first.

    A warehouse that computes on another machine takes nothing of this one's, and is asked here.
    """

    def __init__(self, sink: Sink[Any], here: Warehouse, open_there: Callable[[], WorkerWarehouse]) -> None:
        self._sink = sink
        self._here = here
        self._open_there = open_there
        self._there: WorkerWarehouse | None = None

    def tables(self, layer: str | None = None) -> Sequence[TableSummary]:
        """List the tenant's tables."""
        return self._here.tables(layer)

    def describe(self, table: TableName) -> TableDetails:
        """Describe one table."""
        return self._here.describe(table)

    def query(self, query: GuardedQuery, limits: QueryLimits) -> pa.RecordBatchReader:
        """Run a guarded query; one that is not read to its end is ended by the next."""
        if not self._here.computes_here:
            return self._here.query(query, limits)
        if self._there is None:
            self._there = self._open_there()
        return self._there.query(query, self._sink.catalog(), LAYERS, limits)

    def close(self) -> None:
        """Give the worker back."""
        if self._there is not None:
            self._there.close()
