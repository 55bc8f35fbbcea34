"""Settings of a REST connection: where the API is, how it lets people in, and what its streams are."""

from __future__ import annotations

import re
from typing import Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from servicetsunami.sdk import Config

Auth: TypeAlias = Literal[
    "none", "header", "bearer", "basic", "query", "oauth2_client_credentials", "oauth2_refresh_token"
]
PagingKind: TypeAlias = Literal["none", "link", "next_url", "cursor", "page", "offset"]
Hint: TypeAlias = Literal["text", "integer", "number", "decimal", "boolean", "timestamp", "date", "json"]
CursorFormat: TypeAlias = Literal["as_is", "iso", "date", "unix", "unix_ms"]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NEEDED: dict[str, tuple[str, ...]] = {
    "header": ("token",),
    "bearer": ("token",),
    "basic": ("user", "password"),
    "query": ("token",),
    "oauth2_client_credentials": ("oauth_url", "client_id", "client_secret"),
    "oauth2_refresh_token": ("oauth_url", "client_id", "refresh_token"),
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Paging(_Part):
    """How the API says where the next page is."""

    kind: PagingKind = Field(
        "none",
        description=(
            "`link`: a Link header with rel=next; `next_url`: the body holds the next page's URL; `cursor`: the body, "
            "or the last record, holds a value to send; `page`: pages are counted; `offset`: records are counted."
        ),
    )
    param: str | None = Field(
        None, description="Query parameter to send: of a page, offset or cursor. Default: `page`, `offset`, `cursor`."
    )
    next: str | None = Field(
        None, description="Where the body holds the next URL or cursor, such as `meta.next`. Default: `next`."
    )
    last_field: str | None = Field(
        None, description="With `cursor`: the field of the last record that is sent instead, such as `id`."
    )
    size_param: str | None = Field(None, description="Query parameter of the page size, such as `per_page`.")
    size: int | None = Field(None, description="Records to ask for in a page.", ge=1, le=100_000)
    first: int = Field(1, description="Number of the first page.", ge=0)
    past_end_is_404: bool = Field(
        False, description="With `page` and `offset`: the API answers 404 behind its last page."
    )

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.last_field and self.kind != "cursor":
            raise ValueError("last_field is for paging of the kind cursor")
        if (self.size_param is None) != (self.size is None):
            raise ValueError("size_param and size are given together")
        return self


class Parent(_Part):
    """The stream whose every record has a list of its own."""

    stream: str = Field(description="Name of the parent stream.", min_length=1)
    fields: dict[str, str] = Field(
        description="For each {placeholder} of the path the parent's field; both become columns of the rows.",
        examples=[{"user_id": "id"}],
        min_length=1,
    )


class StreamSettings(_Part):
    """One list of records that the API gives."""

    name: str = Field(description="Name of the stream, and of its table.", min_length=1, max_length=200)
    path: str = Field(description="Path below the base URL, such as `/v1/users`.", min_length=1, max_length=2000)
    records: str = Field(
        "",
        description="Where the body holds the list of records, such as `data.items`; empty if it is the body itself.",
    )
    null_is_empty: bool = Field(False, description="The API says null where it means an empty list.")
    key: tuple[str, ...] = Field((), description="Fields that identify a record.")
    cursor: str | None = Field(None, description="Field that grows whenever a record changes.")
    cursor_param: str | None = Field(
        None, description="Query parameter that asks for records at or after a cursor value."
    )
    cursor_format: CursorFormat = Field("as_is", description="How the parameter wants the value written.")
    params: dict[str, str] = Field(default_factory=dict, description="Query parameters of every request.")
    paging: Paging = Field(default_factory=Paging)
    parent: Parent | None = None
    types: dict[str, Hint] = Field(
        default_factory=dict, description="Types of fields, where the first page does not tell: dates, decimals, text."
    )
    nested: Literal["json", "struct"] = Field(
        "json", description="Objects and lists within a record as JSON text, or as typed structs and lists."
    )

    @model_validator(mode="after")
    def _placeholders_are_filled(self) -> Self:
        named = set(placeholders(self.path))
        filled = set(self.parent.fields) if self.parent else set()
        if named != filled:
            raise ValueError("every {placeholder} of the path is named in parent.fields, and no other")
        if self.cursor_param and not self.cursor:
            raise ValueError("cursor_param needs a cursor")
        if self.cursor_format != "as_is" and self.types.get(self.cursor or "") not in ("timestamp", "date"):
            raise ValueError("a cursor_format needs the type hint timestamp or date for the cursor")
        return self


class RestConfig(Config):
    """Where the API is, how it lets people in, and which lists of records it has."""

    identity = ("base_url",)

    base_url: str = Field(
        description="Address that all paths are below.", examples=["https://api.example.com/v1"], max_length=2000
    )
    auth: Auth = Field("none", description="How the API knows who asks.")
    auth_name: str | None = Field(
        None, description="Name of the header (`X-API-Key`) or query parameter (`api_key`) that carries the token."
    )
    token: SecretStr | None = Field(None, description="Bearer token or API key.")
    user: str | None = Field(None, description="User of basic authentication.")
    password: SecretStr | None = Field(None, description="Password of basic authentication.")
    oauth_url: str | None = Field(None, description="Where OAuth2 gives access tokens.", max_length=2000)
    client_id: str | None = Field(None, description="OAuth2 client.")
    client_secret: SecretStr | None = Field(None, description="Secret of the OAuth2 client.")
    refresh_token: SecretStr | None = Field(None, description="OAuth2 refresh token.")
    scopes: str | None = Field(None, description="OAuth2 scopes, separated by spaces.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers of every request; none that is secret.")
    params: dict[str, str] = Field(default_factory=dict, description="Query parameters of every request.")
    requests_per_second: float | None = Field(None, description="Most requests in a second.", gt=0, le=1000)
    parallel_requests: int = Field(
        1, description="Pages asked for at the same time, where pages or records are counted.", ge=1, le=16
    )
    timeout_seconds: float = Field(60.0, description="Longest silence of the server.", gt=0, le=600)
    streams: tuple[StreamSettings, ...] = Field((), description="The lists of records the API gives.")
    openapi: str | None = Field(
        None,
        description="Path of an OpenAPI document below the base URL, or its JSON text; used if no streams are given.",
    )

    @model_validator(mode="after")
    def _auth_has_what_it_needs(self) -> Self:
        missing = [name for name in _NEEDED.get(self.auth, ()) if not getattr(self, name)]
        if missing:
            raise ValueError(f"auth {self.auth} needs {' and '.join(missing)}")
        return self

    @field_validator("headers")
    @classmethod
    def _headers_are_not_secret(cls, headers: dict[str, str]) -> dict[str, str]:
        if any(name.lower() in ("authorization", "proxy-authorization", "cookie") for name in headers):
            raise ValueError("credentials belong into auth and token, where they are encrypted")
        return headers

    @model_validator(mode="after")
    def _streams_fit_together(self) -> Self:
        names = [stream.name for stream in self.streams]
        if len(set(names)) < len(names):
            raise ValueError("two streams have the same name")
        parents = {stream.name: stream.parent.stream for stream in self.streams if stream.parent}
        if not set(parents.values()) <= set(names) - set(parents):
            raise ValueError("a parent is another stream of the settings, which has no parent itself")
        if not (self.streams or self.openapi):
            raise ValueError("give streams, or an openapi document that proposes some")
        return self


def placeholders(path: str) -> tuple[str, ...]:
    """Name the placeholders of a path: `/users/{user_id}` has `user_id`."""
    return tuple(_PLACEHOLDER.findall(path))


def filled(path: str, values: dict[str, str]) -> str:
    """Return the path with its placeholders replaced by values that are already encoded."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], path)
