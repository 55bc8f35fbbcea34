"""The settings: what each one is called, what it may hold and what it is when nobody says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr

APPLICATION = "servicetsunami"
PREFIX = "TSUNAMI_"

_FOREIGN = frozenset(
    {
        "api_base_url",
        "api_internal_key",
        "databricks_host",
        "databricks_token",
        "databricks_warehouse_id",
        "mcp_port",
        "mcp_transport",
    }
)
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/?#\s]*?):([^/?#\s]*)@")


def _parts(value: object) -> object:
    """Read `a, b` as a list, since an environment variable has only text."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _without_password(url: str | None) -> str | None:
    return url and _PASSWORD_IN_URL.sub(r"\1:***@", url)


Names = Annotated[tuple[str, ...], BeforeValidator(_parts)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_parts)]
Url = Annotated[str | None, PlainSerializer(_without_password, when_used="json")]


class Settings(BaseModel):
    """Every setting of the host. In JSON no secret is shown, nor the password of a URL."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    home: Path = Field(
        default_factory=lambda: platformdirs.user_data_path(APPLICATION, appauthor=False),
        description="Folder of our own files: records, keys, tables. By default the platform's folder for user data.",
    )
    tenant: str = Field(
        "default",
        pattern=r"^[a-z0-9][a-z0-9_]{0,47}$",
        description="Tenant that the command line and stdio work for: a-z, 0-9 and _, at most 48 characters.",
    )
    sink: str | None = Field(
        None,
        description="Sink to store rows in. By default `databricks` if it is installed and its three variables are "
        "set, else `lakehouse`.",
    )
    records_url: Url = Field(
        None,
        repr=False,
        description="System of record: `sqlite:////path/to/file.db` or `postgresql://user:password@host/database`. "
        "By default a SQLite file in `home`.",
    )
    master_key: SecretStr | None = Field(
        None,
        description="Key that seals stored secrets: 32 random bytes or more in base64 or hex; several with commas, the "
        "newest first. By default a key file in `home`, made at first use.",
    )
    use_keyring: bool = Field(False, description="Keep the master key in the system's keyring instead of a file.")
    plugins_allow: Names = Field(
        (), description="The only plugins that may be imported, as `name` or `name==version`. Empty allows all."
    )
    allow_private_addresses: bool = Field(
        True, description="Whether sources on this machine and in private networks may be reached."
    )
    allowed_networks: Networks = Field(
        (), description="Private networks that may be reached all the same, such as `10.1.0.0/16`."
    )
    query_timeout_seconds: float = Field(30.0, gt=0, le=3600, description="How long a query may take.")
    parallel_reads: int = Field(
        2, ge=1, le=64, description="How many parts of a table are read at once, at most as many as there are cores."
    )
    worker_memory_mb: int = Field(
        2048, ge=128, description="How much memory the worker process of one read may use, in MiB."
    )
    worker_silence_seconds: float = Field(
        300.0, gt=0, le=86_400, description="How long a source may give nothing before its read is ended and retried."
    )
    sandbox: Literal["none", "bubblewrap"] = Field(
        "none",
        description="Where workers run: `none` contains faults; `bubblewrap`, where bwrap is installed, also "
        "hides every file but Python's and the connector's own folder, and leaves of the network only what the host "
        "dials.",
    )
    evolve: Literal["add", "widen", "freeze"] = Field(
        "add",
        description="What a sync does when a table's columns changed at the source: `add` new ones, also `widen` "
        "types, or `freeze` and refuse.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="The least severe messages that are logged, to standard error."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="How log messages look; `auto` is `console` on a terminal and `json` elsewhere."
    )
    api_base_url: Url = Field(
        None, repr=False, description="Address of a system of record that other machines share. Not served yet."
    )
    api_internal_key: SecretStr | None = Field(None, description="Key for the system of record at `api_base_url`.")
    databricks_host: str | None = Field(None, description="Databricks workspace, such as `adb-1.azuredatabricks.net`.")
    databricks_token: SecretStr | None = Field(None, description="Access token for the Databricks workspace.")
    databricks_warehouse_id: str | None = Field(None, description="SQL warehouse in the Databricks workspace.")
    mcp_port: int = Field(8085, ge=1, le=65535, description="Port of the MCP server over HTTP.")
    mcp_transport: Literal["stdio", "http", "streamable-http", "sse"] = Field(
        "stdio", description="How MCP clients talk to the server. Only `stdio` is served yet."
    )


def variable_of(name: str) -> str:
    """Return the environment variable of a setting: those that others defined keep their names."""
    return name.upper() if name in _FOREIGN else PREFIX + name.upper()


VARIABLES: Mapping[str, str] = {variable_of(name): name for name in Settings.model_fields}


def live_secrets(settings: Settings) -> Iterator[str]:
    """Yield every secret that the settings hold, for redaction; the passwords of URLs too."""
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
    for url in (settings.records_url, settings.api_base_url):
        yield from (found[1] for found in _PASSWORD_IN_URL.findall(url or ""))
