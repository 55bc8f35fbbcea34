"""What is wrong with a query, with the names that were probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

import asyncpg

from servicetsunami.sdk import ConfigError, NotFound, PermanentError, PermissionDenied, TsunamiError, nearest
from servicetsunami_postgres.catalog import Table, find_tables
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.failures import not_answered, words
from servicetsunami_postgres.link import begin

_QUOTED = re.compile(r'(?:relation|column) "?([^"\s]+)"?')
_AT_FAULT = (
    asyncpg.SyntaxOrAccessError,
    asyncpg.DataError,
    asyncpg.FeatureNotSupportedError,
    asyncpg.CardinalityViolationError,
)


async def query_failed(error: BaseException, connection: asyncpg.Connection, config: PostgresConfig) -> TsunamiError:
    """Say what is wrong with the statement, or with the connection."""
    why = words(error, config)
    if isinstance(error, (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)):
        return await _unknown_name(error, why, connection, config)
    if isinstance(error, (asyncpg.QueryCanceledError, TimeoutError)):
        return PermanentError(
            "the query took longer than it may",
            code="query_timeout",
            why=why,
            fix="ask for less: a narrower WHERE, or fewer rows before they are joined and sorted",
        )
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return PermissionDenied(
            "the role may not read what the query asks for", code="permission", why=why, fix="GRANT SELECT to the role"
        )
    if isinstance(error, _AT_FAULT):
        return ConfigError(
            "PostgreSQL does not accept the statement", code="sql_invalid", why=why, field="sql", fix="correct it"
        )
    return not_answered(error, config)


async def _unknown_name(
    error: BaseException, why: str, connection: asyncpg.Connection, config: PostgresConfig
) -> TsunamiError:
    found = _QUOTED.search(str(error))
    name = found[1] if found else ""
    tables = await _tables(connection, config)
    if isinstance(error, asyncpg.UndefinedTableError):
        return NotFound(
            f"table {name} is not in database {config.database}, or the role may not see it",
            code="table_not_found",
            why=why,
            field="sql",
            fix="list the connection's tables and name one of them",
            did_you_mean=_near(name, (table.stream().id for table in tables)),
        )
    column = name.rsplit(".", 1)[-1]
    return NotFound(
        f"no table of the query has a column {column}",
        code="column_not_found",
        why=why,
        field="sql",
        fix="name a column that is there",
        did_you_mean=_near(column, (column.name for table in tables for column in table.columns)),
    )


def _near(name: str, known: Iterable[str]) -> tuple[str, ...]:
    known = list(dict.fromkeys(known))
    return nearest(name, known) or nearest(name.rsplit(".", 1)[-1], known)


async def _tables(connection: asyncpg.Connection, config: PostgresConfig) -> list[Table]:
    """Look into the catalogue; the failed statement ended its transaction."""
    await connection.execute("ROLLBACK")
    await begin(connection, config)
    return await find_tables(connection)
