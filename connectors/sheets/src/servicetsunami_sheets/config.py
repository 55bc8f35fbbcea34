"""Settings of a connection to Google Sheets: which spreadsheets, and on whose behalf they are read."""

from __future__ import annotations

import json
import re
from typing import Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from servicetsunami.sdk import Config

GOOGLE = "https://sheets.googleapis.com"
_ID = re.compile(r"[A-Za-z0-9_-]{20,100}")
_URL = re.compile(r"https://docs\.google\.com/spreadsheets/(?:u/\d+/)?d/([A-Za-z0-9_-]{20,100})(?:[/?#].*)?")


class SheetsConfig(Config):
    """Which spreadsheets to read, and on whose behalf."""

    identity = ("spreadsheets", "api_url")

    spreadsheets: tuple[str, ...] = Field(
        description="Spreadsheets to read: each by its address in the browser, or by its id.",
        min_length=1,
        max_length=50,
        examples=[["https://docs.google.com/spreadsheets/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit"]],
    )
    service_account_json: SecretStr | None = Field(
        None,
        description="Key file of a service account, as JSON. Share the spreadsheets with its e-mail address.",
    )
    client_id: str | None = Field(
        None, description="Client id of your Google Cloud project, to sign in as a person instead of a service account."
    )
    client_secret: SecretStr | None = Field(None, description="Client secret that belongs to client_id.")
    refresh_token: SecretStr | None = Field(None, description="What signing in gave; nobody needs to type it.")
    header_row: int | None = Field(
        None, description="Row that names the columns, counted from 1; by default it is found.", ge=1, le=1_000_000
    )
    has_header: bool = Field(True, description="Whether a row names the columns; else they are column_1, column_2, …")
    include_hidden: bool = Field(False, description="Read hidden worksheets too.")
    api_url: str = Field(
        GOOGLE, description="Where the Sheets API is. Leave it as it is.", pattern=r"^https?://[^/@\s]+$"
    )

    @field_validator("spreadsheets")
    @classmethod
    def _are_spreadsheets(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            if spreadsheet_id(one) is None:
                raise ValueError("give each spreadsheet as its address in the browser, or as the id in that address")
        return given

    @model_validator(mode="after")
    def _header_is_one(self) -> Self:
        if self.header_row is not None and not self.has_header:
            raise ValueError("header_row is set although has_header is false")
        return self

    @model_validator(mode="after")
    def _lets_somebody_in(self) -> Self:
        if self.service_account_json is not None:
            service_account(self.service_account_json.get_secret_value())
        elif not (self.client_id and self.refresh_token):
            raise ValueError("give service_account_json, or client_id and sign in")
        return self


def spreadsheet_id(text: str) -> str | None:
    """Return the id in an address, or the id itself; None if it is neither."""
    found = _URL.fullmatch(text.strip())
    if found:
        return found[1]
    return text.strip() if _ID.fullmatch(text.strip()) else None


def service_account(text: str) -> dict[str, Any]:
    """Return what is used of a key file: an address in it is never followed. Raises `ValueError`."""
    try:
        found = json.loads(text)
    except ValueError:
        raise ValueError("service_account_json is not the JSON of a key file") from None
    if not isinstance(found, dict) or found.get("type") != "service_account":
        raise ValueError("service_account_json is not the key file of a service account: its type says otherwise")
    kept = {name: found.get(name) for name in ("client_email", "private_key", "private_key_id")}
    if not all(isinstance(value, str) and value for value in kept.values()):
        raise ValueError("service_account_json lacks client_email, private_key or private_key_id")
    return kept
