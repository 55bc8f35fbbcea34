"""Turns what the clients of Databricks raise into errors that say what to do, without a value of any row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from servicetsunami.sdk import (
    AuthError,
    ConfigError,
    DataError,
    NotFound,
    PermanentError,
    PermissionDenied,
    RateLimited,
    TransientError,
    TsunamiError,
)

_CLASS = re.compile(r"\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]")
_REFUSED = re.compile(r"\b40[13] (?:-|codes)")
"""How the connector says that a status of the sign-in is not tried again."""
_SIGN_IN_FIX = "check the token or the service principal, and that it has not expired"


@dataclass(frozen=True)
class _Found:
    code: str
    message: str
    fix: str


_OVERFLOW = _Found(
    "arithmetic_overflow", "a number in the query outgrew its type", "cast to a wider type before calculating"
)
_UNCASTABLE = _Found(
    "cast_failed", "a value in the query cannot be converted to the type asked for", "use try_cast, which gives NULL"
)
_VALUES = {
    "DIVIDE_BY_ZERO": _Found(
        "division_by_zero", "the query divides by zero", "use try_divide, which gives NULL, or nullif(divisor, 0)"
    ),
    "INVALID_ARRAY_INDEX": _Found(
        "index_out_of_bounds", "an index lies outside of its array", "check size(array) first; the first index is 0"
    ),
    "ARITHMETIC_OVERFLOW": _OVERFLOW,
    "BINARY_ARITHMETIC_OVERFLOW": _OVERFLOW,
    "NUMERIC_VALUE_OUT_OF_RANGE": _OVERFLOW,
    "CAST_INVALID_INPUT": _UNCASTABLE,
    "CAST_OVERFLOW": _UNCASTABLE,
    "CANNOT_PARSE_TIMESTAMP": _UNCASTABLE,
}
"""What a value in a query may be refused for, in the words that every sink has for it."""


class StatementError(PermanentError):
    """The warehouse refused a statement; `name` is Databricks' class of the error, `described` what it said of it."""

    def __init__(self, message: str, *, name: str, described: str = "", code: str, fix: str | None = None) -> None:
        super().__init__(message, code=code, fix=fix)
        self.name = name
        self.described = described


@contextmanager
def on_databricks(doing: str) -> Iterator[None]:
    """Raise a typed error for whatever goes wrong inside; `doing` completes the sentence "… failed"."""
    try:
        yield
    except TsunamiError:
        raise
    except Exception as error:
        found = _typed(error, doing)
        if found is None:
            raise
        raise found from None  # its causes hold addresses and texts that nobody should see


def _typed(error: Exception, doing: str) -> TsunamiError | None:
    from databricks.sdk.errors.base import DatabricksError
    from databricks.sql.exc import Error, ReydenThriftUnsupportedError, ServerOperationError

    if isinstance(error, ReydenThriftUnsupportedError):
        return ConfigError(
            f"{doing} failed: the warehouse speaks no Thrift, which loads need",
            code="warehouse_unsupported",
            field="warehouse_id",
            fix="choose a serverless, pro or classic SQL warehouse",
        )
    if isinstance(error, ServerOperationError):
        return refused(str(error), doing)
    if isinstance(error, Error):
        return _request_failed(error, doing)
    if isinstance(error, DatabricksError):
        return _api_failed(error, doing)
    return _network(error, doing)


def refused(said: str, doing: str) -> TsunamiError:
    """Make an error of what the warehouse said: its message is ours, for that text may hold values of rows."""
    found = _CLASS.search(said)
    name = found[1] if found else ""
    family = name.partition(".")[0]
    if family in _VALUES:
        found_value = _VALUES[family]
        return DataError(found_value.message, code=found_value.code, fix=found_value.fix)
    if family in ("INSUFFICIENT_PERMISSIONS", "PERMISSION_DENIED"):
        return _not_allowed(said, doing)
    if family.startswith(("DELTA_CONCURRENT", "DELTA_METADATA_CHANGED", "DELTA_PROTOCOL_CHANGED")):
        return TransientError(f"{doing} met another writer of the table", code="concurrent_write")
    if family == "STATEMENT_TIMEOUT":
        return took_too_long(doing)
    if family == "NO_SUCH_CATALOG_EXCEPTION":
        return StatementError(
            f"{doing} failed: the tenant's catalog is not there",
            name=name,
            code="tenant_not_set_up",
            fix="run `tsunami tenants create` for it",
        )
    described = said.partition("] ")[2].partition(" SQLSTATE")[0]
    return StatementError(
        f"{doing} failed: the warehouse refused a statement ({name or 'no reason given'})",
        name=name,
        described=described,
        code="statement_refused",
        fix="look it up in the query history of the workspace",
    )


def took_too_long(doing: str) -> PermanentError:
    """Say that a statement was stopped."""
    return PermanentError(
        f"{doing} took longer than it may, and was stopped",
        code="query_timeout",
        fix="read fewer rows with WHERE, or aggregate before joining",
    )


def _not_allowed(said: str, doing: str) -> TsunamiError:
    found = re.search(r"does not have ([A-Z_ ]+) on", said)
    missing = f": {found[1].strip()} is missing" if found else ""
    return PermissionDenied(
        f"{doing} failed: the principal may not do that{missing}",
        code="not_granted",
        fix="grant it; docs/how-to/databricks.md lists what each principal needs",
    )


def _request_failed(error: Any, doing: str) -> TsunamiError:
    context = getattr(error, "context", None) or {}
    if str(context.get("http-code")) in ("401", "403") or _REFUSED.search(str(error)):
        return AuthError(f"{doing} failed: the workspace refused the sign-in", code="sign_in_refused", fix=_SIGN_IN_FIX)
    return _unreachable(doing)


def _api_failed(error: Any, doing: str) -> TsunamiError:
    from databricks.sdk import errors

    if isinstance(error, errors.Unauthenticated):
        return AuthError(f"{doing} failed: the workspace refused the sign-in", code="sign_in_refused", fix=_SIGN_IN_FIX)
    if isinstance(error, errors.PermissionDenied):
        return _not_allowed(str(error), doing)
    if isinstance(error, errors.NotFound):
        return NotFound(f"{doing} failed: what it needs is not there", code="not_found")
    if isinstance(error, errors.TooManyRequests):
        return RateLimited(f"{doing} failed: the workspace is busy", code="rate_limited")
    if isinstance(error, errors.InternalError | errors.TemporarilyUnavailable | errors.DeadlineExceeded):
        return TransientError(f"{doing} failed: the workspace is not available", code="workspace_unavailable")
    return PermanentError(
        f"{doing} failed: the workspace refused a request ({error.error_code})", code="request_refused"
    )


def _network(error: Exception, doing: str) -> TsunamiError | None:
    import requests
    import urllib3

    if isinstance(error, ValueError) and "auth" in str(error).casefold():
        return AuthError(
            f"{doing} failed: nobody can sign in with these settings", code="sign_in_refused", fix=_SIGN_IN_FIX
        )
    known = (OSError, TimeoutError, requests.RequestException, urllib3.exceptions.HTTPError)
    if isinstance(error, known) or type(error).__module__.startswith("databricks."):
        return _unreachable(doing)
    return None


def _unreachable(doing: str) -> TransientError:
    return TransientError(f"{doing} failed: the workspace could not be reached", code="workspace_unreachable")
