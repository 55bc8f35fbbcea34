"""Opening a database: through the host's dialling, read-only, in one transaction that sees one moment."""

from __future__ import annotations

import os
import socket
import sqlite3
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.pool import NullPool

from servicetsunami.sdk import ConfigError, Context
from servicetsunami_sqlalchemy.config import MYSQL, SQLITE, SqlConfig
from servicetsunami_sqlalchemy.failures import driver_missing

_MYSQL_PORT = 3306
_TIMEOUT_SECONDS = 30
_SILENCE_SECONDS = 600


def open_engine(config: SqlConfig, ctx: Context) -> Engine:
    """Return an engine whose connections read only. Raises `ConfigError` for a driver or a dialect that is missing."""
    if config.dialect == SQLITE:
        return _engine(URL.create(SQLITE), lambda: _sqlite(config, ctx))
    if config.dialect in MYSQL:
        return _mysql(config, ctx)
    return _other(config, ctx)


def _engine(url: URL, creator: Callable[[], Any]) -> Engine:
    engine = create_engine(url, creator=creator, poolclass=NullPool, hide_parameters=True)
    if url.get_backend_name() == SQLITE:
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _sqlite(config: SqlConfig, ctx: Context) -> sqlite3.Connection:
    """Open a file of a folder that may be read; what is opened is the file that was allowed, and no other."""
    with ctx.open_file(config.database) as allowed:
        known = os.fstat(allowed.fileno())
        path = Path(f"/proc/self/fd/{allowed.fileno()}").resolve()
        found = path if path.exists() else Path(allowed.name)
        address = f"{found.absolute().as_uri()}?mode=ro"
        opened = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        now = found.stat()
    if (now.st_dev, now.st_ino) != (known.st_dev, known.st_ino):
        opened.close()
        raise ConfigError("the file was exchanged while it was opened", code="file_not_allowed", field="database")
    opened.execute("PRAGMA query_only = ON")
    opened.text_factory = _text_or_bytes
    return opened


def _text_or_bytes(data: bytes) -> str | bytes:
    """Return text, or the bytes of what SQLite calls text and is none."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def _mysql(config: SqlConfig, ctx: Context) -> Engine:
    try:
        import pymysql
    except ModuleNotFoundError:
        raise driver_missing(config.dialect) from None

    def connect() -> DBAPIConnection:
        address = ctx.dial(config.host or "", config.port or _MYSQL_PORT)
        # The address that was checked, and no other; the certificate is for the name.
        link = socket.create_connection((address.ip, address.port), _TIMEOUT_SECONDS)
        opened = pymysql.connect(**_mysql_arguments(config), defer_connect=True)
        try:
            opened.connect(link)
        except BaseException:
            with suppress(pymysql.Error, OSError):
                opened.close()  # which has the socket by now, if TLS began
            link.close()
            raise
        with opened.cursor() as cursor:
            cursor.execute("SET SESSION time_zone = '+00:00'")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection: DBAPIConnection = opened
        return connection

    return _engine(URL.create(f"{config.dialect}+pymysql"), connect)


def _mysql_arguments(config: SqlConfig) -> dict[str, Any]:
    context = _tls(config)
    return {
        "host": config.host,
        "user": config.user or "",
        "password": config.password.get_secret_value().encode(),  # the driver would write text as Latin-1
        "database": config.database,
        "charset": "utf8mb4",
        "connect_timeout": _TIMEOUT_SECONDS,
        "read_timeout": _SILENCE_SECONDS,
        "local_infile": False,
        **({"ssl": context} if context else {"ssl_disabled": True}),
    }


def _tls(config: SqlConfig) -> ssl.SSLContext | None:
    if config.tls == "off":
        return None
    try:
        context = ssl.create_default_context(cadata=config.tls_ca)
    except ssl.SSLError as error:
        raise ConfigError(
            "tls_ca is not the PEM text of certificates", code="bad_tls_ca", field="tls_ca", fix="paste it whole"
        ) from error
    if config.tls != "verify":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _other(config: SqlConfig, ctx: Context) -> Engine:
    """Open a dialect we have not tried: its driver connects by itself, to the address that was checked."""
    address = ctx.dial(config.host or "", config.port) if config.port else None
    if address is None:
        raise ConfigError("port is missing", code="missing_port", field="port", fix="give the server's port")
    url = URL.create(
        config.dialect,
        config.user,
        config.password.get_secret_value() or None,
        address.ip,
        address.port,
        config.database,
    )
    try:
        return create_engine(url, poolclass=NullPool, hide_parameters=True)
    except (NoSuchModuleError, ModuleNotFoundError):
        raise driver_missing(config.dialect) from None
