"""Settings of a files connection: where the files are, and what they cannot say of themselves."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from pydantic import Field, SecretStr, field_validator

from servicetsunami.sdk import Config

Format: TypeAlias = Literal["csv", "json", "jsonl", "parquet", "arrow", "excel"]
Compression: TypeAlias = Literal["none", "gzip", "zstd", "bz2", "zip"]


class FilesConfig(Config):
    """Where the files are and how to read them; what is left out is found in the files."""

    identity = ("location", "streams", "endpoint")

    location: str = Field(
        description="File or folder to read: absolute, or relative to a folder that may be read; or in an object "
        "store, such as s3://bucket/folder, gs://bucket/folder, az://container/folder; or the web address of a file.",
        min_length=1,
        max_length=4096,
        examples=["exports", "exports/orders.csv"],
    )
    streams: dict[str, str] = Field(
        default_factory=dict,
        description="Tables by name, each with a pattern of its files: `*` stands for part of a name, `**` for "
        "folders. By default each file is a table, and so is each folder of like files.",
        examples=[{"orders": "orders_*.csv", "events": "events/**/*.parquet"}],
    )
    format: Format | None = Field(None, description="Format of every file; by default by the ending of its name.")
    compression: Compression | None = Field(
        None, description="Compression of every file; by default by the ending of its name."
    )
    encoding: str | None = Field(
        None,
        description="Encoding of text files, such as `utf-8` or `cp1252`; by default found in the file.",
        max_length=40,
    )
    delimiter: str | None = Field(
        None,
        description="What separates the columns of a CSV file; by default found in it.",
        min_length=1,
        max_length=1,
    )
    quote: str = Field('"', description="What quotes text in a CSV file.", min_length=1, max_length=1)
    header: bool | None = Field(
        None, description="Whether the first row names the columns; by default found in CSV files, yes in sheets."
    )
    skip_rows: int = Field(0, description="Rows before the header, or before the data, to pass over.", ge=0, le=10_000)
    null_values: tuple[str, ...] = Field(
        ("",), description="Texts of a CSV file that mean null where they are not quoted.", max_length=50
    )
    sheet: str | None = Field(None, description="The one sheet of Excel files to read; by default every visible one.")
    cell_range: str | None = Field(
        None,
        description="Cells of the sheet to read, such as `B3:F200`.",
        pattern=r"^[A-Z]{1,3}[1-9]\d{0,6}:[A-Z]{1,3}[1-9]\d{0,6}$",
    )
    endpoint: str | None = Field(
        None, description="Address of an object store that is not the usual one, such as MinIO's.", max_length=1000
    )
    region: str | None = Field(None, description="Region of an S3 bucket; us-east-1 if left out.", max_length=60)
    access_key_id: str | None = Field(None, description="Access key id for S3; without it, buckets open to all.")
    secret_access_key: SecretStr | None = Field(None, description="Secret access key for S3.")
    session_token: SecretStr | None = Field(None, description="Session token of temporary S3 credentials.")
    service_account_json: SecretStr | None = Field(None, description="Key file of a Google service account, as JSON.")
    account_name: str | None = Field(None, description="Azure storage account.")
    account_key: SecretStr | None = Field(None, description="Key of the Azure storage account.")
    sas_token: SecretStr | None = Field(None, description="Azure shared access signature, instead of the key.")
    max_file_mb: int = Field(
        102_400, description="Largest file to read, as it lies on disk, in MiB.", ge=1, le=10_485_760
    )
    max_ratio: int = Field(
        200, description="How many times its own size a compressed file may grow to.", ge=2, le=10_000
    )
    max_cells: int = Field(20_000_000, description="Most cells of one Excel sheet.", ge=1, le=200_000_000)

    @field_validator("delimiter", "quote")
    @classmethod
    def _is_one_byte(cls, value: str | None) -> str | None:
        if value is not None and (not value.isascii() or value in "\r\n\0"):
            raise ValueError("give one ASCII character that is not a line end")
        return value

    @field_validator("location")
    @classmethod
    def _shows_no_key(cls, location: str) -> str:
        if re.match(r"https?://", location) and re.search(r"[?#@]", location):
            raise ValueError(
                "give the address without a query, user and password: they would be shown, and signed ones end"
            )
        return location

    @field_validator("endpoint")
    @classmethod
    def _is_an_origin(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and not re.fullmatch(r"https?://[^/@\s?#]+(/[\w.-]*)?/?", endpoint):
            raise ValueError("give endpoint as https://host, without user, password and query")
        return endpoint

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, value: str | None) -> str | None:
        if value is not None:
            _look_up(value)
        return value


def _look_up(encoding: str) -> None:
    import codecs

    try:
        known = codecs.lookup(encoding)
    except LookupError as error:
        raise ValueError("this encoding is not known; utf-8, utf-16 and cp1252 are common ones") from error
    if not getattr(known, "_is_text_encoding", True):
        raise ValueError("this is no encoding of text")
