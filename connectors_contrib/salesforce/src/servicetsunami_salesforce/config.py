"""Settings of a connection to Salesforce: which organisation, and on whose behalf it is read."""

from __future__ import annotations

import re

from pydantic import Field, SecretStr, field_validator

from servicetsunami.sdk import Config


class SalesforceConfig(Config):
    """Which organisation to read, and on whose behalf."""

    identity = ("login_url",)

    login_url: str = Field(
        "https://login.salesforce.com",
        description="Where people log in: https://login.salesforce.com, https://test.salesforce.com for a sandbox, or "
        "your own address such as https://acme.my.salesforce.com.",
    )
    client_id: str = Field(description="Consumer key of a connected app of your organisation.", min_length=1)
    client_secret: SecretStr | None = Field(None, description="Consumer secret of that app.")
    refresh_token: SecretStr | None = Field(
        None,
        description="What signing in gave; nobody needs to type it. Without it the app logs in by itself (client "
        "credentials), which needs your own address as login_url.",
    )
    objects: tuple[str, ...] = Field(
        (),
        description="Objects to read, by API name; by default every one that can be queried.",
        max_length=500,
        examples=[["Account", "Contact", "Invoice__c"]],
    )
    include_deleted: bool = Field(
        True, description="Bring rows in the recycle bin too, with IsDeleted, so that deletions arrive."
    )
    api_version: str = Field("64.0", description="Version of the API.")
    bulk_from_rows: int = Field(
        50_000, description="From how many rows on an object is read by Bulk API 2.0.", ge=0, le=1_000_000_000
    )

    @field_validator("login_url")
    @classmethod
    def _is_an_origin(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^/@\s?#]+/?", url):
            raise ValueError("give login_url as https://host, without a path")
        return url

    @field_validator("api_version")
    @classmethod
    def _is_a_version(cls, version: str) -> str:
        if not re.fullmatch(r"\d{2}\.0", version):
            raise ValueError("give api_version with its zero, such as 64.0")
        return version

    @field_validator("objects")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not name.isidentifier() or not name.isascii():
                raise ValueError("give objects by their API names, such as Account or Invoice__c")
        return names
