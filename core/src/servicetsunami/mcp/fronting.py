"""The product's host, kept up to date with the product for as long as it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from mcp.types import Icon

from servicetsunami import __version__
from servicetsunami.mcp.apps import Pages
from servicetsunami.mcp.catalog import catalog_of
from servicetsunami.mcp.changes import telling
from servicetsunami.mcp.host import Host
from servicetsunami.mcp.hotplug import hotplugging
from servicetsunami.mcp.instructions import instructions
from servicetsunami.mcp.product import Product
from servicetsunami.mcp.task_runs import RunTasks
from servicetsunami.mcp.tasks import Tasks

if TYPE_CHECKING:
    from servicetsunami.mcp.host import RequestStateSecurity, SubscriptionBus
    from servicetsunami.mcp.product import Who
    from servicetsunami.mcp.secret_page.doors import Beside, OnLoopback
    from servicetsunami.operations.app import App
    from servicetsunami.operations.events import Event

# A wave, in few bytes: it is sent with every handshake.
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%230b6e99' "
    "stroke-width='2.5' stroke-linecap='round'%3E%3Cpath d='M2 9c3-4 5-4 8 0s5 4 8 0 3-3 4-3M2 17c3-4 5-4 8 0s5 4 8 0 "
    "3-3 4-3'/%3E%3C/svg%3E"
)


def product_host(
    app: App,
    who: Who,
    door: Beside | OnLoopback | None = None,
    *,
    local: bool = True,
    told: str = "",
    bus: SubscriptionBus | None = None,
    request_state: RequestStateSecurity | None = None,
) -> Host:
    """Return a host of the product, whose pages are behind `door`; `local` if it serves the person at this machine.

    `told` is added to what every model is told of it.
    """
    catalog = catalog_of(app, local=local)
    product = Product(app, catalog, who, door)
    host = Host(
        product,
        version=__version__,
        instructions=f"{instructions(catalog)}{told}",
        bus=bus,
        request_state=request_state,
        extensions=[Tasks(RunTasks(app, product, who)), Pages()],
        icons=[Icon(src=_ICON, mime_type="image/svg+xml", sizes=["any"])],
        audience=lambda context: who(context).tenant,
    )

    def take(event: Event) -> None:
        if event.kind == "plugins":
            product.offer(catalog_of(app, local=local))
            host.instructions = f"{instructions(product.catalog)}{told}"

    host.when_ending(product.questions.end)
    host.run_beside(lambda: _up_to_date(app, host, take, door))
    return host


@asynccontextmanager
async def _up_to_date(
    app: App, host: Host, take: Callable[[Event], None], door: Beside | OnLoopback | None
) -> AsyncIterator[None]:
    end = app.events.listen(take)
    try:
        async with telling(app.events, host.bus), hotplugging(app), door.serving() if door else nullcontext():
            yield
    finally:
        end()
