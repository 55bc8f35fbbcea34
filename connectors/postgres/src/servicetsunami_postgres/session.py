"""One configured instance at work: its event loop, and what it does at the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import asyncpg
import pyarrow as pa

from servicetsunami.sdk import Address, Context, Item, QueryLimits, Read, Split, Stream, Watermark
from servicetsunami_postgres.background import Background
from servicetsunami_postgres.catalog import Column, Table, find_tables
from servicetsunami_postgres.checking import check_permission, check_reading
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.copying import Copy
from servicetsunami_postgres.failures import FAILURES, not_answered
from servicetsunami_postgres.feed import Feed
from servicetsunami_postgres.link import begin, connect, connected, dial, disconnect
from servicetsunami_postgres.parsing import Parser
from servicetsunami_postgres.querying import run_query
from servicetsunami_postgres.reading import begin_on, chosen_columns, find_table, select
from servicetsunami_postgres.resuming import replan_splits
from servicetsunami_postgres.splitting import plan_splits
from servicetsunami_postgres.watermark import decode_watermark, encode_watermark, settle

# The transaction whose snapshot the parts share waits, doing nothing, until they are read.
_WAITING = {"idle_in_transaction_session_timeout": "0"}

_Plan: TypeAlias = Callable[[asyncpg.Connection, Table], Awaitable[Sequence[Split]]]


@dataclass(frozen=True)
class _Prepared:
    connection: asyncpg.Connection
    columns: tuple[Column, ...]
    query: str
    watermark: Watermark | None


class Session:
    """Works for one instance of the connector."""

    def __init__(self, config: PostgresConfig, ctx: Context) -> None:
        self._config = config
        self._ctx = ctx
        self._background = Background(ctx.cancelled)
        self._dialled: Address | None = None
        self._planning: asyncpg.Connection | None = None

    def check(self) -> None:
        """Go through the steps; the error of the one that fails is raised."""
        self._background.run(self._check(self._address()))

    def streams(self) -> list[Stream]:
        """Describe every table the role may read."""
        return self._background.run(self._streams(self._address()))

    def read(self, read: Read) -> Iterator[Item]:
        """Yield how far the cursor is settled, then the batches; closing the generator cancels the query."""
        prepared = self._background.run(self._prepare(self._address(), read))
        try:
            if prepared.watermark is not None:
                yield prepared.watermark
            parser = Parser(prepared.columns)
            copy = Copy(self._background, prepared.connection, prepared.query, self._config)
            for chunk in copy.chunks(self._ctx):
                yield parser.parse(chunk)
        finally:
            self._background.finish(disconnect(prepared.connection))

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        """Plan parts of one snapshot, which is held until `close()`."""
        return self._background.run(self._planned_at(self._address(), read, partial(plan_splits, target=target)))

    def replan(self, read: Read, splits: Sequence[Split]) -> Sequence[Split]:
        """Make parts of an earlier moment parts of another one, which is held until `close()`."""
        return self._background.run(self._planned_at(self._address(), read, partial(replan_splits, splits=splits)))

    def query(self, sql: str, limits: QueryLimits) -> pa.RecordBatchReader:
        """Answer one guarded SELECT over a connection of its own."""
        return self._background.run(run_query(self._config, self._address(), sql, limits))

    @property
    def feed(self) -> Feed:
        """The change feed of this instance."""
        return Feed(self._background, self._config, self._ctx, self._address())

    def close(self) -> None:
        """Close what is open and end the event loop."""
        if self._planning is not None:
            self._background.finish(disconnect(self._planning))
        self._background.close()

    def _address(self) -> Address:
        # Resolved and permitted once: every connection of this instance goes to the same address.
        if self._dialled is None:
            self._dialled = dial(self._config, self._ctx)
        return self._dialled

    @asynccontextmanager
    async def _transaction(self, address: Address) -> AsyncIterator[asyncpg.Connection]:
        async with connected(self._config, address) as connection:
            await begin(connection, self._config)
            try:
                yield connection
            except FAILURES as error:
                raise not_answered(error, self._config) from error

    async def _check(self, address: Address) -> None:
        async with self._transaction(address) as connection:
            await check_reading(connection, self._config, await check_permission(connection, self._config))

    async def _streams(self, address: Address) -> list[Stream]:
        async with self._transaction(address) as connection:
            return [table.stream() for table in await find_tables(connection, self._config.schemas)]

    async def _planned_at(self, address: Address, read: Read, plan: _Plan) -> Sequence[Split]:
        """Hold a moment and plan its parts; the last moment that was held ends."""
        if self._planning is not None:
            await disconnect(self._planning)
        self._planning = await connect(self._config, address)
        try:
            watermark = encode_watermark(await settle(self._planning, self._config, read.stream))
            await begin_on(self._planning, self._config, read.stream, settings=_WAITING)
            parts = await plan(self._planning, await find_table(self._planning, read.stream))
        except FAILURES as error:
            raise not_answered(error, self._config) from error
        return tuple(replace(part, params={**part.params, **watermark}) for part in parts)

    async def _prepare(self, address: Address, read: Read) -> _Prepared:
        connection = await connect(self._config, address)
        try:
            return await self._planned(connection, read)
        except FAILURES as error:
            await disconnect(connection)
            raise not_answered(error, self._config) from error
        except BaseException:
            await disconnect(connection)
            raise

    async def _planned(self, connection: asyncpg.Connection, read: Read) -> _Prepared:
        params = read.split.params if read.split else {}
        if read.split is not None:
            watermark = decode_watermark(params)
        else:
            # What a preview leaves out is not settled.
            watermark = await settle(connection, self._config, read.stream) if read.limit is None else None
        await begin_on(connection, self._config, read.stream, snapshot=params.get("snapshot"))
        table = await find_table(connection, read.stream)
        columns = chosen_columns(table, read.columns)
        return _Prepared(connection, columns, select(table, columns, read), watermark)
