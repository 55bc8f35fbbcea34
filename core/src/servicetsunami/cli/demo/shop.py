"""The demo's source: a small shop in a PostgreSQL database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from servicetsunami.sdk import AuthError, ConfigError, PermissionDenied, TransientError
from servicetsunami.sdk.sql import quote_identifier

DATABASE = "tsunami_demo_shop"
_QUOTED = quote_identifier(DATABASE, "postgres")


@dataclass(frozen=True)
class Place:
    """Where a PostgreSQL listens and who may come in."""

    host: str
    port: int
    user: str
    database: str
    password: str = field(repr=False)
    sslmode: str = "prefer"


def place_of(url: str) -> Place:
    """Take a `postgres://` URL apart; raises `ConfigError` without repeating it, for it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("postgres", "postgresql") or not parts.hostname or not parts.username:
        raise ConfigError(
            "the URL given as --postgres-url is not one of a PostgreSQL, so the demo did not start",
            code="bad_url",
            field="--postgres-url",
            fix="write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        )
    return Place(
        host=parts.hostname,
        port=port or 5432,
        user=unquote(parts.username),
        database=unquote(parts.path.lstrip("/")) or "postgres",
        password=unquote(parts.password or ""),
        sslmode=parse_qs(parts.query).get("sslmode", ["prefer"])[0],
    )


@asynccontextmanager
async def opened_shop(server: Place) -> AsyncIterator[Place]:
    """Make the shop in a database of its own, yield where it is, and drop it at the end."""
    await _administer(server, f"CREATE DATABASE {_QUOTED}")
    shop = Place(server.host, server.port, server.user, DATABASE, server.password, server.sslmode)
    try:
        await run_script(shop, "shop.sql")
        yield shop
    finally:
        await _administer(server, f"DROP DATABASE {_QUOTED} WITH (FORCE)")


async def run_script(shop: Place, name: str) -> None:
    """Run one of the demo's own SQL files at the shop."""
    script = files("servicetsunami.cli.demo").joinpath(name).read_text(encoding="utf-8")
    await _administer(shop, script)


async def _administer(place: Place, script: str) -> None:
    import asyncpg

    try:
        connection: Any = await asyncpg.connect(
            host=place.host,
            port=place.port,
            user=place.user,
            password=place.password,
            database=place.database,
            ssl=place.sslmode,
            timeout=10,
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise _unreachable(place, error) from None
    try:
        await connection.execute(script)
    except asyncpg.DuplicateDatabaseError:
        raise _left_over() from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise PermissionDenied(
            f"the role '{place.user}' may not do what the demo needs",
            code="permission_denied",
            why=str(error),
            fix="use a role with the right CREATEDB, or leave --postgres-url out",
        ) from None
    finally:
        await connection.close()


def _unreachable(place: Place, error: Exception) -> AuthError | TransientError:
    import asyncpg

    what = f"the demo cannot log in to the PostgreSQL at {place.host}:{place.port} as '{place.user}'"
    fix = "correct --postgres-url, or leave it out to have one started"
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return AuthError(what, code="password_refused", why=str(error), fix=fix, step="authenticate")
    return TransientError(what, code="not_reachable", why=str(error), fix=fix, step="connect")


def _left_over() -> ConfigError:
    return ConfigError(
        f"the database '{DATABASE}' exists already, so the demo did not touch it",
        code="demo_database_exists",
        fix=f"drop it if an earlier demo left it behind: DROP DATABASE {DATABASE}",
    )
