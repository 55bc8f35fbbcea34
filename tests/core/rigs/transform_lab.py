"""Bronze tables that a test fills, batch by batch, as syncs do; and what became of them in silver."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from answers_lab import ANN, opened

from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.tables import query_sql
from servicetsunami.operations.transforms import TransformResult, Wish, preview_transform, transform_to_silver
from servicetsunami.sdk import Json, Load, TableName, WriteMode

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Lab:
    """An installation, and the syncs that filled its bronze layer."""

    app: App
    caller: Caller = ANN
    syncs: int = 0

    def new(self) -> str:
        """Return a name that no table has yet."""
        return f"t{self.syncs}"

    async def sync(
        self,
        table: str,
        rows: dict[str, Any],
        *,
        key: tuple[str, ...] = (),
        mode: WriteMode | None = None,
        connection: str | None = None,
    ) -> None:
        """Land rows as one sync would; those with a key are merged. With `connection` the records know the table."""
        self.syncs += 1
        if connection is not None:
            await self._known(connection, table)
        load = Load(
            TableName("bronze", table),
            self._synced(rows).schema,
            app=f"test/{table}",
            key=key,
            mode=mode or ("merge" if key else "append"),
        )
        await asyncio.to_thread(self._landed, load, self._synced(rows))

    def _synced(self, rows: dict[str, Any]) -> pa.Table:
        made = pa.table(rows)
        moment = pa.repeat(pa.scalar(BEGAN + timedelta(minutes=self.syncs), pa.timestamp("us", "UTC")), made.num_rows)
        return made.append_column("_synced_at", moment)

    def _landed(self, load: Load, rows: pa.Table) -> None:
        with closing(self.app.open_sink(self.caller.tenant, threading.Event())) as sink:
            transaction = sink.begin(load)
            for batch in rows.to_batches():
                transaction.stage(batch)
            transaction.commit(sink.committed(load).seq + 1, {})
            transaction.abort()

    async def _known(self, connection: str, table: str) -> None:
        records, tenant = self.app.records, self.caller.tenant
        if connection not in [one.name for one in await records.connections(tenant)]:
            await records.create_connection(
                tenant, name=connection, connector="files", settings={"location": "."}, secrets={}, streams={}
            )
        stored = await records.connection(tenant, connection)
        await records.claim_table(tenant, stored.id, table, [TableName("bronze", table)])
        await records.save_sync_point(tenant, stored.id, table, app="test", seq=self.syncs, state={})

    async def transform(
        self, table: str, steps: Sequence[Json], checks: Sequence[Json] = (), **options: Any
    ) -> TransformResult:
        """Transform a bronze table."""
        return await transform_to_silver(self.app, self.caller, Wish(f"bronze.{table}", steps, checks, **options))

    async def preview(self, table: str, steps: Sequence[Json], checks: Sequence[Json] = ()) -> TransformResult:
        """Preview a transform."""
        return await preview_transform(self.app, self.caller, Wish(f"bronze.{table}", steps, checks))

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the lakehouse."""
        return list((await query_sql(self.app, self.caller, sql)).rows)


@asynccontextmanager
async def lab(home: Path, **settings: str) -> AsyncIterator[Lab]:
    """Open an installation of its own."""
    async with opened(home, **settings) as app:
        yield Lab(app)
