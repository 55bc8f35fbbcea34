"""Ids that nobody can guess, and names that are well formed."""

from __future__ import annotations

import re
import secrets

from servicetsunami.sdk import ConfigError

_TENANT = re.compile(r"[a-z0-9][a-z0-9_]{0,47}")
_LONGEST_NAME = 100


def new_id(prefix: str) -> str:
    """Return a fresh id of 128 random bits, such as `conn_0f3a...`."""
    return f"{prefix}_{secrets.token_hex(16)}"


def check_tenant_id(tenant_id: str) -> None:
    """Refuse a tenant id that could not be part of a catalog's name."""
    if not _TENANT.fullmatch(tenant_id):
        raise ConfigError(
            f"'{tenant_id}' cannot be a tenant's id, so the tenant was not created",
            code="tenant_invalid",
            field="tenant_id",
            fix="use up to 48 of the characters a-z, 0-9 and _, beginning with a letter or a digit",
        )


def check_connection_name(name: str) -> None:
    """Refuse a connection name that is empty, too long or cannot be printed."""
    if not name.strip() or name != name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ConfigError(
            "the name of a connection is empty, too long or holds characters that cannot be seen",
            code="name_invalid",
            field="name",
            fix=f"choose a name of 1 to {_LONGEST_NAME} printable characters, such as shop",
        )
