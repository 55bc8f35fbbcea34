"""Opening the system of record."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from servicetsunami.records.embedded import EmbeddedRecords
    from servicetsunami.records.vault import Vault


async def open_records(url: str, vault: Vault) -> EmbeddedRecords:
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
    return EmbeddedRecords(database, vault)
