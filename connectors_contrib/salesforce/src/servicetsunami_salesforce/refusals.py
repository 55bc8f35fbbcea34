"""What Salesforce says when it refuses, in words that tell what to do; its own may hold values and are not repeated."""

from __future__ import annotations

import json

from servicetsunami.sdk import (
    AuthError,
    NotFound,
    PermanentError,
    PermissionDenied,
    RateLimited,
    TransientError,
    TsunamiError,
)
from servicetsunami.sdk.http import HttpResponse

_DENIED = frozenset(
    {"INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY", "API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED"}
)
_PASSING = frozenset({"QUERY_TIMEOUT", "SERVER_UNAVAILABLE", "UNABLE_TO_LOCK_ROW", "OPERATION_TOO_LARGE"})


def explained(answer: HttpResponse) -> TsunamiError | None:
    """Return the error that an answer means; None where its status says enough."""
    code = error_code(answer.body)
    if answer.status == 401 or code == "INVALID_SESSION_ID":
        return AuthError(
            "Salesforce does not accept the access token, so nothing can be read",
            code="credentials_refused",
            fix="sign in again; check that the connected app is still allowed",
        )
    if code == "REQUEST_LIMIT_EXCEEDED":
        return RateLimited(
            "the organisation's API requests of the last 24 hours are used up",
            code="api_limit",
            fix="sync less often or fewer objects, or buy more API requests; the limit frees itself hour by hour",
            retry_after_seconds=300,
        )
    if code in _DENIED:
        return _denied(code)
    if code in _PASSING:
        return TransientError(
            "Salesforce could not answer in time",
            code="source_busy",
            why=code,
            fix="it is tried again; for large objects lower bulk_from_rows, so that they are read in bulk",
        )
    return _of_query(code)


def _denied(code: str) -> TsunamiError:
    return PermissionDenied(
        "the user who signed in may not read this through the API",
        code="permission_denied",
        why=code,
        fix="give the user a permission set with API Enabled and Read on the objects; some editions have no API",
    )


def _of_query(code: str) -> TsunamiError | None:
    if code in ("INVALID_FIELD", "MALFORMED_QUERY"):
        return TransientError(
            "a field of the object was removed or hidden since it was described",
            code="fields_changed",
            fix="it is tried again with the fields there are now",
        )
    if code in ("INVALID_TYPE", "NOT_FOUND"):
        return NotFound(
            "there is no such object, or the user who signed in may not see it",
            code="object_not_found",
            field="objects",
            fix="check the API name in Setup, Object Manager; custom objects end in __c",
        )
    if code == "INVALID_QUERY_LOCATOR":
        return TransientError("the query was left open for too long, so Salesforce forgot it", code="query_expired")
    return PermanentError("Salesforce refused the request", code="request_refused", why=code) if code else None


def error_code(body: bytes) -> str:
    """Return the code in an error's body; empty if there is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    first = found[0] if isinstance(found, list) and found else found
    return str(first.get("errorCode") or first.get("error") or "")[:60] if isinstance(first, dict) else ""
