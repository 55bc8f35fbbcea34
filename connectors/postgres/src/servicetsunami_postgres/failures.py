"""What went wrong at the server, as an error that says what to do. The driver's words stand in `why`, cleaned."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence

import asyncpg

from servicetsunami.sdk import (
    AuthError,
    ConfigError,
    DataError,
    NotFound,
    PermanentError,
    PermissionDenied,
    TransientError,
    TsunamiError,
    nearest,
)
from servicetsunami_postgres.config import PostgresConfig

FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Everything that means the server or the way to it failed; time-outs are an `OSError`."""

_MOST_SHOWN = 10
_Cause = BaseException


def not_connected(error: _Cause, config: PostgresConfig, databases: Sequence[str] = ()) -> TsunamiError:
    """Say why no connection could be made; `databases` are those the role may see, where that is known."""
    if isinstance(error, TsunamiError):
        return error
    why = words(error, config)
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return _no_database(config, why, databases)
    for kinds, explain in _REFUSALS:
        if isinstance(error, kinds):
            return explain(config, why)
    return _unreachable(error, config, why)


def not_answered(error: _Cause, config: PostgresConfig, *, step: str | None = None) -> TsunamiError:
    """Say why the server did not answer a statement."""
    if isinstance(error, TsunamiError):
        return error
    why = words(error, config)
    for kinds, explain in _STATEMENT_FAILURES:
        if isinstance(error, kinds):
            return explain(why, step)
    if isinstance(error, _LOST):
        return interrupted(why)
    return PermanentError(
        "PostgreSQL could not run the statement",
        code="source_failed",
        why=why,
        step=step,
        fix="see why, then try again",
    )


def interrupted(why: str | None) -> TransientError:
    """Say that the connection broke in the middle of a read."""
    return TransientError(
        "the connection to PostgreSQL broke before all rows had come, so this read is not complete",
        code="source_interrupted",
        why=why,
        fix="try again; if it breaks again, see the network in between and the log of the server",
    )


def stalled(seconds: float) -> TransientError:
    """Say that the server fell silent in the middle of a read."""
    return interrupted(f"no byte came for {seconds:g} seconds")


def words(error: _Cause, config: PostgresConfig) -> str:
    """Return the driver's words in one line, without the secrets of `config`."""
    parts = [str(error), getattr(error, "detail", None), getattr(error, "hint", None)]
    text = " ".join(" ".join(part.split()) for part in parts if part) or type(error).__name__
    for secret in (config.password, config.ssl_key):
        if secret is not None and secret.get_secret_value():
            text = text.replace(secret.get_secret_value(), "***")
    return re.sub(r"^\[Errno -?\d+\] ", "", text)[:500]


def _no_database(config: PostgresConfig, why: str, databases: Sequence[str]) -> ConfigError:
    shown = ", ".join(databases[:_MOST_SHOWN])
    return ConfigError(
        f"database {config.database} does not exist on {config.host}:{config.port}",
        code="database_not_found",
        why=why,
        fix=f"choose one of those the role may open: {shown}" if shown else "check the database's name",
        field="database",
        step="database",
        did_you_mean=nearest(config.database, databases),
    )


def _bad_password(config: PostgresConfig, why: str) -> TsunamiError:
    return AuthError(
        f"the server {config.host}:{config.port} refused the password of user {config.user}",
        code="auth",
        why=why,
        fix="connect again with the right user and password",
        field="password",
        step="auth",
    )


def _not_admitted(config: PostgresConfig, why: str) -> TsunamiError:
    encrypted = "no encryption" not in why.lower() and "ssl off" not in why.lower()
    return AuthError(
        f"the server {config.host}:{config.port} does not let user {config.user} in from this machine",
        code="auth_not_admitted",
        why=why,
        fix="ask for an entry in the server's pg_hba.conf" if encrypted else "set sslmode to require, or verify-full",
        field="user" if encrypted else "sslmode",
        step="auth",
    )


def _no_right_to_connect(config: PostgresConfig, why: str) -> TsunamiError:
    return PermissionDenied(
        f"user {config.user} may not open database {config.database}",
        code="permission",
        why=why,
        fix=f"run as its owner: GRANT CONNECT ON DATABASE {config.database} TO {config.user}",
        field="user",
        step="permission",
    )


