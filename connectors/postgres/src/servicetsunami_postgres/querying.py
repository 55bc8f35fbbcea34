"""One guarded SELECT at the source: read-only, over the extended protocol, bounded, on a connection thrown away after.

Every cell leaves the server as the text that COPY would print, so that a query and a sync agree on each value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import pyarrow as pa

from servicetsunami.sdk import Address, ConfigError, PermanentError, QueryLimits
from servicetsunami.sdk.sql import guard_postgres, quote_identifier
from servicetsunami_postgres.answers import answer_column, distinct
from servicetsunami_postgres.catalog import find_types, resolve
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.failures import FAILURES
from servicetsunami_postgres.link import begin, connected
from servicetsunami_postgres.mistakes import query_failed
from servicetsunami_postgres.types import SourceType, landing

TRUNCATED = "truncated"
"""Key in the schema's metadata: `true` where the size limit ended the answer before its last row."""

_FETCHED_ROWS = 100
_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class _Answer:
    names: Sequence[str]
    types: Sequence[SourceType]
    rows: Sequence[asyncpg.Record]
    truncated: bool


async def run_query(config: PostgresConfig, address: Address, sql: str, limits: QueryLimits) -> pa.RecordBatchReader:
    """Run `sql` if the guard lets it through; raises `ConfigError` for a statement that is at fault."""
    guarded = guard_postgres(sql, schemas=config.schemas)
    async with connected(config, address) as connection:
        try:
            async with asyncio.timeout(limits.timeout_seconds + _GRACE_SECONDS):
                await begin(connection, config, search_path=_search_path(config), settings=_bounds(config, limits))
                answer = await _ask(connection, guarded, limits)
        except FAILURES as error:
            raise await query_failed(error, connection, config) from error
    return _reader(answer)


def _search_path(config: PostgresConfig) -> str | None:
    """Find unqualified tables in the schemas of the settings; in those of the role where there are none."""
    return ", ".join(quote_identifier(name, "postgres") for name in config.schemas) or None


def _bounds(config: PostgresConfig, limits: QueryLimits) -> dict[str, str]:
    seconds = min(limits.timeout_seconds, config.statement_timeout_seconds or limits.timeout_seconds)
    bound = f"{max(1, int(seconds * 1000))}ms"
    return {"statement_timeout": bound, "lock_timeout": "5s", "idle_in_transaction_session_timeout": "60s"}


async def _ask(connection: asyncpg.Connection, guarded: str, limits: QueryLimits) -> _Answer:
    attributes = (await connection.prepare(guarded)).get_attributes()
    if not attributes:
        raise ConfigError(
            "the statement gives no columns", code="sql_invalid", field="sql", fix="name what to select: SELECT *"
        )
    known = await find_types(connection, {attribute.type.oid for attribute in attributes})
    types = [resolve(known, attribute.type.oid, -1) for attribute in attributes]
    rows, truncated = await _fetch(connection, _as_texts(guarded, types, limits), limits)
    return _Answer(distinct([attribute.name for attribute in attributes]), types, rows, truncated)


def _as_texts(guarded: str, types: Sequence[SourceType], limits: QueryLimits) -> str:
    """Wrap the statement so that each cell is text, and none is much longer than the whole answer may be."""
    names = [f"c{number}" for number in range(len(types))]
    cells = [
        f"CASE WHEN {name} IS NULL THEN NULL ELSE pg_catalog.left(pg_catalog.format('%s', "
        f"{landing(kind).select(name)}), {limits.size_bytes + 1}) END"
        for name, kind in zip(names, types, strict=True)
    ]
    source = f"({guarded}) AS answer({', '.join(names)})"
    return " ".join(("SELECT", ", ".join(cells), "FROM", source, "LIMIT", str(limits.rows)))


async def _fetch(connection: asyncpg.Connection, query: str, limits: QueryLimits) -> tuple[list[asyncpg.Record], bool]:
    cursor = await connection.cursor(query)
    rows: list[asyncpg.Record] = []
    size = 0
    # A page is small where rows may be large: it is in memory before it is measured.
    page = max(1, min(_FETCHED_ROWS, limits.rows))
    while fetched := await cursor.fetch(page):
        for row in fetched:
            size += sum(len(cell.encode()) for cell in row if cell is not None)
            if size > limits.size_bytes:
                return _not_empty(rows, limits), True
            rows.append(row)
    return rows, False


def _not_empty(rows: list[asyncpg.Record], limits: QueryLimits) -> list[asyncpg.Record]:
    if rows:
        return rows
    raise PermanentError(
        f"the first row alone is larger than an answer may be ({limits.size_bytes} bytes)",
        code="result_too_large",
        fix="select fewer columns, or shorten the texts with left()",
    )


def _reader(answer: _Answer) -> pa.RecordBatchReader:
    columns = [answer_column([row[i] for row in answer.rows], kind) for i, kind in enumerate(answer.types)]
    fields = [
        pa.field(name, column.type, metadata={"source_type": kind.name})
        for name, column, kind in zip(answer.names, columns, answer.types, strict=True)
    ]
    schema = pa.schema(fields, metadata={TRUNCATED: "true"} if answer.truncated else None)
    return pa.RecordBatchReader.from_batches(schema, [pa.RecordBatch.from_arrays(columns, schema=schema)])
