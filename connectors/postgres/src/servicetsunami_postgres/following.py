"""One reading of the log: window after window, each decoded by the server and streamed from there."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import asyncpg

from servicetsunami.sdk import Address, Checkpoint, Context, Item, Json, Stream, TsunamiError
from servicetsunami_postgres.background import Background
from servicetsunami_postgres.catalog import Column, Table
from servicetsunami_postgres.changing import Followed, Row
from servicetsunami_postgres.collecting import Collector
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.copying import Copy
from servicetsunami_postgres.failures import FAILURES
from servicetsunami_postgres.feedfailures import feed_failed
from servicetsunami_postgres.link import begin, connect, disconnect, quote_literal
from servicetsunami_postgres.pgoutput import Cell, Relation, messages
from servicetsunami_postgres.relations import follow, look_up, render
from servicetsunami_postgres.slots import lsn, lsn_text

WINDOW_BYTES = 256 * 1024 * 1024
"""Log decoded at once. It is decoded again with each next window until it is acknowledged, so windows double."""

BEAT_SECONDS = 20.0
"""While the server decodes and says nothing, a checkpoint that is no news comes so often."""

# The server says nothing until it has decoded a window.
_DECODING_SECONDS = 3600.0
_PEEK = "pg_catalog.pg_logical_slot_peek_binary_changes"
ResultT = TypeVar("ResultT")


class Following:
    """Reads the log behind `state` once."""

    def __init__(
        self,
        background: Background,
        config: PostgresConfig,
        ctx: Context,
        *,
        address: Address,
        tables: Mapping[int, tuple[Stream, Table]],
        state: Json,
    ) -> None:
        self._background = background
        self._config = config
        self._ctx = ctx
        self._address = address
        self._tables = tables
        self._state = state
        self._asking: asyncpg.Connection | None = None

    def items(self, end: int) -> Iterator[Item]:
        """Yield changes and checkpoints up to `end`, or up to the last record on the server's disk where it is 0."""
        collector = Collector(lsn(self._state["lsn"]), describe=self._describe, asks=self, checkpoint=self._checkpoint)
        window = WINDOW_BYTES
        try:
            while end and end - collector.reached > window:
                yield from self._window(collector, collector.reached + window)
                window *= 2
            if end and end <= collector.reached:
                yield from collector.finish(end)
            else:
                yield from self._window(collector, end)
        finally:
            if self._asking is not None:
                self._background.finish(disconnect(self._asking))

    def render(self, followed: Followed, column: Column, texts: Sequence[str | None]) -> list[str | None]:
        """Have the server print texts of the log as a read gives them."""
        return self._run(render(self._helper(), self._config, column, followed.casts[column.name], texts))

    def look_up(self, followed: Followed, rows: Sequence[Row], columns: Sequence[Column]) -> list[Sequence[str | None]]:
        """Return what the rows have in these columns now."""
        keys = [[_key_text(row.cells[number]) for number in followed.key] for row in rows]
        return self._run(look_up(self._helper(), self._config, followed, keys=keys, columns=columns))

    def _window(self, collector: Collector, upto: int) -> Iterator[Item]:
        connection = self._run(connect(self._config, self._address))
        try:
            self._run(begin(connection, self._config))
            copy = Copy(
                self._background,
                connection,
                self._query(upto),
                self._config,
                layout="binary",
                first_seconds=max(_DECODING_SECONDS, self._config.stall_timeout_seconds),
                beat_seconds=BEAT_SECONDS,
                explain=self._explain,
            )
            for chunk in copy.chunks(self._ctx):
                if not chunk:
                    # The host would take us for dead: nothing is new, and everything before it was told.
                    yield self._checkpoint(collector.reached)
                for message in messages(chunk):
                    yield from collector.take(message)
        finally:
            self._background.finish(disconnect(connection))
        yield from collector.finish(upto)

    def _query(self, upto: int) -> str:
        limit = quote_literal(lsn_text(upto)) if upto else "NULL"
        options = f"'proto_version', '1', 'publication_names', {quote_literal(self._state['publication'])}"
        arguments = f"{quote_literal(self._state['slot'])}, {limit}, NULL, {options}"
        return " ".join(("SELECT data FROM", f"{_PEEK}({arguments})"))

    def _checkpoint(self, reached: int) -> Checkpoint:
        return Checkpoint({**self._state, "lsn": lsn_text(reached)})

    def _describe(self, relation: Relation) -> Followed | None:
        if relation.oid not in self._tables:
            return None
        stream, table = self._tables[relation.oid]
        return self._run(follow(self._helper(), self._config, stream, table=table, relation=relation))

    def _helper(self) -> asyncpg.Connection:
        # The connection that the log comes through is busy with it.
        if self._asking is None:
            self._asking = self._run(connect(self._config, self._address))
        return self._asking

    def _run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        try:
            return self._background.run(work)
        except FAILURES as error:
            raise self._explain(error, self._config) from error

    def _explain(self, error: BaseException, config: PostgresConfig) -> TsunamiError:
        return feed_failed(error, config, self._state["slot"])


def _key_text(cell: Cell) -> str | None:
    return cell.decode(errors="replace") if isinstance(cell, bytes) else None