def _full(config: PostgresConfig, why: str) -> TsunamiError:
    return TransientError(
        f"the server {config.host}:{config.port} takes no connection at present",
        code="server_busy",
        why=why,
        fix="wait a little and try again",
        step="connect",
    )


def _untrusted(config: PostgresConfig, why: str) -> TsunamiError:
    return ConfigError(
        f"the certificate of {config.host} does not prove that it is that server",
        code="tls_untrusted",
        why=why,
        fix="set ssl_root_cert to the authority that signed it, and host to a name it holds",
        field="ssl_root_cert",
        step="tls",
    )


def _no_tls(config: PostgresConfig, why: str) -> TsunamiError:
    return ConfigError(
        f"no TLS connection to {config.host}:{config.port} could be made, as sslmode {config.sslmode} demands",
        code="tls_failed",
        why=why,
        fix="turn TLS on at the server, or set sslmode to prefer if the network is trusted",
        field="sslmode",
        step="tls",
    )


def _unreachable(error: _Cause, config: PostgresConfig, why: str) -> TsunamiError:
    if "SSL" in why:
        return _no_tls(config, why)
    if isinstance(error, asyncpg.InterfaceError) and not isinstance(error, OSError):
        return AuthError(
            f"{config.host}:{config.port} asks for a way to log in that is not supported",
            code="auth_unsupported",
            why=why,
            fix="let the role log in with a password (scram-sha-256) or a client certificate",
            step="auth",
        )
    return TransientError(
        f"the connection to {config.host}:{config.port} ended before anybody could log in",
        code="connection_closed",
        why=why,
        fix="check that a PostgreSQL server listens on this port",
        field="port",
        step="connect",
    )


_REFUSALS = (
    ((asyncpg.InvalidPasswordError,), _bad_password),
    ((asyncpg.InvalidAuthorizationSpecificationError,), _not_admitted),
    ((asyncpg.InsufficientPrivilegeError,), _no_right_to_connect),
    ((asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError, asyncpg.AdminShutdownError), _full),
    ((ssl.SSLCertVerificationError,), _untrusted),
    ((ssl.SSLError,), _no_tls),
)

_LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
)


def _denied(why: str, step: str | None) -> TsunamiError:
    return PermissionDenied(
        "the role may not read this",
        code="permission",
        why=why,
        fix="GRANT USAGE on the schema and SELECT on the table to the role",
        step=step,
    )


def _vanished(why: str, step: str | None) -> TsunamiError:
    return NotFound(
        "a table or schema is no longer there",
        code="stream_not_found",
        why=why,
        fix="list the connection's tables and choose one that is there",
        step=step,
    )


def _changed(why: str, step: str | None) -> TsunamiError:
    return DataError(
        "a column is not there, or no longer of the type it had",
        code="column_changed",
        why=why,
        fix="list the connection's tables again, and read again",
        step=step,
    )


def _timed_out(why: str, step: str | None) -> TsunamiError:
    return TransientError(
        "the server ended the statement before it was done",
        code="statement_timeout" if "timeout" in why else "statement_cancelled",
        why=why,
        fix="raise statement_timeout_seconds, or read less at once",
        step=step,
    )


def _in_the_way(why: str, step: str | None) -> TsunamiError:
    return TransientError(
        "the server could not run the statement at this moment", code="source_busy", why=why, fix="try again", step=step
    )


def _no_snapshot(why: str, step: str | None) -> TsunamiError:
    return TransientError(
        "the moment at which the parts of this read begin is gone, so they would not fit together",
        code="snapshot_gone",
        why=why,
        fix="start the read anew",
        step=step,
    )


_STATEMENT_FAILURES = (
    ((asyncpg.InsufficientPrivilegeError,), _denied),
    ((asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError), _vanished),
    ((asyncpg.UndefinedColumnError, asyncpg.DatatypeMismatchError, asyncpg.UndefinedFunctionError), _changed),
    ((asyncpg.QueryCanceledError,), _timed_out),
    (
        (asyncpg.LockNotAvailableError, asyncpg.TransactionRollbackError, asyncpg.InsufficientResourcesError),
        _in_the_way,
    ),
    ((asyncpg.InvalidParameterValueError, asyncpg.UndefinedObjectError), _no_snapshot),
)
