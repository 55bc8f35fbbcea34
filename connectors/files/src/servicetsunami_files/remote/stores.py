"""Stores by the scheme of their address, with the credentials of the settings and no others."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from servicetsunami.sdk import ConfigError, Context, TokenRequest

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from servicetsunami_files.config import FilesConfig

_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, no secret
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_RETRIES: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}


def open_store(config: FilesConfig, ctx: Context, proxy_url: str) -> tuple[ObjectStore, str]:
    """Return the store that `location` names and the path within it; raises `ConfigError`."""
    parts = urlsplit(config.location)
    _need_library()
    options: Any = {
        "proxy_url": proxy_url,
        "allow_http": (config.endpoint or "").startswith("http://"),
        "connect_timeout": "15s",
        "timeout": "120s",
    }
    made = {"s3": _s3, "gs": _gcs, "az": _azure}[parts.scheme]
    return made(config, ctx, parts.netloc, options), parts.path.strip("/")


def _need_library() -> None:
    try:
        import_module("obstore")
    except ModuleNotFoundError:
        raise ConfigError(
            "object stores need a library that is not installed",
            code="driver_missing",
            field="location",
            fix="pip install 'servicetsunami-files[cloud]'",
        ) from None


def _s3(config: FilesConfig, _ctx: Context, bucket: str, options: Any) -> ObjectStore:
    from obstore.store import S3Store

    given: Any = {"region": config.region or "us-east-1"}
    if config.endpoint:
        given |= {"endpoint": config.endpoint, "virtual_hosted_style_request": False}
    if config.access_key_id and config.secret_access_key:
        key: Any = {
            "access_key_id": config.access_key_id,
            "secret_access_key": config.secret_access_key.get_secret_value(),
            "token": config.session_token.get_secret_value() if config.session_token else None,
            "expires_at": None,
        }
        # A provider, so that nothing of the environment is looked at.
        return S3Store(bucket, client_options=options, retry_config=_RETRIES, credential_provider=lambda: key, **given)
    return S3Store(bucket, client_options=options, retry_config=_RETRIES, skip_signature=True, **given)


def _gcs(config: FilesConfig, ctx: Context, bucket: str, options: Any) -> ObjectStore:
    from obstore.store import GCSStore

    given: Any = {"base_url": config.endpoint} if config.endpoint else {}
    if config.service_account_json is None:
        return GCSStore(bucket, client_options=options, retry_config=_RETRIES, skip_signature=True, **given)
    provider = _google(config.service_account_json, ctx, config.endpoint)
    return GCSStore(bucket, client_options=options, retry_config=_RETRIES, credential_provider=provider, **given)


def _google(key: SecretStr, ctx: Context, endpoint: str | None) -> Any:
    """Return what gives access tokens; of the key file nothing but its account and its key is used."""
    import jwt

    account = _account(key)
    url = f"{endpoint.rstrip('/')}/token" if endpoint else _TOKEN_URL

    def token() -> Any:
        now = int(time.time())
        claims = {"iss": account["client_email"], "scope": _SCOPE, "aud": url, "iat": now, "exp": now + 3600}
        signed = jwt.encode(claims, account["private_key"], "RS256", headers={"kid": account["private_key_id"]})
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed}
        found = ctx.token(TokenRequest(url, form))
        until = datetime.fromtimestamp(found.expires_at or now + 3000, UTC)
        return {"token": found.value.get_secret_value(), "expires_at": until}

    return token


def _account(key: SecretStr) -> dict[str, str]:
    try:
        found = json.loads(key.get_secret_value())
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("type") != "service_account":
        raise ConfigError(
            "service_account_json is not the key file of a service account",
            code="bad_key_file",
            field="service_account_json",
            fix="give the key file as Google made it, whole",
        )
    return {name: str(found.get(name, "")) for name in ("client_email", "private_key", "private_key_id")}


def _azure(config: FilesConfig, _ctx: Context, container: str, options: Any) -> ObjectStore:
    from obstore.store import AzureStore

    given: Any = {"account_name": config.account_name or ""}
    if config.endpoint:
        given["endpoint"] = config.endpoint
    until = None
    if config.account_key:
        credential: Any = {"access_key": config.account_key.get_secret_value(), "expires_at": until}
    elif config.sas_token:
        credential = {"sas_token": config.sas_token.get_secret_value().lstrip("?"), "expires_at": until}
    else:
        return AzureStore(container, client_options=options, retry_config=_RETRIES, skip_signature=True, **given)
    return AzureStore(
        container, client_options=options, retry_config=_RETRIES, credential_provider=lambda: credential, **given
    )
