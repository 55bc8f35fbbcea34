"""Serving over HTTP until a signal: readiness ends at once, open requests get their time, runs are parked."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import uvicorn

from servicetsunami.mcp.http.application import HttpServer
from servicetsunami.operations.scheduler import Scheduler
from servicetsunami.runtime.exposure import authenticates, endpoint_of
from servicetsunami.sdk import ConfigError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.runtime import Settings

log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE_SECONDS = 20.0
_LAST_PATIENCE_SECONDS = 2
_LONGEST_HEAD = 32 * 1024
_MOST_CONNECTIONS = 1_000
_KEEP_ALIVE_SECONDS = 30
_BACKLOG = 256


def listen(settings: Settings) -> socket.socket:
    """Return the socket to serve on; raises `ConfigError` (`address_unavailable`)."""
    host, port = settings.mcp_host, settings.mcp_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"the MCP server cannot listen on {host} port {port}",
            code="address_unavailable",
            why=error.strerror,
            field="mcp_port",
            fix="stop what listens there, or choose another port with MCP_PORT",
        ) from error


async def serve_http(app: App, sockets: Sequence[socket.socket]) -> None:
    """Serve until a signal asks to stop; a second one kills. Whoever opened `app` parks its runs."""
    if not authenticates(app.settings):
        log.warning(
            "%s serves whoever can reach this machine's loopback address, as tenant %s: set TSUNAMI_MCP_AUTH_ISSUER "
            "to know who calls",
            endpoint_of(app.settings),
            app.settings.tenant,
        )
    http = HttpServer(app)
    server = _Server(_configured(app, http))
    async with _beside(Scheduler(app).run):
        with _until_signalled() as stop:
            await _serve(http, server, stop, list(sockets))


async def _serve(http: HttpServer, server: _Server, stop: asyncio.Event, sockets: list[socket.socket]) -> None:
    serving = asyncio.create_task(server.serve(sockets))
    asked = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    await http.close(_PATIENCE_SECONDS)
    server.should_exit = True
    await serving


class _Server(uvicorn.Server):
    """Leaves signals to `_until_signalled`: uvicorn would send them to itself again at the end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _configured(app: App, http: HttpServer) -> uvicorn.Config:
    return uvicorn.Config(
        http.gate,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level=app.settings.log_level,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_LAST_PATIENCE_SECONDS,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
    )


@asynccontextmanager
async def _beside(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@contextmanager
def _until_signalled() -> Iterator[asyncio.Event]:
    """Yield an event that the first signal sets; after it, signals do what they do to any program."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def asked() -> None:
        stop.set()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in _SIGNALS:
        loop.add_signal_handler(number, asked)
    try:
        yield stop
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
