"""Connections: to the address the host permitted, with what the settings say and nothing from the environment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from servicetsunami.sdk import Address, ConfigError, Context
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.failures import FAILURES, not_answered, not_connected
from servicetsunami_postgres.tls import tls_context

APPLICATION_NAME = "servicetsunami"

_CONNECT_SECONDS = 15.0
_CLOSE_SECONDS = 3.0
_LOCK_SECONDS = 10
# Every value leaves the server in one spelling, whatever the role or the database has set.
_SPELLING = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmloption": "content",
    "standard_conforming_strings": "on",
    "lock_timeout": f"{_LOCK_SECONDS}s",
}
_DATABASES = """
SELECT d.datname::text AS name FROM pg_catalog.pg_database d
WHERE d.datallowconn AND NOT d.datistemplate AND pg_catalog.has_database_privilege(d.oid, 'CONNECT')
ORDER BY d.datname
"""


def dial(config: PostgresConfig, ctx: Context) -> Address:
    """Have the host resolve and permit the server's address; a socket's folder needs no permission."""
    if not config.host.startswith("/"):
        return ctx.dial(config.host, config.port)
    if not Path(config.host).is_dir():
        raise ConfigError(
            f"host {config.host} is not a folder of this machine, so it cannot hold the server's socket",
            code="host_not_found",
            field="host",
            step="resolve",
            fix="give the server's name, or the folder named by unix_socket_directories; in a sandbox (setting "
            "sandbox) only the server's name works, since no Unix socket can be reached there",
        )
    return Address(config.host, config.host, config.port)


async def connect(config: PostgresConfig, address: Address) -> asyncpg.Connection:
    """Open a connection; raises the error that says which step failed."""
    try:
        return await _connect(config, address)
    except asyncpg.InvalidCatalogNameError as error:
        raise not_connected(error, config, await _databases(config, address)) from error
    except FAILURES as error:
        raise not_connected(error, config) from error


async def _databases(config: PostgresConfig, address: Address) -> list[str]:
    """Return the databases the role may open, asked of one that nearly every server has; () where it does not."""
    for usual in ("postgres", "template1", config.user):
        try:
            connection = await _connect(config.model_copy(update={"database": usual}), address)
        except FAILURES:
            continue
        try:
            return [row["name"] for row in await connection.fetch(_DATABASES)]
        finally:
            await disconnect(connection)
    return []


async def _connect(config: PostgresConfig, address: Address) -> asyncpg.Connection:
    context = None if address.ip.startswith("/") else tls_context(config)
    try:
        return await _open(config, address, context)
    except ConnectionError as error:
        if config.sslmode != "prefer" or "rejected SSL upgrade" not in str(error):
            raise
    return await _open(config, address, None)


async def _open(config: PostgresConfig, address: Address, context: Any) -> asyncpg.Connection:
    return await asyncpg.connect(
        host=address.ip,
        port=address.port,
        user=config.user,
        # Never None: asyncpg would then look into PGPASSWORD and the password file.
        password=config.password.get_secret_value(),
        database=config.database,
        ssl=context or False,
        timeout=_CONNECT_SECONDS,
        # Unnamed statements pass through connection poolers.
        statement_cache_size=0,
        # Only this one: poolers refuse start-up settings they do not know; the rest is set in the transaction.
        server_settings={"application_name": APPLICATION_NAME},
        # Each of these would otherwise be taken from the environment.
        direct_tls=False,
        target_session_attrs="any",
        krbsrvname="postgres",
        gsslib="gssapi",
        passfile="/dev/null",
    )


@asynccontextmanager
async def connected(config: PostgresConfig, address: Address) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection and drop it at the end: a statement that still runs is cancelled first."""
    connection = await connect(config, address)
    try:
        yield connection
    finally:
        await disconnect(connection)


async def disconnect(connection: asyncpg.Connection) -> None:
    """Close in order if the server takes part, else at once."""
    try:
        await connection.close(timeout=_CLOSE_SECONDS)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
    except asyncio.CancelledError:
        connection.terminate()
        raise


async def begin(
    connection: asyncpg.Connection,
    config: PostgresConfig,
    *,
    search_path: str | None = "pg_catalog",
    snapshot: str | None = None,
    lock: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Begin a read-only transaction that sees one moment: its own, or that of an exported snapshot.

    `search_path` None leaves the role's own. `lock` is a quoted table that nobody may rewrite until the end.
    """
    chosen = {**_SPELLING, **({"search_path": search_path} if search_path else {}), **(settings or {})}
    if config.statement_timeout_seconds:
        chosen.setdefault("statement_timeout", f"{config.statement_timeout_seconds}s")
    if connection.get_settings().server_encoding == "SQL_ASCII":
        # Such a database may hold bytes that are no UTF-8; the server would refuse to send them as that.
        chosen["client_encoding"] = "SQL_ASCII"
    statements = [*_opening(snapshot, lock), *(_setting(name, value) for name, value in chosen.items())]
    try:
        await connection.execute("; ".join(statements))
    except FAILURES as error:
        raise not_answered(error, config) from error


def _opening(snapshot: str | None, lock: str | None) -> Iterator[str]:
    yield "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    if snapshot is not None:
        yield f"SET TRANSACTION SNAPSHOT {quote_literal(snapshot)}"
    if lock is not None:
        # Before the first query, which fixes the moment: a table that is rewritten or truncated after that moment looks
        # empty to it. This is the lock that every SELECT takes.
        yield f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"
        yield f"LOCK TABLE {lock} IN ACCESS SHARE MODE"


def _setting(name: str, value: str) -> str:
    # Unlike SET this takes a list, as the search path is, in one text.
    return f"SELECT pg_catalog.set_config({quote_literal(name)}, {quote_literal(value)}, true)"


def quote_literal(text: str) -> str:
    """Quote a text as the server's own `quote_literal` does: right whatever `standard_conforming_strings` says."""
    if "\0" in text:
        raise ConfigError("a text for PostgreSQL cannot hold a NUL byte", code="bad_literal")
    doubled = text.replace("'", "''")
    if "\\" not in doubled:
        return f"'{doubled}'"
    return " E'" + doubled.replace("\\", "\\\\") + "'"
