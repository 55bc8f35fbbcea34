"""Bringing the database's tables up to date when it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, inspect, select, table

from servicetsunami.records.database import Database, hold_lock
from servicetsunami.sdk import ConfigError

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST = "0004"
"""The newest migration; a test holds it against the migrations themselves."""
_VERSION = table("alembic_version", column("version_num"))


async def bring_up_to_date(database: Database) -> None:
    """Apply the migrations that are missing; raises `ConfigError` (`records_newer`) for tables newer than ours.

    Alembic is imported only where there is something to do. Processes that start at once wait for each other.
    """
    if await database.read(version) != NEWEST:
        await database.write(_upgrade)


def version(db: Connection) -> str | None:
    """Return the migration the database is at; None for an empty one."""
    if not inspect(db).has_table(_VERSION.name):
        return None
    found = db.execute(select(_VERSION.c.version_num)).scalar_one_or_none()
    if found is not None and str(found) > NEWEST:
        raise ConfigError(
            f"the system of record is at version {found}, newer than this program, which knows {NEWEST}",
            code="records_newer",
            fix="install the version of servicetsunami that was used last, or a newer one",
        )
    return found


def migrations(db: Connection | None = None) -> Config:
    """Return Alembic's configuration for the migrations inside this package, on `db` if given."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = db
    return config


def _upgrade(db: Connection) -> None:
    from alembic import command

    hold_lock(db)
    if version(db) != NEWEST:
        command.upgrade(migrations(db), "head")
