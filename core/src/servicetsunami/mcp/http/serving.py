"""Serving over HTTP until a signal: readiness ends at once, open requests get their time, runs are parked."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn

from servicetsunami.mcp.host import InMemorySubscriptionBus
from servicetsunami.mcp.http.application import HttpServer, make_host
from servicetsunami.mcp.http.bus import WorkersBus
from servicetsunami.mcp.http.limits import KEEP_ALIVE_SECONDS, LONGEST_HEAD, MOST_CONNECTIONS, PatientProtocol
from servicetsunami.mcp.http.workers import Crew
from servicetsunami.operations.app import open_app
from servicetsunami.operations.scheduler import Scheduler
from servicetsunami.runtime import Redactor, configure_logging, live_secrets
from servicetsunami.runtime.exposure import authenticates, endpoint_of, refuse_exposure
from servicetsunami.sdk import ConfigError

if TYPE_CHECKING:
    from servicetsunami.mcp.host import Host, SubscriptionBus
    from servicetsunami.mcp.http.workers import Worker
    from servicetsunami.operations.app import App
    from servicetsunami.runtime import LoadedSettings, Settings

MakeHost = Callable[["App", "SubscriptionBus"], Awaitable["Host"]]
log = logging.getLogger(__name__)
_PATIENCE_SECONDS = 20.0
_LAST_PATIENCE_SECONDS = 2
_BACKLOG = 256


def listen(settings: Settings) -> socket.socket:
    """Return the socket to serve on; raises `ConfigError` (`address_unavailable`)."""
    host, port = settings.mcp_host, settings.mcp_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"the MCP server cannot listen on {host} port {port}",
            code="address_unavailable",
            why=error.strerror,
            field="mcp_port",
            fix="stop what listens there, or choose another port with MCP_PORT",
        ) from error
    # What is accepted inherits it. asyncio sets it only on sockets that name their protocol; without it, the second
    # packet of an answer waits up to 40 ms for the client to acknowledge the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def serve(loaded: LoadedSettings, make: MakeHost = make_host) -> int:
    """Serve until a signal asks to stop, with as many processes as the settings want; return the exit code.

    Raises `ConfigError` for settings that would expose the server, and what `open_app` raises.
    """
    settings = loaded.settings
    refuse_exposure(settings)
    configure_logging(settings.log_level, settings.log_format, Redactor(live_secrets(settings)))
    listening = listen(settings)
    _say_who_is_served(settings)
    worker = None
    if settings.mcp_workers > 1:
        found = Crew(settings.mcp_workers).run()
        if isinstance(found, int):
            return found
        worker = found
    asyncio.run(_open_and_serve(loaded, make, listening, worker))
    return 0


async def _open_and_serve(
    loaded: LoadedSettings, make: MakeHost, listening: socket.socket, worker: Worker | None
) -> None:
    async with open_app(loaded) as app:
        configure_logging(app.settings.log_level, app.settings.log_format, app.redactor)
        async with _exchange(worker) as bus:
            http = HttpServer(app, await make(app, bus), worker)
            sockets = [listening] if worker is None else [listening, worker.requests]
            _keep_what_is_loaded()
            async with _schedules(app):
                with _until_signalled(worker) as stop:
                    await _serve(http, _Server(_configured(app, http)), stop, sockets)


def _keep_what_is_loaded() -> None:
    """Spare the collector what stays anyway: to look through all of it holds every request up for 100 ms."""
    gc.collect()
    gc.freeze()


def _say_who_is_served(settings: Settings) -> None:
    if not authenticates(settings):
        log.warning(
            "%s serves whoever can reach this machine's loopback address, as tenant %s: set TSUNAMI_MCP_AUTH_ISSUER "
            "to know who calls",
            endpoint_of(settings),
            settings.tenant,
        )


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
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level=app.settings.log_level,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_LAST_PATIENCE_SECONDS,
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )


@asynccontextmanager
async def _exchange(worker: Worker | None) -> AsyncIterator[SubscriptionBus]:
    """Yield the bus for changes: one that reaches the other workers, if there are any."""
    if worker is None:
        yield InMemorySubscriptionBus()
        return
    bus = WorkersBus(worker)
    async with bus.running():
        yield bus


@asynccontextmanager
async def _schedules(app: App) -> AsyncIterator[None]:
    """Start what is due while the block runs; of several processes, one does."""
    if app.settings.read_only:
        yield
        return
    task = asyncio.create_task(Scheduler(app).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@contextmanager
def _until_signalled(worker: Worker | None) -> Iterator[asyncio.Event]:
    """Yield an event that the first signal sets; after it, signals do what they do to any program."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM) if worker is None else (signal.SIGTERM,)

    def asked() -> None:
        stop.set()
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        if worker is not None:
            loop.remove_reader(worker.lifeline)

    for number in numbers:  # not by the loop, which takes none on Windows
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(asked))
    if worker is not None:
        loop.add_reader(worker.lifeline, asked)
    yield stop
