"""`tsunami demo`: the whole story, offline, told by a real MCP client with a real PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servicetsunami.cli.demo.shop import Place, opened_shop, place_of
from servicetsunami.cli.demo.story import tell
from servicetsunami.cli.demo.telling import Teller
from servicetsunami.cli.screen import Screen
from servicetsunami.cli.throwaway_postgres import throwaway_postgres
from servicetsunami.plugins import discover


def run_demo(*, keep: bool, postgres_url: str | None, screen: Screen | None = None) -> None:
    """Play the story and leave nothing behind, unless `keep`; raises the SDK's errors."""
    plugins = discover()
    plugins.connector("postgres")
    plugins.sink("lakehouse")
    # All of the story is what was asked for, so all of it is data.
    teller = Teller(screen or Screen(sys.stdout, sys.stdout))
    with _terminated_like_interrupted(), _home(keep=keep) as home, _server(postgres_url, teller) as server:
        asyncio.run(_play(server, home, teller))
    teller.farewell(home if keep else None)


async def _play(server: Place, home: Path, teller: Teller) -> None:
    async with opened_shop(server) as shop:
        await tell(shop, home, teller)


@contextmanager
def _server(url: str | None, teller: Teller) -> Iterator[Place]:
    if url is not None:
        yield place_of(url)
        return
    teller.talk("Starting a throw-away PostgreSQL with a small shop in it ...")
    with throwaway_postgres() as server:
        yield Place(server.host, server.port, server.user, server.database, server.password, "disable")


@contextmanager
def _home(*, keep: bool) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="tsunami-demo-"))
    try:
        yield home
    finally:
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM, or the terminal's end, stop the demo like Ctrl-C: its PostgreSQL and its files go with it."""

    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    handlers: dict[int, Any] = {
        # asyncio turns SIGINT into a cancellation only where Python's own handler is in place.
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: interrupt,
    }
    if sys.platform != "win32":
        handlers[signal.SIGHUP] = interrupt
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
