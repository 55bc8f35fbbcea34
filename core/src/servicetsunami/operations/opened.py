"""Working with the source of a connection, opened for the time of one piece of work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from servicetsunami.operations.secrets import dialling_secrets
from servicetsunami.operations.threads import in_thread
from servicetsunami.records import Connection
from servicetsunami.sdk import Source

if TYPE_CHECKING:
    from servicetsunami.operations.app import App

T = TypeVar("T")


async def with_source(app: App, connection: Connection, work: Callable[[Source[Any]], T]) -> T:
    """Run `work(source)` in a thread with an open source of the connection."""
    secrets = await dialling_secrets(app, connection)

    def run(cancel: threading.Event) -> T:
        with _opened(app, connection, secrets, cancel) as source:
            return work(source)

    return await in_thread(run)


@contextmanager
def _opened(
    app: App, connection: Connection, secrets: Mapping[str, str], cancel: threading.Event
) -> Iterator[Source[Any]]:
    source = app.open_source(connection, secrets, cancel)
    try:
        yield source
    finally:
        source.close()
