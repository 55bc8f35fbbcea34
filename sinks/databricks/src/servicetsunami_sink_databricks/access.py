"""Signs in: once by the SDK, for files and for statements alike."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from servicetsunami.sdk import ConfigError
from servicetsunami_sink_databricks.config import DatabricksConfig
from servicetsunami_sink_databricks.failures import on_databricks

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.core import Config as SdkConfig

Role = Literal["loader", "reader"]
_PRODUCT = "servicetsunami"


def sdk_config(config: DatabricksConfig, role: Role = "loader") -> SdkConfig:
    """Return the SDK's settings for whoever loads, or only queries; asks the workspace how to sign in."""
    from databricks.sdk.core import Config as SdkConfig

    with on_databricks("signing in"):
        known = SdkConfig(
            host=config.host,
            **_credentials(config, role),
            http_timeout_seconds=60,
            retry_timeout_seconds=config.retry_seconds,
            product=_PRODUCT,
        )
        known.authenticate()  # a secret that is wrong is told apart from a workspace that is away only here
        return known


def workspace_client(config: DatabricksConfig) -> WorkspaceClient:
    """Return the SDK's client for files and notebooks."""
    from databricks.sdk import WorkspaceClient

    return WorkspaceClient(config=sdk_config(config))


def connect(config: DatabricksConfig, role: Role, timeout_seconds: int) -> Any:
    """Open a session of the SQL connector whose statements end after `timeout_seconds`.

    A connection is used by one thread. The connector waits at least `_retry_delay_max` before it asks a busy
    warehouse again, hence the least that it lets us set; its telemetry would send the texts of errors.
    """
    from databricks import sql

    # It logs each failure before it raises it, with whatever the server said; ours says it once, in words of our own.
    logging.getLogger("databricks.sql").setLevel(logging.CRITICAL)
    known = sdk_config(config, role)
    path = f"/sql/1.0/warehouses/{config.warehouse_id}"
    plain = {"_connection_uri": config.host + path} if config.host.startswith("http://") else {}
    found = urlsplit(config.host)
    with on_databricks("connecting to the warehouse"):
        return sql.connect(
            server_hostname=found.hostname,
            http_path=path,
            credentials_provider=lambda: known.authenticate,
            session_configuration={
                "TIMEZONE": "UTC",
                "ANSI_MODE": "true",
                "STATEMENT_TIMEOUT": str(timeout_seconds),
            },
            user_agent_entry=_PRODUCT,
            enable_telemetry=False,
            _port=found.port or 443,
            _retry_delay_max=5,
            _retry_stop_after_attempts_duration=config.retry_seconds,
            _socket_timeout=max(60, config.retry_seconds),
            **plain,
        )


def _credentials(config: DatabricksConfig, role: Role) -> dict[str, Any]:
    if role == "reader":
        if config.reader_client_id and config.reader_client_secret:
            return _machine(config.reader_client_id, config.reader_client_secret.get_secret_value())
        if config.reader_token:
            return {"token": config.reader_token.get_secret_value(), "auth_type": "pat"}
    if config.client_id and config.client_secret:
        return _machine(config.client_id, config.client_secret.get_secret_value())
    if config.azure_client_id and config.azure_client_secret:
        return {
            "azure_client_id": config.azure_client_id,
            "azure_client_secret": config.azure_client_secret.get_secret_value(),
            "azure_tenant_id": config.azure_tenant_id,
            "auth_type": "azure-client-secret",
        }
    if config.token:
        return {"token": config.token.get_secret_value(), "auth_type": "pat"}
    if config.profile:
        return {"profile": config.profile}
    raise ConfigError(
        "nothing says who signs in to Databricks",
        code="credentials_missing",
        field="token",
        fix="set DATABRICKS_TOKEN, or DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET",
    )


def _machine(client_id: str, secret: str) -> dict[str, Any]:
    return {"client_id": client_id, "client_secret": secret, "auth_type": "oauth-m2m"}
