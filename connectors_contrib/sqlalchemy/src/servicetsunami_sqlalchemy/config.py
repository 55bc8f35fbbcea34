"""Settings of a connection to a SQL database, by the parts of its address."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from servicetsunami.sdk import Config

SQLITE = "sqlite"
MYSQL = ("mysql", "mariadb")


class SqlConfig(Config):
    """Which database, and as whom."""

    identity = ("dialect", "host", "port", "database")

    dialect: str = Field(
        description="Kind of database: `sqlite`, `mysql`, `mariadb`; or, untried by us, another dialect of SQLAlchemy "
        "with its driver, such as `oracle+oracledb` or `mssql+pymssql`.",
        pattern=r"^[a-z][a-z0-9_]*(\+[a-z][a-z0-9_]*)?$",
        max_length=60,
        examples=["mariadb", "sqlite"],
    )
    database: str = Field(
        description="Name of the database; of SQLite the file, absolute or relative to a folder that may be read.",
        min_length=1,
        max_length=1000,
    )
    host: str | None = Field(None, description="Name or address of the server; none for SQLite.", max_length=255)
    port: int | None = Field(None, description="TCP port; by default the usual one.", ge=1, le=65_535)
    user: str | None = Field(None, description="Whom to log in as.", max_length=200)
    password: SecretStr = Field(SecretStr(""), description="Password of the user.")
    tls: Literal["prefer", "off", "require", "verify"] = Field(
        "prefer",
        description="MySQL and MariaDB: encrypt where the server can, never, always, or always and check the server's "
        "certificate and name.",
    )
    tls_ca: str | None = Field(
        None, description="PEM text of the authorities that `verify` trusts; by default those of this machine."
    )
    schemas: tuple[str, ...] = Field((), description="Schemas to read besides the default one.", max_length=100)

    @field_validator("database")
    @classmethod
    def _is_plain(cls, database: str) -> str:
        if "\0" in database or database.startswith("file:"):
            raise ValueError("give the name of a database or the path of a file")
        return database

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.dialect == SQLITE and (self.host or self.user):
            raise ValueError("sqlite has neither host nor user: leave them out")
        if self.dialect != SQLITE and not self.host:
            raise ValueError("host is missing")
        return self
