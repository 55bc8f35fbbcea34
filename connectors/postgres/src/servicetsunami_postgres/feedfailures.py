"""What is wrong where a change feed cannot begin or go on, and what to do at the server."""

from __future__ import annotations

import asyncpg

from servicetsunami.sdk import ConfigError, PermanentError, PermissionDenied, TransientError, TsunamiError
from servicetsunami_postgres.config import PostgresConfig
from servicetsunami_postgres.failures import not_answered, words

LOST = "feed_lost"
_LOGICAL = (
    "run ALTER SYSTEM SET wal_level = logical, then restart the server; on a managed service set its parameter and "
    "restart: rds.logical_replication = 1 (Amazon RDS, Aurora), cloudsql.logical_decoding = on (Google Cloud SQL), "
    "wal_level = LOGICAL (Azure); until then sync in full or incrementally"
)


def lost(why: str) -> PermanentError:
    """Say that changes are missing, so that only a full read can begin the feed anew."""
    return PermanentError(
        "the server's log does not reach back to where this feed stands, so changes are missing",
        code=LOST,
        why=why,
        fix="sync the table in full once; the feed then begins anew",
    )


def not_logical(level: str) -> ConfigError:
    """Say that the server's log does not hold what a feed needs."""
    return ConfigError(
        f"the server's wal_level is {level}, so its log does not tell which rows changed",
        code="wal_level_not_logical",
        field="sync_mode",
        fix=_LOGICAL,
    )


def too_old(version: str) -> ConfigError:
    """Say that the server is older than feeds are."""
    return ConfigError(
        f"the server is PostgreSQL {version}; a feed takes 13 or later",
        code="feed_needs_newer_server",
        field="sync_mode",
        fix="sync in full or incrementally, or upgrade the server",
    )


def is_standby() -> ConfigError:
    """Say that the server is one that a feed cannot be made at."""
    return ConfigError(
        "the server is a standby, where a feed cannot be made",
        code="feed_on_standby",
        field="host",
        fix="connect to the primary server, or sync in full or incrementally",
    )


def no_identity(table: str, why: str) -> ConfigError:
    """Say that the log would not tell which row was updated or deleted."""
    return ConfigError(
        f"the log does not tell which row of {table} was updated or deleted: {why}",
        code="no_replica_identity",
        field="sync_mode",
        fix=f"give the table a primary key, or run as its owner: ALTER TABLE {table} REPLICA IDENTITY FULL",
    )


def not_followable(table: str, kind: str) -> ConfigError:
    """Say that the log tells nothing of such a table, or more than the role may see."""
    return ConfigError(
        f"{table} is a {kind}, so the server's log cannot stand for it",
        code="no_change_feed",
        field="sync_mode",
        fix="sync it in full or incrementally",
    )


def no_publication(config: PostgresConfig, why: str, sql: str) -> PermissionDenied:
    """Say that the role may not make the publication, and what an administrator can run instead."""
    return PermissionDenied(
        f"user {config.user} may not publish the table's changes: that takes its owner with CREATE on the database",
        code="publication_denied",
        why=why,
        field="user",
        fix=f"have its owner or a superuser run: {sql}",
    )


def feed_failed(error: BaseException, config: PostgresConfig, slot: str) -> TsunamiError:
    """Say why the server did not do what a feed asked of its slot."""
    if isinstance(error, TsunamiError):
        return error
    why = words(error, config)
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return _no_right(config, why)
    if isinstance(error, asyncpg.ConfigurationLimitExceededError):
        return _no_slot_left(why)
    if isinstance(error, asyncpg.ObjectInUseError):
        return TransientError(
            f"the replication slot {slot} is in use", code="feed_busy", why=why, fix="wait a little and try again"
        )
    if isinstance(error, asyncpg.UndefinedObjectError | asyncpg.ObjectNotInPrerequisiteStateError):
        return lost(why)
    return not_answered(error, config)


def _no_right(config: PostgresConfig, why: str) -> PermissionDenied:
    return PermissionDenied(
        f"user {config.user} may not follow the server's log",
        code="no_replication_right",
        why=why,
        field="user",
        fix=f"have a superuser run: ALTER ROLE {config.user} REPLICATION "
        f"(on Amazon RDS: GRANT rds_replication TO {config.user})",
    )


def _no_slot_left(why: str) -> ConfigError:
    return ConfigError(
        "all replication slots of the server are in use, so no feed can be added",
        code="slots_exhausted",
        why=why,
        field="sync_mode",
        fix="raise max_replication_slots and restart the server, or drop slots that nobody reads "
        "(SELECT slot_name, active FROM pg_replication_slots)",
    )
