"""The tenant's warehouse, open for one piece of work beside the event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from servicetsunami.operations.threads import in_thread
from servicetsunami.sdk import Sink, Warehouse

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

LAYERS = ("bronze", "silver", "gold")
T = TypeVar("T")


async def with_warehouse(app: App, caller: Caller, work: Callable[[Sink[Any], Warehouse], T]) -> T:
    """Do a piece of work with the warehouse, as sink and as warehouse, and close it."""

    def run(cancel: threading.Event) -> T:
        sink, warehouse = app.open_warehouse(caller.tenant, cancel)
        try:
            return work(sink, warehouse)
        finally:
            sink.close()

    return await in_thread(run)
