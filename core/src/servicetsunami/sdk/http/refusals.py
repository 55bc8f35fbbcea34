"""What a status of 400 or more means, as a typed error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from servicetsunami.sdk.errors import (
    AuthError,
    NotFound,
    PermanentError,
    PermissionDenied,
    RateLimited,
    TransientError,
    TsunamiError,
)

_LONGEST_WAIT_SECONDS = 300.0
_TRANSIENT = frozenset({408, 425})


def refusal(method: str, url: str, status: int, headers: Mapping[str, str]) -> TsunamiError | None:
    """Return what an answer's status means, None if it is a success. The body is not repeated: it may hold anything."""
    if status < 400:
        return None
    where = f"{method} {url} was answered with status {status}"
    wait = _wait_seconds(headers)
    if status == 429 or (status in (403, 503) and headers.get("x-ratelimit-remaining") == "0"):
        return RateLimited(where, code="rate_limited", retry_after_seconds=wait)
    if status >= 500 or status in _TRANSIENT:
        return TransientError(where, code="server_error", retry_after_seconds=wait)
    return _final(where, status)


def _final(where: str, status: int) -> TsunamiError:
    if status == 401:
        return AuthError(
            where, code="credentials_refused", fix="check the token or password, and that it has not expired"
        )
    if status == 403:
        return PermissionDenied(where, code="permission_denied", fix="give the credentials the right to read this")
    if status in (404, 410):
        return NotFound(where, code="path_not_found", fix="check the base URL and the path")
    return PermanentError(where, code="request_refused", fix="check the path and its parameters")


def _wait_seconds(headers: Mapping[str, str]) -> float | None:
    given = headers.get("retry-after", "").strip()
    if not given:
        return None
    try:
        seconds = float(given) if given.replace(".", "", 1).isdigit() else _until(given)
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)


def _until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return (moment - datetime.now(moment.tzinfo or UTC)).total_seconds()
