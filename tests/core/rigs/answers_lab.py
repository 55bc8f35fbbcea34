"""An installation whose lakehouse a test fills itself."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pyarrow as pa

from servicetsunami.operations.app import App, open_app
from servicetsunami.operations.caller import Caller
from servicetsunami.runtime import load_settings
from servicetsunami.sdk import Load, TableName

ANN = Caller("default")
BOB = Caller("bobs")
"""Of another tenant, with tables of the same names."""
AFAR = Caller("default", local=False, subject="ann")


@asynccontextmanager
async def opened(home: Path, **settings: str) -> AsyncIterator[App]:
    """Open the app as a process would."""
    async with open_app(load_settings({"home": str(home), **settings}, environ={}, cwd=home)) as app:
        yield app


def fill(app: App, table: str, rows: pa.Table, *, tenant: str = "default") -> None:
    """Put rows into a table of the bronze layer."""
    load = Load(TableName("bronze", table), schema=rows.schema, mode="append", app=f"test/{table}")
    with closing(app.open_sink(tenant, threading.Event())) as sink:
        transaction = sink.begin(load)
        for batch in rows.to_batches(max_chunksize=50_000):
            transaction.stage(batch)
        transaction.commit(1, {})
        transaction.abort()


def numbers(count: int) -> pa.Table:
    """Make rows `n` and `word`."""
    return pa.table({"n": pa.array(range(count), pa.int64()), "word": [f"word {n}" for n in range(count)]})
