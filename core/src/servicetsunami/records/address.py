"""The address of the database: what people write, and what SQLAlchemy needs."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from servicetsunami.sdk import ConfigError

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def with_driver(url: str) -> URL:
    """Read a database URL and name its driver; raises `ConfigError`, which never repeats the URL.

    The only option is `sslmode`, on PostgreSQL. SQLAlchemy refuses `postgres://` and takes `postgresql://` for another
    driver than ours; asyncpg calls libpq's `sslmode` `ssl`.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _not_served("it cannot be read as a URL") from None
    backend = parsed.drivername.partition("+")[0]
    if backend not in _DRIVERS:
        raise _not_served(f"it begins with '{backend}'")
    _check_parts(parsed, is_file=backend == "sqlite")
    return _with_ssl(parsed.set(drivername=_DRIVERS[backend]))


def _check_parts(url: URL, *, is_file: bool) -> None:
    if is_file and url.database in (None, "", ":memory:"):
        raise _not_served("it names no file")
    if not is_file and not (url.host and url.database):
        # The driver would fall back on the environment's PGHOST and PGDATABASE.
        raise _not_served("it names no host or no database")
    if "@" in (url.host or ""):
        # What is taken for the host holds a part of the password then, and would be looked up.
        raise _not_served("its password holds an @, which is written %40")
    unknown = sorted(url.query.keys() - (set() if is_file else {"sslmode"}))
    if unknown:
        raise _not_served(f"it has an option '{unknown[0]}'")


def _with_ssl(url: URL) -> URL:
    if "sslmode" not in url.query:
        return url
    mode = url.query["sslmode"]
    if mode not in _SSL_MODES:
        raise _not_served(f"its sslmode is none of {', '.join(_SSL_MODES)}")
    return url.set(query={"ssl": mode})


def _not_served(found: str) -> ConfigError:
    return ConfigError(
        f"the address of the system of record cannot be used: {found}, so the records cannot be opened",
        code="records_url",
        field="records_url",
        fix="write sqlite:////path/to/records.db or postgresql://user:password@host/database",
    )
