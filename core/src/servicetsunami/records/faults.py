"""What a database said, told as errors of ours: never the statement, its values or a password."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from servicetsunami.sdk import AuthError, PermanentError, TransientError, TsunamiError

_FULL = ("disk is full", "no space left", "disk full")
_PASSING = ("08", "40", "53", "55", "57")
"""Classes of SQLSTATE that trying again may cure: connection, rollback, resources, object in use, operator."""
_LOGIN = ("28", "3D")
"""Classes of SQLSTATE for a user, a password or a database that is not right."""
_UNREADABLE = ("file is not a database", "malformed")


@contextmanager
def database_faults() -> Iterator[None]:
    """Turn the database's errors into `TransientError` where trying again can help, else `PermanentError`."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as error:
        raise _unavailable(_said(error)) from None
    except DBAPIError as error:
        raise _by_state(error)(_said(error)) from None


def _by_state(error: DBAPIError) -> Callable[[str], TsunamiError]:
    state_class = str(getattr(error.orig, "sqlstate", None))[:2]
    if state_class in _PASSING:
        return _unavailable
    return _not_let_in if state_class in _LOGIN else _refused


def _said(error: Exception) -> str:
    # asyncpg's adapter puts the class in front: "<class 'asyncpg...'>: text".
    cause = error.orig if isinstance(error, DBAPIError) else error
    first_line = str(cause).partition("\n")[0]
    return first_line.rpartition("'>: ")[2]


def _unavailable(said: str) -> TsunamiError:
    if any(mark in said.lower() for mark in _FULL):
        return TransientError(
            "the disk of the system of record is full, so nothing can be noted down",
            code="records_full",
            why=said,
            fix="free some space; what was stored before is intact",
        )
    return TransientError(
        "the system of record did not answer, so nothing could be read or noted down",
        code="records_unavailable",
        why=said,
        fix="see that its disk or server can be reached, then try again",
    )


def _not_let_in(said: str) -> TsunamiError:
    return AuthError(
        "the server of the system of record did not let us in, so the records cannot be opened",
        code="records_login",
        why=said,
        fix="correct user, password and database in the setting records_url",
    )


def _refused(said: str) -> TsunamiError:
    if any(mark in said.lower() for mark in _UNREADABLE):
        return PermanentError(
            "the file of the system of record is damaged or no database, so the records cannot be opened",
            code="records_unreadable",
            why=said,
            fix="bring the file back from a backup, or move it away to begin anew",
        )
    return PermanentError(
        "the system of record refused what was asked of it",
        code="records_refused",
        why=said,
        fix="see that its user may create and change tables in the database",
    )
