"""Settings of a PostgreSQL connection. They are discrete: a DSN hides a password where errors print it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, SecretStr, field_validator

from servicetsunami.sdk import Config

SslMode: TypeAlias = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]


class PostgresConfig(Config):
    """Where the database is, who reads it, and how the connection is protected."""

    identity = ("host", "port", "database")

    host: str = Field(
        description="Name or address of the server, without scheme or port; or the folder of its Unix socket.",
        min_length=1,
        max_length=255,
        examples=["db.example.com", "localhost"],
    )
    port: int = Field(5432, description="TCP port of the server.", ge=1, le=65535)
    database: str = Field(description="Database to read.", min_length=1, max_length=63, examples=["shop"])
    user: str = Field(
        description="Role to log in as; one that may only read is enough and best.",
        min_length=1,
        max_length=63,
        examples=["reader"],
    )
    password: SecretStr = Field(SecretStr(""), description="Password of the role; empty if the server asks for none.")
    sslmode: SslMode = Field(
        "prefer",
        description=(
            "TLS: `verify-full` checks the server's certificate and name, `verify-ca` its certificate, `require` "
            "encrypts without a check, `prefer` encrypts if the server can, `disable` never encrypts."
        ),
    )
    ssl_root_cert: str | None = Field(
        None,
        description="PEM text of the authorities to trust with verify-ca and verify-full; empty for the system's.",
    )
    ssl_cert: str | None = Field(None, description="PEM text of the client certificate, where the server asks for one.")
    ssl_key: SecretStr | None = Field(None, description="PEM text of the client certificate's unencrypted key.")
    schemas: tuple[str, ...] = Field(
        (), description="Only these schemas; empty for all that the role may read.", examples=[["public", "sales"]]
    )
    statement_timeout_seconds: int = Field(
        0,
        description="Longest time one statement may run at the server; 0 for the server's own limit.",
        ge=0,
        le=86_400,
    )
    stall_timeout_seconds: int = Field(
        120, description="Longest silence of the server in the middle of a read before it is given up.", ge=1, le=3600
    )
    max_lag_mb: int = Field(
        10_240,
        description=(
            "Most log in MiB that the server may have to keep for one table synced by its changes; beyond it the feed "
            "is dropped at its next sync, and the table read in full again. 0 for no limit."
        ),
        ge=0,
    )

    @field_validator("host", "database", "user")
    @classmethod
    def _is_one_word(cls, value: str) -> str:
        # A NUL would end the word early in the server's protocol, and begin a setting.
        if not value.isprintable():
            raise ValueError("control characters are not part of a name")
        return value

    @field_validator("host")
    @classmethod
    def _is_host(cls, value: str) -> str:
        if "://" in value or set(value) & set("@, "):
            raise ValueError("give the server's name alone; port, user, password and database have fields of their own")
        return value
