"""Serves the fixtures over HTTP, on loopback, by the host that serves the product."""

from __future__ import annotations

import socket

import uvicorn
from mcp.types import EmptyResult, SetLevelRequestParams

from servicetsunami import __version__
from servicetsunami.mcp.conformance import tasks
from servicetsunami.mcp.conformance.events import Events
from servicetsunami.mcp.conformance.surface import Fixtures
from servicetsunami.mcp.host import Host, InMemorySubscriptionBus
from servicetsunami.mcp.surface import RequestContext
from servicetsunami.mcp.task_jobs import Jobs
from servicetsunami.mcp.tasks import Tasks
from servicetsunami.sdk import ConfigError

_LOOPBACK = "127.0.0.1"
_COME_BACK_AFTER_MS = 100
_INSTRUCTIONS = "These are fixtures for the official MCP conformance suite, not the product."


def conformance_host() -> Host:
    """Return a host of the fixtures."""
    bus = InMemorySubscriptionBus()
    jobs = Jobs(tasks.NAMES, lambda _context: "anybody")
    extension = Tasks(jobs, required=tasks.REQUIRED)
    host = Host(Fixtures(bus), version=__version__, instructions=_INSTRUCTIONS, bus=bus, extensions=[extension])
    host.add_request_handler("logging/setLevel", SetLevelRequestParams, _set_level)
    return host


def listen_on_loopback(port: int) -> socket.socket:
    """Return the socket to serve on; port 0 takes any. Raises `ConfigError` (`address_unavailable`)."""
    try:
        return socket.create_server((_LOOPBACK, port))
    except OSError as error:
        raise ConfigError(
            f"the conformance fixtures cannot be served on port {port}",
            code="address_unavailable",
            why=error.strerror,
            fix="stop what listens there, or choose another port with --port",
        ) from error


async def serve_conformance(listening: socket.socket) -> None:
    """Serve until a signal."""
    application = conformance_host().streamable_http_app(event_store=Events(), retry_interval=_COME_BACK_AFTER_MS)
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, access_log=False))
    await server.serve([listening])


async def _set_level(_context: RequestContext, _params: SetLevelRequestParams) -> EmptyResult:
    # The fixtures log at one level only.
    return EmptyResult()
