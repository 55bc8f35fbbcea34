"""The settings: what each one is called, what it may hold and what it is when nobody says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr

APPLICATION = "servicetsunami"
PREFIX = "TSUNAMI_"
SECRETS = f"{PREFIX}SECRET_"
"""Variables that begin so hold secrets of sources, to which connections may refer."""

_FOREIGN = frozenset(
    {
        "api_base_url",
        "api_internal_key",
        "databricks_host",
        "databricks_client_id",
        "databricks_client_secret",
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


def _pairs(value: object) -> object:
    """Read `a=b, c=d` as a mapping, since an environment variable has only text."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if not all(mark and name.strip() for name, mark, _ in pairs):
        raise ValueError("write name=value, with commas between several")
    return {name.strip(): text.strip() for name, _, text in pairs}


Names = Annotated[tuple[str, ...], BeforeValidator(_parts)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_parts)]
Options = Annotated[Mapping[str, SecretStr], BeforeValidator(_pairs)]
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
    sink_options: Options = Field(
        default_factory=dict,
        description="Settings of the sink's own, as `name=value` with commas between, or a table in a file; what there "
        "is says the README of the sink.",
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
    file_roots: Names = Field(
        (),
        description="Folders whose files a connection may read, besides the working directory over stdio and on the "
        "command line. Over HTTP only those whose path holds `{tenant}`, such as `/srv/inbox/{tenant}`.",
    )
    max_upload_mb: int = Field(2_048, ge=1, le=1_048_576, description="How large an uploaded file may be, in MiB.")
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
    databricks_client_id: str | None = Field(
        None, description="Service principal of the Databricks workspace that signs in by OAuth, instead of a token."
    )
    databricks_client_secret: SecretStr | None = Field(None, description="Its OAuth secret.")
    databricks_warehouse_id: str | None = Field(None, description="SQL warehouse in the Databricks workspace.")
    read_only: bool = Field(
        False,
        description="Whether everybody may only look and ask: nothing is connected, synced, deleted or exported.",
    )
    secrets_in_tools: Literal["allow", "forbid"] | None = Field(
        None,
        description="Whether passwords and the like may be arguments of tools, where the model sees them. By default "
        "`allow` over stdio, `forbid` over HTTP.",
    )
    secret_references: Names = Field(
        (),
        description="Patterns of secrets on this machine that a connection may refer to instead of holding them, such "
        "as `env:SHOP_*` or `file:/run/secrets/*`. By default `env:TSUNAMI_SECRET_*` and the keyring entries of the "
        "service `servicetsunami`, over stdio and on the command line only.",
    )
    mcp_transport: Literal["stdio", "http", "streamable-http", "sse"] = Field(
        "stdio",
        description="How MCP clients talk to the server: `stdio`, `streamable-http` (`http` means the same), or `sse`, "
        "which also serves clients that speak nothing newer.",
    )
    mcp_host: str = Field("127.0.0.1", description="Address the MCP server listens on over HTTP.")
    mcp_port: int = Field(8085, ge=1, le=65535, description="Port of the MCP server over HTTP.")
    mcp_public_url: str | None = Field(
        None, description="Address by which clients reach the server over HTTP, such as `https://mcp.example.com/mcp`."
    )
    mcp_allowed_hosts: Names = Field(
        (), description="Values of the `Host` header that are served over HTTP, besides those of this machine."
    )
    mcp_allowed_origins: Names = Field((), description="Web origins that may use the server over HTTP.")
    mcp_max_request_bytes: int = Field(
        4 * 1024 * 1024, ge=65_536, description="How long a request over HTTP may be, in bytes."
    )
    mcp_workers: int = Field(1, ge=1, le=64, description="How many processes serve HTTP.")
    mcp_auth_issuer: str | None = Field(
        None, description="Who issues the tokens that callers over HTTP prove themselves with; their `iss`."
    )
    mcp_auth_audience: str | None = Field(
        None, description="Whom the tokens are for; their `aud`. By default `mcp_public_url`."
    )
    mcp_auth_jwks_url: str | None = Field(None, description="Where the issuer publishes its keys.")
    mcp_auth_key: SecretStr | None = Field(
        None,
        description="The issuer's public key in PEM, or a shared secret of 32 bytes or more, instead of a JWKS URL.",
    )
    mcp_auth_algorithms: Names = Field(
        ("RS256", "ES256", "EdDSA"), description="Signature algorithms of tokens; `HS256` with a shared secret."
    )
    mcp_auth_tenant_claim: str = Field("tenant", description="The claim of a token that names the tenant.")


def variable_of(name: str) -> str:
    """Return the environment variable of a setting: those that others defined keep their names."""
    return name.upper() if name in _FOREIGN else PREFIX + name.upper()


VARIABLES: Mapping[str, str] = {variable_of(name): name for name in Settings.model_fields}


def sink_settings(settings: Settings, sink: str, known: Collection[str]) -> dict[str, str]:
    """Return the settings of a sink: those of the host that are named after it, and those given as its options.

    `known` are the names that the sink has. A value is as it is given to the sink, secrets too.
    """
    given = {name: getattr(settings, f"{sink}_{name}", None) for name in known}
    named = {name: value for name, value in given.items() if value is not None}
    return {name: _plain(value) for name, value in {**named, **settings.sink_options}.items()}


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def live_secrets(settings: Settings) -> Iterator[str]:
    """Yield every secret that the settings hold, for redaction; the passwords of URLs too."""
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
    for url in (settings.records_url, settings.api_base_url):
        yield from (found[1] for found in _PASSWORD_IN_URL.findall(url or ""))
