"""One configured instance at work: its event loop, and what it does at the server."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg

from servicetsunami.sdk import Address, Context, Item, Read, Stream
from servicetsunami_postgres.background import Background
from servicetsunami_postgres.catalog import Column, find_tables
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.copying import Copy
from servicetsunami_postgres.link import begin, connect, connected, dial, disconnect
from servicetsunami_postgres.parsing import Parser
from servicetsunami_postgres.reading import chosen_columns, find_table, select


class Session:
    """Works for one instance of the connector."""

    def __init__(self, config: PostgresConfig, ctx: Context) -> None:
        self._config = config
        self._ctx = ctx
        self._background = Background()
        self._dialled: Address | None = None

    def streams(self) -> list[Stream]:
        """Describe every table the role may read."""
        return self._background.run(self._streams(self._address()))

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the batches of one read; closing the generator cancels the query at the server."""
        connection, columns, query = self._background.run(self._prepare(self._address(), read))
        try:
            parser = Parser(columns)
            for chunk in Copy(self._background, connection, query, self._config.stall_timeout_seconds).chunks(
                self._ctx
            ):
                yield parser.parse(chunk)
        finally:
            self._background.run(disconnect(connection))

    def close(self) -> None:
        """End the event loop."""
        self._background.close()

    def _address(self) -> Address:
        # Resolved and permitted once: every connection of this instance goes to the same address.
        if self._dialled is None:
            self._dialled = dial(self._config, self._ctx)
        return self._dialled

    async def _streams(self, address: Address) -> list[Stream]:
        async with connected(self._config, address) as connection:
            await begin(connection, self._config)
            return [table.stream() for table in await find_tables(connection, self._config.schemas)]

    async def _prepare(self, address: Address, read: Read) -> tuple[asyncpg.Connection, tuple[Column, ...], str]:
        connection = await connect(self._config, address)
        try:
            snapshot = read.split.params.get("snapshot") if read.split else None
            await begin(connection, self._config, snapshot=snapshot)
            table = await find_table(connection, read.stream)
            columns = chosen_columns(table, read.columns)
            return connection, columns, select(table, columns, read)
        except BaseException:
            await disconnect(connection)
            raise
