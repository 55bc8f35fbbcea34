"""Glances at a source, for whoever reads about it and does not wait: they end in time, whatever the source does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from servicetsunami.operations.sources import list_source_tables
from servicetsunami.sdk import TransientError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.operations.models import SourceTables

_LONGEST_SECONDS = 20.0


async def glance_at_tables(
    app: App, caller: Caller, connection_id: str, *, search: str | None = None, limit: int = 200
) -> SourceTables:
    """List the first tables at a source; raises `TransientError` (`source_slow`) if it takes too long."""
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            return await list_source_tables(app, caller, connection_id, search=search, limit=limit)
    except TimeoutError:
        raise TransientError(
            f"the source did not list its tables within {_LONGEST_SECONDS:g} seconds, so none are shown",
            code="source_slow",
            fix="use list_source_tables, which waits longer, or test the connection",
        ) from None
