"""The address of the database: what people write, and what SQLAlchemy needs."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from servicetsunami.sdk import ConfigError

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}


def with_driver(url: str) -> URL:
    """Read a database URL and name its driver; raises `ConfigError`, which never repeats the URL.

    SQLAlchemy refuses `postgres://` and takes `postgresql://` for another driver than ours. libpq's `sslmode` is called
    `ssl` by asyncpg.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _not_served("it cannot be read as a URL") from None
    backend = parsed.drivername.partition("+")[0]
    if backend not in _DRIVERS:
        raise _not_served(f"it begins with '{backend}'")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise _not_served("it names no file")
    return _with_ssl(parsed.set(drivername=_DRIVERS[backend]))


def _with_ssl(url: URL) -> URL:
    if "sslmode" not in url.query:
        return url
    mode = url.query["sslmode"]
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})


def _not_served(found: str) -> ConfigError:
    return ConfigError(
        f"the address of the system of record cannot be used: {found}, so the records cannot be opened",
        code="records_url",
        field="records_url",
        fix="write sqlite:////path/to/records.db or postgresql://user:password@host/database",
    )
