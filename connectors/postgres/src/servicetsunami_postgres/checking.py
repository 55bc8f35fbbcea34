"""The connection test, in steps: resolve, connect, TLS, log in, database, permission, read one row."""

from __future__ import annotations

import asyncpg

from servicetsunami.sdk import ConfigError, PermissionDenied, nearest
from servicetsunami_postgres.catalog import Table, find_tables
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.failures import FAILURES, not_answered


async def check_permission(connection: asyncpg.Connection, config: PostgresConfig) -> list[Table]:
    """Return what the role may read; raises where that is nothing, or a schema that is set is not there."""
    try:
        tables = await find_tables(connection, config.schemas)
        schemas = [] if tables and not config.schemas else await _schemas(connection)
    except FAILURES as error:
        raise not_answered(error, config, step="permission") from error
    unknown = [name for name in config.schemas if name not in schemas]
    if unknown:
        raise ConfigError(
            f"schema {unknown[0]} is not in database {config.database}",
            code="schema_not_found",
            field="schemas",
            step="permission",
            fix=f"choose among: {', '.join(schemas)}" if schemas else "leave schemas empty",
            did_you_mean=nearest(unknown[0], schemas),
        )
    if not tables:
        raise PermissionDenied(
            f"user {config.user} may read no table of database {config.database}",
            code="nothing_readable",
            field="user",
            step="permission",
            fix=f"run as the tables' owner: GRANT USAGE ON SCHEMA public TO {config.user}; "
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {config.user}",
        )
    return tables


async def check_reading(connection: asyncpg.Connection, config: PostgresConfig, tables: list[Table]) -> None:
    """Read one row of the first table; a view may take long, so tables come first."""
    table = min(tables, key=lambda table: table.kind != "table")
    expressions = ", ".join(column.select for column in table.columns)
    try:
        await connection.execute(" ".join(("SELECT", expressions, "FROM", table.path, "LIMIT 1")))
    except FAILURES as error:
        raise not_answered(error, config, step="read") from error


async def _schemas(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch(
        "SELECT nspname::text AS name FROM pg_catalog.pg_namespace "
        "WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY nspname"
    )
    return [row["name"] for row in rows]
