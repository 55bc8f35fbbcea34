"""Letting go of what a change feed holds at a source, when its connection is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from servicetsunami.operations.opened import with_source
from servicetsunami.operations.read_only import changing
from servicetsunami.records import Connection
from servicetsunami.sdk import ChangeFeed, Source, Stream, TsunamiError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App

_MOST_RUNS = 1000
_KEPT = (
    "The source may still keep its log for {tables}, because it could not be told to stop ({code}). Remove what holds "
    "it there, such as a replication slot, or its disk may fill."
)


@changing("nothing was let go of at the source")
async def release_feeds(app: App, connection: Connection) -> tuple[str, ...]:
    """Remove what holds the source's log for the connection's tables; returns what a person should know of it.

    The connection is deleted in any case, so a source that cannot be reached is told, not raised.
    """
    followed = await followed_streams(app, connection)
    if not followed:
        return ()
    tables = ", ".join(sorted(followed))
    try:
        await with_source(app, connection, lambda source: _release(source, followed))
    except TsunamiError as error:
        return (_KEPT.format(tables=tables, code=error.code),)
    return (f"The source was told to stop keeping its log for {tables}.",)


async def followed_streams(app: App, connection: Connection) -> set[str]:
    """Return the streams that were ever synced by their changes: even a run that failed may have left something."""
    cls = app.plugins.connectors.get(connection.connector)
    if cls is None or not issubclass(cls, ChangeFeed):
        return set()
    runs = await app.records.runs(connection.tenant, connection_id=connection.id, limit=_MOST_RUNS)
    return {run.stream for run in runs if run.mode == "changes" and run.stream}


def _release(source: Source[Any], followed: set[str]) -> None:
    if not isinstance(source, ChangeFeed):
        return
    known = {stream.id: stream for stream in source.streams()}
    for stream_id in sorted(followed):
        source.release([known.get(stream_id) or _named(stream_id)])


def _named(stream_id: str) -> Stream:
    """Return a stream that is gone at the source, by its id."""
    namespace, dot, name = stream_id.rpartition(".")
    return Stream(name, namespace=namespace if dot else None)
