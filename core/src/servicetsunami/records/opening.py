"""Opening the system of record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from servicetsunami.records.embedded import EmbeddedRecords
    from servicetsunami.records.vault import Vault


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


async def open_records(url: str, vault: Vault, *, clock: Callable[[], datetime] = utc_now) -> EmbeddedRecords:
    """Open the records at `sqlite:///path/to/file.db` or `postgresql://...` and bring their tables up to date.

    Raises `ConfigError` for a URL that is not served and for tables newer than this program (`records_newer`).
    """
    from servicetsunami.records.database import database_at
    from servicetsunami.records.embedded import EmbeddedRecords
    from servicetsunami.records.migrate import bring_up_to_date

    database = database_at(url)
    try:
        await bring_up_to_date(database)
    except BaseException:
        await database.close()
        raise
    return EmbeddedRecords(database, vault, clock)
