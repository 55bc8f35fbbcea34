"""What Google says when it refuses, in words that tell what to do."""

from __future__ import annotations

import json
from typing import Any

from servicetsunami.sdk import AuthError, ConfigError, DataError, NotFound, PermissionDenied, TsunamiError
from servicetsunami.sdk.http import HttpResponse


def explained(answer: HttpResponse, email: str | None) -> TsunamiError | None:
    """Return the error that an answer means; None where its status says enough."""
    error = _error(answer.body)
    status, reasons = str(error.get("status", "")), _reasons(error)
    if answer.status == 401:
        return AuthError(
            "Google does not accept the access token, so nothing can be read",
            code="credentials_refused",
            field="service_account_json" if email else "refresh_token",
            fix="check that the key was not deleted" if email else "sign in again",
        )
    if answer.status == 403:
        return _forbidden(status, reasons, email)
    if answer.status == 404:
        return _not_found(email)
    if answer.status == 400 and status == "FAILED_PRECONDITION":
        return DataError(
            "this is no Google spreadsheet but a file of another kind, so the Sheets API cannot read it",
            code="not_a_spreadsheet",
            field="spreadsheets",
            fix="open it in Google Sheets and choose File, Save as Google Sheets; or upload the file itself",
        )
    return None


def _forbidden(status: str, reasons: set[str], email: str | None) -> TsunamiError | None:
    if reasons & {"SERVICE_DISABLED", "accessNotConfigured"}:
        return ConfigError(
            "the Google Sheets API is not enabled in the Google Cloud project that the credentials belong to",
            code="api_disabled",
            field="service_account_json" if email else "client_id",
            fix="enable the Google Sheets API in that project's console, and wait a few minutes",
        )
    if reasons & {"ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions"}:
        return PermissionDenied(
            "the sign-in does not allow reading spreadsheets",
            code="scope_missing",
            field="refresh_token",
            fix="sign in again and allow to see your spreadsheets",
        )
    if status in ("", "PERMISSION_DENIED"):
        return PermissionDenied(
            "the spreadsheet is not shared with whom it is read for",
            code="not_shared",
            field="spreadsheets",
            fix=f"share it with {email}, as a viewer" if email else "sign in as somebody who can open it",
        )
    return None


def _not_found(email: str | None) -> NotFound:
    return NotFound(
        "there is no spreadsheet with this id",
        code="spreadsheet_not_found",
        field="spreadsheets",
        fix="copy the address from the browser again" + (f"; if it is right, share it with {email}" if email else ""),
    )


def _error(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    error = found.get("error") if isinstance(found, dict) else None
    return error if isinstance(error, dict) else {}


def _reasons(error: dict[str, Any]) -> set[str]:
    parts = [*_list(error.get("details")), *_list(error.get("errors"))]
    return {str(part["reason"]) for part in parts if isinstance(part, dict) and part.get("reason")}


def _list(found: object) -> list[Any]:
    return found if isinstance(found, list) else []
