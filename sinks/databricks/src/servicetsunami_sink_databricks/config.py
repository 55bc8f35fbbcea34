"""Settings of the sink."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from servicetsunami.sdk import Config


def _address(value: str) -> str:
    """Make a host an address with its scheme; plain http only to this machine."""
    found = urlsplit(value if "://" in value else f"https://{value}")
    if not found.hostname or found.path.strip("/") or found.query or found.username:
        raise ValueError("write the workspace's host alone, such as adb-1.azuredatabricks.net")
    if found.scheme == "http" and not _is_this_machine(found.hostname):
        raise ValueError("a token may not travel over plain http; leave http:// away")
    if found.scheme not in ("http", "https"):
        raise ValueError("write https:// before the host, or nothing")
    port = f":{found.port}" if found.port else ""
    return f"{found.scheme}://{found.hostname}{port}"


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Address = Annotated[str, AfterValidator(_address)]


class DatabricksConfig(Config):
    """Which workspace and warehouse, who signs in, and how large a load's parts are."""

    host: Address = Field(description="Workspace, such as adb-1.azuredatabricks.net.")
    warehouse_id: str = Field(min_length=1, pattern=r"^[\w-]+$", description="Id of the SQL warehouse.")
    token: SecretStr | None = Field(None, description="Access token of the principal that loads.")
    client_id: str | None = Field(None, description="Service principal that loads, signing in by OAuth.")
    client_secret: SecretStr | None = Field(None, description="Its OAuth secret.")
    azure_tenant_id: str | None = Field(None, description="Entra tenant of a service principal of Azure.")
    azure_client_id: str | None = Field(None, description="Its application id.")
    azure_client_secret: SecretStr | None = Field(None, description="Its secret.")
    profile: str | None = Field(None, description="Profile of ~/.databrickscfg that says who signs in.")
    reader_token: SecretStr | None = Field(None, description="Access token of the principal that only queries.")
    reader_client_id: str | None = Field(None, description="Service principal that only queries.")
    reader_client_secret: SecretStr | None = Field(None, description="Its OAuth secret.")
    loader_principal: str | None = Field(
        None, description="Who is granted the loads of a tenant when it is set up; {tenant} stands for the tenant."
    )
    reader_principal: str | None = Field(
        None, description="Who is granted the queries of a tenant when it is set up; {tenant} stands for the tenant."
    )
    bind_to_workspace: bool = Field(
        False, description="Let a tenant's catalog be seen in this workspace alone when it is set up."
    )
    notebook_folder: str = Field(
        "/Shared/servicetsunami/{tenant}", pattern=r"^/.+[^/]$", description="Where notebooks of a tenant go."
    )
    auto_create: bool = Field(True, description="Set a tenant up at its first load, if that was not done before.")
    part_mb: int = Field(128, ge=1, le=4096, description="Size of the files that a load is uploaded in, in MiB.")
    keep_stage_hours: float = Field(24.0, ge=1, description="How long files of a load that died are kept.")
    statement_timeout_seconds: int = Field(3600, ge=10, description="How long one statement of a load may take.")
    retry_seconds: int = Field(60, ge=5, description="How long a busy workspace is asked again before giving up.")
