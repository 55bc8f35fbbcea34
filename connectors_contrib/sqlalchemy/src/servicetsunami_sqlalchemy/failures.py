"""What a database says when something is wrong, as typed errors; its own words may hold values and are not repeated."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from servicetsunami.sdk import (
    AuthError,
    ConfigError,
    DataError,
    NotFound,
    PermanentError,
    PermissionDenied,
    TransientError,
    TsunamiError,
)


@contextmanager
def typed(what: str) -> Iterator[None]:
    """Raise what SQLAlchemy or a driver raises as a typed error; `what` could not be done."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise failure(getattr(error, "orig", None) or error, what) from None
    except ssl.SSLError as error:
        raise _no_tls(what) from error
    except OSError as error:
        raise TransientError(
            f"the connection to the server broke, so {what}", code="connection_lost", why=error.strerror
        ) from error


def failure(error: BaseException, what: str) -> TsunamiError:
    """Return the typed error of a driver's."""
    if type(error).__module__.startswith("sqlite3"):
        return _of_sqlite(error, what)
    inner = getattr(error, "original_exception", None)
    if isinstance(inner, OSError):
        return _no_tls(what) if isinstance(inner, ssl.SSLError) else _gone(what)
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    return _of_mysql(number, what) or PermanentError(
        f"the database refused, so {what}",
        code="source_error",
        why=f"{type(error).__name__} {number or ''}".strip(),
        fix="look at the server's log for the whole message",
    )


def _of_mysql(number: int, what: str) -> TsunamiError | None:
    for numbers, make in _MYSQL:
        if number in numbers:
            return make(what)
    return None


def _not_let_in(what: str) -> TsunamiError:
    return AuthError(
        f"the server does not let this user in, so {what}",
        code="auth",
        field="password",
        step="auth",
        fix="check user and password, and that the user may log in from this machine",
    )


def _no_database(what: str) -> TsunamiError:
    return NotFound(
        f"the server has no such database, so {what}",
        code="database_not_found",
        field="database",
        step="database",
        fix="check the name of the database; names tell upper and lower case apart on most servers",
    )


def _not_opened(what: str) -> TsunamiError:
    return PermissionDenied(
        f"the user may not open this database, or there is none of this name, so {what}",
        code="database_refused",
        field="database",
        step="database",
        fix="check the name of the database, and GRANT SELECT on it to the user",
    )


def _denied(what: str) -> TsunamiError:
    return PermissionDenied(
        f"the user lacks the right to read this, so {what}",
        code="permission_denied",
        field="user",
        step="permission",
        fix="GRANT SELECT on the tables, or on the whole database, to the user",
    )


def _gone(what: str) -> TsunamiError:
    return TransientError(f"the server closed the connection, so {what}", code="connection_lost")


def _busy(what: str) -> TsunamiError:
    return TransientError(f"the server is busy or a lock is held, so {what}", code="source_busy")


def _no_table(what: str) -> TsunamiError:
    return NotFound(
        f"the table is gone, so {what}", code="table_not_found", fix="list the tables of the connection again"
    )


def _no_tls(what: str) -> TsunamiError:
    return ConfigError(
        f"the server does not encrypt, or its certificate is not trusted, so {what}",
        code="tls_refused",
        field="tls",
        step="tls",
        fix="give tls_ca, the PEM text of the authority that signed the certificate; or choose another `tls`",
    )


_MYSQL: tuple[tuple[frozenset[int], Callable[[str], TsunamiError]], ...] = (
    (frozenset({1045, 1698, 1862}), _not_let_in),
    (frozenset({1049}), _no_database),
    (frozenset({1044}), _not_opened),
    (frozenset({1142, 1143, 1227, 1370}), _denied),
    (frozenset({2006, 2013, 2055, 1053, 1927, 1152}), _gone),
    (frozenset({1205, 1213, 1040, 1203, 1226}), _busy),
    (frozenset({1146}), _no_table),
    (frozenset({2026}), _no_tls),
)


def _of_sqlite(error: BaseException, what: str) -> TsunamiError:
    text = str(error)
    if "not a database" in text or "malformed" in text:
        return DataError(
            f"the file is no SQLite database, or a damaged one, so {what}",
            code="bad_sqlite",
            fix="check the path; an encrypted database cannot be read",
        )
    if "locked" in text or "busy" in text:
        return TransientError(f"another program holds the database, so {what}", code="source_busy")
    if "no such table" in text:
        return _no_table(what)
    return PermanentError(f"SQLite refused, so {what}", code="source_error", why=type(error).__name__)


def driver_missing(dialect: str) -> ConfigError:
    """Return the error for a dialect whose driver is not installed."""
    extra = "mysql" if dialect.partition("+")[0] in ("mysql", "mariadb") else ""
    install = "pip install 'servicetsunami-sqlalchemy[mysql]'" if extra else "install the driver's package"
    return ConfigError(
        f"no driver for {dialect} is installed, so nothing can be read",
        code="driver_missing",
        field="dialect",
        fix=f"{install}, or write the dialect with another driver: dialect+driver",
    )
