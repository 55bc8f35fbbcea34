"""Reading a kept result by its id, some rows at a time, as CSV."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from servicetsunami.operations.answers.shelf import Shelf, expired
from servicetsunami.operations.answers.writers import csv_text
from servicetsunami.operations.models import Result, ResultColumn
from servicetsunami.operations.results import choose, columns_of, rows_of

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller


class KeptRows(Result):
    """What there is to know of a kept result, and of the rows of it that are shown."""

    result_id: str
    columns: tuple[ResultColumn, ...]
    rows: int
    complete: bool
    expires_at: datetime
    offset: int
    row_count: int
    next_offset: int | None = None
    notes: str = ""


async def read_result(
    app: App, caller: Caller, result_id: str, *, offset: int = 0, limit: int | None = None
) -> tuple[KeptRows, str]:
    """Return rows of a result from `offset` on, as CSV, and what there is to know of them.

    Raises `NotFound` with code `result_expired` for a result that is gone, is another tenant's or never was.
    """

    def read() -> tuple[KeptRows, str]:
        kept = Shelf(app.settings.home, caller.tenant).open(result_id)
        chosen = choose(rows_of(kept.from_row(offset)), limit, kept.schema)
        end = offset + len(chosen.rows)
        told = KeptRows(
            result_id=kept.id,
            columns=columns_of(kept.schema),
            rows=kept.rows,
            complete=kept.complete,
            expires_at=kept.expires_at,
            offset=offset,
            row_count=len(chosen.rows),
            next_offset=end if end < kept.rows and chosen.rows else None,
            notes=chosen.notes.strip(),
        )
        return told, csv_text(kept.schema, chosen.rows)

    if not caller.may("read"):
        raise expired()
    return await asyncio.to_thread(read)


async def result_ids(app: App, caller: Caller) -> list[str]:
    """Return the ids of the tenant's kept results, the newest first."""
    return await asyncio.to_thread(Shelf(app.settings.home, caller.tenant).ids)
