"""The change feed of one instance: begun, followed to the log's present end, acknowledged, given up.

The log is read with the SQL functions of logical decoding, over the ordinary connection: it passes through the same
TLS, proxies and rights as every read, needs no second protocol, and reading consumes nothing before it is acknowledged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from servicetsunami.sdk import Address, Context, Item, Json, Stream
from servicetsunami_postgres.background import Background
from servicetsunami_postgres.catalog import Table
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.failures import FAILURES
from servicetsunami_postgres.feedfailures import feed_failed, lost
from servicetsunami_postgres.following import Following
from servicetsunami_postgres.link import begin, connected
from servicetsunami_postgres.publications import (
    check_followable,
    check_server,
    drop_publication,
    make_publication,
    publishes,
)
from servicetsunami_postgres.reading import find_table
from servicetsunami_postgres.slots import (
    advance_slot,
    create_slot,
    drop_slot,
    feed_name,
    find_slot,
    free_slot,
    holding,
    settled_end,
    state_of,
)


class Feed:
    """Follows the log for one instance of the connector."""

    def __init__(self, background: Background, config: PostgresConfig, ctx: Context, address: Address) -> None:
        self._background = background
        self._config = config
        self._ctx = ctx
        self._address = address

    def position(self, streams: Sequence[Stream]) -> Json:
        """Make publication and slot anew and return where the slot holds the log from."""
        return self._background.run(self._position(streams))

    def changes(self, streams: Sequence[Stream], state: Json) -> Iterator[Item]:
        """Yield the changes behind `state` up to the log's end at the time of the call."""
        tables, end = self._background.run(self._begin(streams, state))
        following = Following(
            self._background, self._config, self._ctx, address=self._address, tables=tables, state=state
        )
        yield from following.items(end)

    def ack(self, state: Json) -> None:
        """Let the server forget the log before `state`."""
        self._background.run(self._ack(state))

    def release(self, streams: Sequence[Stream]) -> None:
        """Drop slot and publication, where they are there."""
        self._background.run(self._release(feed_name(self._ctx.connection, streams)))

    def lag_bytes(self, streams: Sequence[Stream]) -> int | None:
        """Return how much log the server keeps for the slot; None without one."""
        return self._background.run(self._lag(feed_name(self._ctx.connection, streams)))

    @asynccontextmanager
    async def _connected(self, slot: str) -> AsyncIterator[asyncpg.Connection]:
        async with connected(self._config, self._address) as connection:
            try:
                yield connection
            except FAILURES as error:
                raise feed_failed(error, self._config, slot) from error

    async def _position(self, streams: Sequence[Stream]) -> Json:
        name = feed_name(self._ctx.connection, streams)
        async with self._connected(name) as connection:
            await check_server(connection)
            tables = await self._tables(connection, streams)
            for table, stream in zip(tables, streams, strict=True):
                await check_followable(connection, table, stream.key or table.key)
            await make_publication(connection, name, tables, self._config)
            try:
                return state_of(name, await create_slot(connection, name, self._config))
            except BaseException:
                # A publication without a slot costs little, but it is ours, and nobody else would remove it.
                await drop_publication(connection, name)
                raise

    async def _begin(self, streams: Sequence[Stream], state: Json) -> tuple[dict[int, tuple[Stream, Table]], int]:
        async with self._connected(state["slot"]) as connection:
            await check_server(connection)
            await holding(connection, state, self._config)
            tables = await self._tables(connection, streams)
            if not await publishes(connection, state["publication"], tables):
                raise lost(f"the publication {state['publication']} does not hold the table any more")
            await free_slot(connection, state["slot"])
            followed = {table.oid: (stream, table) for table, stream in zip(tables, streams, strict=True)}
            return followed, await settled_end(connection)

    async def _tables(self, connection: asyncpg.Connection, streams: Sequence[Stream]) -> list[Table]:
        await begin(connection, self._config)
        tables = [await find_table(connection, stream) for stream in streams]
        await connection.execute("COMMIT")
        return tables

    async def _ack(self, state: Json) -> None:
        async with self._connected(state["slot"]) as connection:
            await advance_slot(connection, state, self._config)

    async def _release(self, name: str) -> None:
        async with self._connected(name) as connection:
            await drop_slot(connection, name)
            await drop_publication(connection, name)

    async def _lag(self, name: str) -> int | None:
        async with self._connected(name) as connection:
            slot = await find_slot(connection, name)
            return slot.lag_bytes if slot else None
