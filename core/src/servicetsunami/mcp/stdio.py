"""Serving one client over standard input and output: nothing but the protocol goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.mcp.standard_input import until_signalled

if TYPE_CHECKING:
    from servicetsunami.mcp.host import Host
    from servicetsunami.operations.app import App


async def serve_stdio(app: App) -> None:
    """Serve until the client closes its end, or a signal asks to stop; whoever opened `app` parks its runs."""
    from mcp.server.stdio import stdio_server

    host = make_host(app)
    try:
        with until_signalled() as stdin:
            async with stdio_server(stdin=stdin) as (reading, writing):
                await host.run(reading, writing, host.create_initialization_options())
    except* BrokenPipeError:
        pass  # the client went away while an answer was on its way: the same as closing its end


def make_host(app: App) -> Host:
    """Return the server of the person whose machine this is."""
    from servicetsunami.mcp.fronting import product_host
    from servicetsunami.mcp.secret_page.doors import OnLoopback
    from servicetsunami.operations.app import local_caller

    caller = local_caller(app)
    return product_host(app, lambda _context: caller, OnLoopback(app, caller))
