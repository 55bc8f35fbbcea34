"""Writing the whole answer to a query as a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from servicetsunami.operations.answers.exports import Target, at_path, in_folder
from servicetsunami.operations.answers.links import behind_link
from servicetsunami.operations.answers.pages import remembered
from servicetsunami.operations.answers.warehouses import LAYERS, with_warehouse
from servicetsunami.operations.answers.writers import Format
from servicetsunami.operations.models import ExportedFile, QueryPage
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.results import UNTRUSTED, choose, row_limit, rows_of, shown
from servicetsunami.sdk import ConfigError, QueryLimits, Sink, Warehouse
from servicetsunami.sdk.sql import guard_databricks

if TYPE_CHECKING:
    import pyarrow as pa

    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_SHOWN_OF_A_FILE = 10
_PATIENCE = 10
"""How many times as long as an answer a file may take: it is written while the query runs."""
T = TypeVar("T")


@changing("no file is written")
async def save_result(
    app: App, caller: Caller, sql: str, kind: Format, *, limit: int | None = None, cursor: str | None = None
) -> QueryPage:
    """Answer one SELECT with its first rows, and write its whole result to a file.

    The file lies in the tenant's folder of exports for callers on this machine, else behind a link that serves once.
    """
    if cursor is not None:
        raise ConfigError(
            "a file holds the whole result, so there is nothing to go on with",
            code="argument_not_wanted",
            field="cursor",
            fix="leave cursor out",
        )
    most = row_limit(limit) if limit is not None else _SHOWN_OF_A_FILE
    target = (
        in_folder(app.settings.home, caller.tenant, kind)
        if caller.local
        else await behind_link(app, caller.tenant, kind)
    )

    def read(reader: pa.RecordBatchReader) -> QueryPage:
        began = time.perf_counter()
        seen: list[pa.RecordBatch] = []
        chosen = choose(rows_of(remembered(reader, seen)), most, reader.schema)
        file = target.export(reader.schema, chain(seen, reader))
        return QueryPage(
            **shown(chosen, reader.schema, began),
            truncated=chosen.truncated,
            export=file,
            notice=f"{chosen.notes}{_note(file)}{UNTRUSTED}",
        )

    return await _reading(app, caller, sql, target, read)


@changing("no file is written")
async def export_query(app: App, caller: Caller, sql: str, path: Path) -> ExportedFile:
    """Write the whole result of one SELECT to a file, whose ending tells its kind; for a person on this machine."""
    target = at_path(path)
    return await _reading(app, caller, sql, target, lambda reader: target.export(reader.schema, reader))


async def _reading(app: App, caller: Caller, sql: str, target: Target, read: Callable[[pa.RecordBatchReader], T]) -> T:
    patience = _PATIENCE * app.settings.query_timeout_seconds
    limits = QueryLimits(target.most_rows + 1, target.most_bytes + 1, patience)

    def work(sink: Sink[Any], warehouse: Warehouse) -> T:
        query = guard_databricks(sql, catalog=sink.catalog(), layers=LAYERS)
        with closing(warehouse.query(query, limits)) as reader:
            return read(reader)

    return await with_warehouse(app, caller, work)


def _note(file: ExportedFile) -> str:
    if file.truncated:
        return f"The file ends after {file.rows:,} rows, though there are more: filter in SQL. "
    return "The link serves once, for 15 minutes: give it to the person. " if file.url else ""
